package plugintest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// built is a mapper whose constructor does something.
func built(do func(context.Context) error) []sdk.Implementation {
	return []sdk.Implementation{sdk.PrincipalMapperType("badge", func(ctx context.Context, _ sdk.Setup, _ struct{}) (*badge, error) {
		return &badge{settings: settings{Claim: "sub"}}, do(ctx)
	})}
}

// broken is a token broker that fails.
type broken struct{ issue, keys func() error }

func (b broken) Issue(context.Context, sdk.Grant) (sdk.Token, error) { return sdk.Token{}, b.issue() }
func (broken) Verify(context.Context, sdk.Request) (sdk.Credential, error) {
	return sdk.Credential{}, sdk.NotMine()
}
func (b broken) Keys(context.Context) ([]byte, time.Time, error) { return nil, time.Time{}, b.keys() }

func brokens(issue, keys func() error) []sdk.Implementation {
	return []sdk.Implementation{sdk.TokenBrokerType("broken", func(context.Context, sdk.Setup, struct{}) (broken, error) { return broken{issue, keys}, nil })}
}

func casesIn(cases ...Case) func(rpc.Manifest) []Case {
	return func(rpc.Manifest) []Case { return cases }
}

// What is skipped could not be tried. What panics or does not end was tried, and a part of which no call was answered is not verified.
func TestVerifyTellsSkippedFromFailed(t *testing.T) {
	t.Parallel()
	fails := func() error { return errors.New("the vault is sealed") }
	panics := func() error { panic("boom") }
	for name, tt := range map[string]struct {
		impls []sdk.Implementation
		check string
		want  Outcome
		got   string
		tried Outcome // empty: nothing is said of it
	}{
		"works":                  {built(func(context.Context) error { return nil }), "settings", OK, "", ""},
		"refuses":                {built(func(context.Context) error { return errors.New("no") }), "settings", Skipped, "not taken without", Untried},
		"lists what is not done": {built(func(context.Context) error { return errors.New("no") }), "concurrency", Skipped, "needs settings that are taken", Untried},
		"constructor panics":     {built(func(context.Context) error { panic("boom") }), "settings", Failed, "the constructor panics: panic: boom", ""},
		"constructor waits": {built(func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}), "settings", Failed, "the constructor takes longer than there is time for it", ""},
		"constructor never ends": {built(func(context.Context) error {
			time.Sleep(time.Minute)
			return nil
		}), "settings", Failed, "the constructor takes longer than there is time for it", ""},
		"needs settings": {badges(nil), "settings", Skipped, "required are claim", Untried},
		"always fails":   {brokens(fails, fails), "call", Skipped, "the vault is sealed", Untried},
		"keys fail":      {brokens(fails, fails), "published keys", Skipped, "it publishes no keys here: the vault is sealed", Untried},
		"keys panic":     {brokens(fails, panics), "published keys", Failed, "the plugin panics: panic: boom", ""},
		"issue panics":   {brokens(panics, fails), "call", Failed, "the plugin panics: panic: boom", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var all collected
			Verify(t.Context(), InProcess(tt.impls...), Options{Step: 5 * time.Second}, &all)
			found, tried := false, Outcome("")
			for _, r := range all {
				if r.Check == "tried" {
					tried = r.Outcome
				}
				if r.Check == tt.check && r.Kind != "" {
					found = true
					if text := strings.Join(r.Got, "\n"); r.Outcome != tt.want || !strings.Contains(text, tt.got) {
						t.Errorf("%s: %s %s, want %s %q", r.Check, r.Outcome, text, tt.want, tt.got)
					}
				}
			}
			if !found || tried != tt.tried {
				t.Errorf("found: %v; tried: %q, want %q", found, tried, tt.tried)
			}
		})
	}
}

// A part without a case does not matter to who has a configuration that does without it.
func TestVerifyCasesOnly(t *testing.T) {
	t.Parallel()
	for only, want := range map[bool]Outcome{false: Untried, true: Skipped} {
		var all collected
		Verify(t.Context(), InProcess(badges(nil)...), Options{CasesOnly: only}, &all)
		for _, r := range all {
			if r.Check == "tried" && r.Outcome != want {
				t.Errorf("%v: %+v", only, r)
			}
		}
	}
}

// What is joined with what cannot be seen is a fault.
func TestLacksOnly(t *testing.T) {
	t.Parallel()
	l := lack("no case")
	for want, errs := range map[bool][]error{
		true:  {l, fmt.Errorf("call: %w", l), errors.Join(l, nil, l), fmt.Errorf("a: %w, b: %w", l, l)},
		false: {errors.Join(l, rpc.ErrLost), errors.Join(errors.Join(l), errors.New("the process ended")), errors.New("x"), fmt.Errorf("%w: %w", l, rpc.ErrLost)},
	} {
		for _, err := range errs {
			if lacksOnly(err) != want {
				t.Errorf("%q: %v", err, !want)
			}
		}
	}
}

// What a plugin prints is kept in bounds, and how much is not kept is known.
func TestOutputIsBounded(t *testing.T) {
	t.Parallel()
	o := output{most: 10}
	for range 3 {
		if n, err := o.Write([]byte("seven by")); n != 8 || err != nil {
			t.Error(n, err)
		}
	}
	if o.String() != "seven byse" || o.dropped() != 14 {
		t.Errorf("%q, %d bytes are not kept", o.String(), o.dropped())
	}
}

// A check that does not end does not keep the others, also in a test; and the plugin that it has ended is there again.
func TestRunnerBoundsAndRevives(t *testing.T) {
	t.Parallel()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := &runner{step: 5 * time.Second, notes: &notes{}}
	t.Cleanup(r.notes.stop)
	if err := r.start(t.Context(), t.Context(), Binary(path)); err != nil {
		t.Fatal(err)
	}
	before, _ := r.suite()
	slow := check{run: func(ctx context.Context, _ *suite, _ Case) error {
		<-ctx.Done()
		return ctx.Err()
	}}
	if err := r.run(t.Context(), slow, Case{}); err == nil || !strings.Contains(err.Error(), "not done within 5s") {
		t.Errorf("a check that does not end: %v", err)
	}
	kills := check{run: func(_ context.Context, s *suite, _ Case) error {
		s.kill()
		return rpc.ErrLost
	}}
	if err := r.run(t.Context(), kills, Case{}); err == nil || !strings.Contains(err.Error(), "the process ended: signal: killed") {
		t.Errorf("a check that ends the plugin: %v", err)
	}
	if err := r.run(t.Context(), check{run: checkCall}, badgeCase()); err != nil {
		t.Errorf("the check after it: %v", err)
	}
	if after, lives := r.suite(); !lives || before == after {
		t.Error("the plugin is not there again")
	}
}

// offerOf gives what a case is completed with.
func offerOf(impls []sdk.Implementation) rpc.Offer {
	return rpc.Offer{Kind: impls[0].Kind(), Type: impls[0].Type(), SettingsSchema: impls[0].SettingsSchema()}
}
