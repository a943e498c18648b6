package plugintest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/realmgate/realmgate/sdk/rpc"
)

// Outcome is what became of a check.
type Outcome string

// The outcomes of a [Result].
const (
	OK      Outcome = "ok"
	Failed  Outcome = "failed"
	Skipped Outcome = "skipped"
)

// Result is what became of one check.
type Result struct {
	Kind    string   `json:"kind,omitempty"` // empty: of the plugin as a whole
	Type    string   `json:"type,omitempty"`
	Case    string   `json:"case,omitempty"`
	Check   string   `json:"check"`
	Outcome Outcome  `json:"outcome"`
	Did     string   `json:"did"`           // what the suite did
	Got     []string `json:"got,omitempty"` // what came of it, or why it was skipped
	Rule    string   `json:"rule"`          // what the contract says
}

// Reporter is told of each check, in turn.
type Reporter interface{ Report(Result) }

// Options is how [Verify] goes about it.
type Options struct {
	// Cases gives the cases of a plugin. What it offers beside them is run without settings. nil: there are none.
	Cases func(rpc.Manifest) []Case
	Step  time.Duration // the most that a check takes; zero: 30 s
}

// Verify runs the suite on a plugin without a test around it. A plugin that ends in the middle is started again. It always
// ends: no check takes longer than its time and some seconds of grace.
func Verify(ctx context.Context, target Target, o Options, r Reporter) {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	if o.Step == 0 {
		o.Step = 30 * time.Second
	}
	v := &verifier{ctx: ctx, step: o.Step, to: r, s: &suite{notes: &notes{}}}
	defer func() { v.s.notes.stop() }()
	starts := check{name: "start", did: "started the plugin, asked what it is (Describe), and opened its session", rule: "a process shakes hands in the first line that it prints, in time, and says what it offers", run: func(ctx context.Context, _ *suite, _ Case) (err error) {
		v.s, err = newSuite(ctx, life, target)
		return err
	}}
	if v.check(starts, Case{}) != OK {
		return
	}
	var cases []Case
	if o.Cases != nil {
		cases = o.Cases(v.s.manifest)
	}
	v.check(check{name: "manifest", did: "read the manifest", rule: "it has a version, and each settings schema is one of an object without further keys", run: func(_ context.Context, s *suite, _ Case) error {
		return checkManifest(s.manifest)
	}}, Case{})
	v.check(check{name: "cases", did: "looked for the part of each case among what the plugin offers", rule: "a case is for a part that the plugin offers", run: func(_ context.Context, s *suite, _ Case) error {
		return checkOffered(s.manifest, cases)
	}}, Case{})
	var taken Case
	var usable []Case
	for _, c := range v.all(cases) {
		answers := v.verify(c)
		if answers {
			usable = append(usable, c)
		}
		if answers && (taken.Kind == 0 || taken.tolerant && !c.tolerant) {
			taken = c
		}
	}
	v.s.cases = usable
	for _, k := range processChecks {
		k.run = onItsOwn(k.run, taken)
		if k.of == nil || k.of(v.s, taken) {
			v.check(k, Case{})
		}
	}
	v.s.notes.stop()
	v.check(check{name: "standard output", did: "read all that the processes printed to it", rule: "the standard output belongs to the handshake: nothing else is printed there", run: func(context.Context, *suite, Case) error {
		return v.s.checkStdout()
	}}, Case{})
	v.check(check{name: "questions", did: "answered what the parts asked the host for, as their manifest lets them", rule: "a part asks for the secrets of its settings, and for what its manifest says that it wants", run: func(context.Context, *suite, Case) error {
		return v.s.checkAsked()
	}}, Case{})
	v.check(check{name: "secrets", did: "looked for the secrets and tokens that the part was given or made in its log, its errors and its diagnostics", rule: "a plugin repeats no secret", run: func(context.Context, *suite, Case) error {
		return v.s.checkSecrecy()
	}}, Case{})
}

func onItsOwn(run func(context.Context, *suite, Case) error, c Case) func(context.Context, *suite, Case) error {
	return func(ctx context.Context, s *suite, _ Case) error { return run(ctx, s, c) }
}

type verifier struct {
	ctx  context.Context
	step time.Duration
	to   Reporter
	s    *suite
	dead bool // it could not be started again
}

// all gives the cases that are offered, complete, and one without settings for each offer that has none.
func (v *verifier) all(cases []Case) []Case {
	var out []Case
	for _, o := range v.s.manifest.Offers {
		some := false
		for _, c := range cases {
			if c.Kind == o.Kind && c.Type == o.Type {
				some = true
				c.complete(o)
				out = append(out, c)
			}
		}
		if !some {
			c := Case{Kind: o.Kind, Type: o.Type, bare: true}
			c.complete(o)
			out = append(out, c)
		}
	}
	return out
}

// verify runs the checks on one case. False: its settings are not taken, or it cannot be called.
func (v *verifier) verify(c Case) bool {
	settings := check{name: "settings", did: "configured the part with the case's settings", rule: "settings that are right are taken", run: v.configure}
	if c.bare {
		settings.did = "configured the part without settings, since there is no case for it"
	}
	taken := v.check(settings, c) == OK
	answers := false
	for _, k := range checks {
		switch {
		case k.of != nil && !k.of(v.s, c):
		case k.name == "call" && taken:
			answers = v.check(k, c) != Failed
		case k.raw || answers:
			v.check(k, c)
		}
	}
	if taken && !answers {
		v.skip(c, "the other checks", "its call fails already")
	}
	return answers
}

// configure says of settings that nobody gave, or whose secrets are made up, what it cannot say of others: that they are not
// taken proves nothing.
func (v *verifier) configure(ctx context.Context, s *suite, c Case) error {
	o, _ := s.offer(c)
	if c.bare {
		var sc schema
		if json.Unmarshal(o.SettingsSchema, &sc) == nil && len(sc.Required) > 0 {
			return lack("give a case with the settings that it needs, in a configuration or a file; required are %s", strings.Join(sc.Required, ", "))
		}
	}
	i, ds, err := s.configure(ctx, c, c.settings())
	if err != nil {
		return err
	}
	refused := faults(ds)
	switch {
	case refused == "":
		return s.release(ctx, i)
	case c.bare:
		return lack("give a case with settings, in a configuration or a file; it is not taken without: %s", refused)
	case c.standIns:
		return lack("give a case with its secrets, in a file; it is not taken with made-up ones: %s", refused)
	}
	return fmt.Errorf("the settings are refused: %s", refused)
}

func (v *verifier) skip(c Case, what, why string) {
	v.to.Report(Result{Kind: kindName(c), Type: c.Type, Case: c.Name, Check: what, Outcome: Skipped, Got: []string{why}})
}

func kindName(c Case) string {
	if c.Kind == 0 {
		return ""
	}
	return c.Kind.String()
}

// check runs one check and reports it.
func (v *verifier) check(k check, c Case) Outcome {
	r := Result{Kind: kindName(c), Type: c.Type, Case: c.Name, Check: k.name, Outcome: OK, Did: k.did, Rule: k.rule}
	var err error
	switch {
	case v.dead:
		r.Outcome, r.Got = Skipped, []string{"the plugin could not be started again"}
	case v.ctx.Err() != nil:
		r.Outcome, r.Got = Skipped, []string{"the run was stopped"}
	default:
		err = v.s.bounded(v.ctx, v.step, func(ctx context.Context) error { return k.run(ctx, v.s, c) })
		err = errors.Join(err, v.revive(err))
	}
	if l := (*lacks)(nil); errors.As(err, &l) {
		r.Outcome, r.Got = Skipped, []string{l.what}
	} else if err != nil {
		r.Outcome, r.Got = Failed, strings.Split(v.s.masked(err.Error()), "\n")
	}
	v.to.Report(r)
	return r.Outcome
}

// masked takes the secrets of the suite out of a text.
func (s *suite) masked(text string) string {
	s.notes.mu.Lock()
	defer s.notes.mu.Unlock()
	for v := range s.notes.confided {
		text = strings.ReplaceAll(text, v, "[hidden]")
	}
	return text
}

// revive starts the plugin again if a check has ended it, and says so.
func (v *verifier) revive(err error) error {
	if v.s.plugin == nil {
		return nil
	}
	lost := errors.Is(err, rpc.ErrLost)
	for until := time.Now().Add(endsWithin); lost && v.s.plugin.gone() == nil && time.Now().Before(until); {
		time.Sleep(10 * time.Millisecond) // the connection is told of the end before we are
	}
	ended := v.s.plugin.gone()
	if ended == nil || v.s.stopped() {
		return nil
	}
	v.dead = v.s.bounded(v.ctx, v.step, v.s.start) != nil
	return ended
}
