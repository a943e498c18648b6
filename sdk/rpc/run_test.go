package rpc

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// direct runs the steps on f in process, as the reference for both ways through a process.
func direct(ctx context.Context, f *fake, steps []Step, st *sdk.State) error {
	for _, s := range steps {
		if err := sdk.Step(ctx, s.Kind, f, st); err != nil {
			return err
		}
		if s.Kind == sdk.KindIdentityProvider {
			st.Identity.Tenant = "tenant1"
		}
	}
	return nil
}

func same(t *testing.T, got, want *sdk.State) {
	t.Helper()
	raw := func(s *sdk.State) string {
		if s.Identity == nil {
			return ""
		}
		return string(s.Identity.Claims.Raw())
	}
	if raw(got) != raw(want) {
		t.Errorf("claims %s, want %s", raw(got), raw(want))
	}
	g, w := *got, *want
	if g.Identity != nil && w.Identity != nil {
		gi, wi := *g.Identity, *w.Identity
		gi.Claims, wi.Claims = nil, nil
		g.Identity, w.Identity = &gi, &wi
	}
	if !reflect.DeepEqual(g, w) {
		t.Errorf("state differs from that of a run in process\n got %+v\nwant %+v", g, w)
		t.Errorf("%+v %+v %+v | %+v %+v %+v", g.Identity, g.Credential, g.Principal, w.Identity, w.Credential, w.Principal)
	}
}

func TestRunIsWhatItIsInProcess(t *testing.T) {
	t.Parallel()
	hints := &fake{
		mapRoles: func(ctx context.Context, _ sdk.Identity) ([]string, error) {
			sdk.CacheFor(ctx, time.Minute)
			return []string{}, nil
		},
		activeRoles: func(ctx context.Context, _ sdk.Principal, _ []string) ([]string, error) {
			sdk.CacheFor(ctx, time.Second)
			return []string{}, nil
		},
	}
	short := &fake{mapRoles: func(ctx context.Context, _ sdk.Identity) ([]string, error) {
		sdk.CacheFor(ctx, time.Microsecond)
		return nil, nil
	}}
	denies := &fake{authenticate: func(ctx context.Context, _ sdk.Credential) (sdk.Principal, error) {
		sdk.NoCache(ctx)
		return sdk.Principal{}, sdk.Forbid("principal_unknown", "nobody")
	}}
	internal := []Step{{sdk.KindTokenBroker, 6}, {sdk.KindAuthenticator, 4}, {sdk.KindActiveRolesProvider, 5}}
	for _, c := range []struct {
		name  string
		fake  *fake
		legs  [][]Step
		cache sdk.CacheHint // where it cannot be what it is in process
	}{
		{"external in one leg", &fake{}, [][]Step{external}, sdk.CacheHint{}},
		{"external in five legs", &fake{}, [][]Step{external[:1], external[1:2], external[2:3], external[3:4], external[4:]}, sdk.CacheHint{}},
		{"mappers apart", &fake{}, [][]Step{external[:2], external[2:]}, sdk.CacheHint{}},
		{"roles first", &fake{}, [][]Step{external[:1], {external[2]}, {external[1], external[3]}, external[4:]}, sdk.CacheHint{}},
		{"internal", &fake{}, [][]Step{internal}, sdk.CacheHint{}},
		{"internal in two", &fake{}, [][]Step{internal[:1], internal[1:]}, sdk.CacheHint{}},
		{"hints", hints, [][]Step{external}, sdk.CacheHint{}},
		{"a life under a millisecond", short, [][]Step{external}, sdk.CacheHint{NoStore: true}},
		{"denied after three steps", denies, [][]Step{external}, sdk.CacheHint{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			both(t, func(t *testing.T, unary bool) {
				p := startFake(t, c.fake, &fakeHost{}, unary)
				got, want := request("x"), request("x")
				var gotErr, wantErr error
				for _, leg := range c.legs {
					gotErr = errors.Join(gotErr, p.Run(t.Context(), "realm1", leg, got))
					wantErr = errors.Join(wantErr, direct(t.Context(), c.fake, leg, want))
				}
				if c.cache != (sdk.CacheHint{}) {
					want.Cache = c.cache
				}
				if len(c.legs) == 1 && !unary && want.Credential != nil && want.Identity != nil { // both mappers have read them there
					want.Identity.Claims, want.Identity.Roles = nil, nil
				}
				same(t, got, want)
				if !reflect.DeepEqual(sdk.AsDenial(gotErr), sdk.AsDenial(wantErr)) || (gotErr == nil) != (wantErr == nil) {
					t.Errorf("error %v, want %v", gotErr, wantErr)
				}
			})
		})
	}
}

func TestErrorsAreTheSameOnBothWays(t *testing.T) {
	t.Parallel()
	fail := func(err error) *fake {
		return &fake{mapRoles: func(context.Context, sdk.Identity) ([]string, error) { return nil, err }}
	}
	for _, c := range []struct {
		name    string
		fake    *fake
		steps   []Step
		denied  *sdk.Denial
		code    Code
		message string
	}{
		{"denied", fail(&sdk.Denial{Reason: "r", Detail: "d", Forbidden: true, Challenge: []sdk.Header{{Name: "www-authenticate", Value: "Bearer"}}}), external,
			&sdk.Denial{Reason: "r", Detail: "d", Forbidden: true, Challenge: []sdk.Header{{Name: "www-authenticate", Value: "Bearer"}}}, 0, ""},
		{"a wrapped denial", fail(errors.Join(errors.New("more"), sdk.Deny("r", "d"))), external, &sdk.Denial{Reason: "r", Detail: "d"}, 0, ""},
		{"not mine", &fake{verify: func(context.Context, sdk.Request) (sdk.Credential, error) { return sdk.Credential{}, sdk.NotMine() }},
			[]Step{{sdk.KindTokenBroker, 6}}, sdk.AsDenial(sdk.NotMine()), 0, ""},
		{"not mine of a mapper", fail(sdk.NotMine()), external, nil, CodeError, "principal-roles-mapper answered not_mine, which only a verifier may"},
		{"a forged header", fail(&sdk.Denial{Reason: "R x", Challenge: []sdk.Header{{Name: "a", Value: "b\r\nc: d"}, {Name: "A b", Value: "c"}}}), external,
			&sdk.Denial{Reason: "unspecified"}, 0, ""},
		{"an error", fail(errors.New("disk on fire")), external, nil, CodeError, "disk on fire"},
		{"an error that is not text", fail(errors.New("a\xffb")), external, nil, CodeError, "a\uFFFDb"},
		{"a long error", fail(errors.New(strings.Repeat("x", 1<<20))), external, nil, CodeError, strings.Repeat("x", maxText) + "..."},
		{"a panic", &fake{mapRoles: func(context.Context, sdk.Identity) ([]string, error) { panic("boom") }}, external, nil, CodePanic, "panic: boom"},
		{"a deadline of its own", fail(context.DeadlineExceeded), external, nil, CodeDeadline, "context deadline exceeded"},
		{"unknown instance", &fake{}, []Step{{sdk.KindIdentityProvider, 99}}, nil, CodeUnknownInstance, "there is no instance 99 of kind identity-provider"},
		{"instance of another kind", &fake{}, []Step{{sdk.KindIdentityProvider, 2}}, nil, CodeUnknownInstance, "there is no instance 2 of kind identity-provider"},
		{"an answer that is too large", &fake{mapRoles: func(context.Context, sdk.Identity) ([]string, error) {
			return []string{strings.Repeat("x", maxItem+1)}, nil
		}}, external, nil, CodeTooLarge, ""},
		{"an answer that no message can carry", &fake{mapRoles: func(context.Context, sdk.Identity) ([]string, error) {
			return []string{"\xff"}, nil
		}}, external, nil, CodeError, ""},
		{"a failure of the host keeps its text only", &fake{mapRoles: func(ctx context.Context, _ sdk.Identity) ([]string, error) {
			_, err := sdk.FindPrincipal(ctx, sdk.PrincipalRef{})
			return nil, err
		}}, external, nil, CodeError, "panic: host"},
	} {
		t.Run(c.name, func(t *testing.T) {
			both(t, func(t *testing.T, unary bool) {
				p := startFake(t, c.fake, &fakeHost{find: func(context.Context, Caller, sdk.PrincipalRef) (sdk.Principal, error) { panic("host") }}, unary)
				err := p.Run(t.Context(), "realm1", c.steps, request("x"))
				var f *Failure
				switch {
				case c.denied != nil:
					if !reflect.DeepEqual(sdk.AsDenial(err), c.denied) {
						t.Errorf("%v, want %v", err, c.denied)
					}
				case !errors.As(err, &f) || sdk.AsDenial(err) != nil:
					t.Errorf("%T %v, want a failure", err, err)
				case f.Code != c.code || c.message != "" && f.Message != c.message:
					t.Errorf("%d %.80q, want %d %.80q", f.Code, f.Message, c.code, c.message)
				}
				if (c.code == CodeDeadline) != errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%v: is a deadline: %v", err, errors.Is(err, context.DeadlineExceeded))
				}
				if c.fake.verify != nil {
					return
				}
				// One bad call is no harm to others.
				if err := p.Run(t.Context(), "realm1", []Step{{sdk.KindTokenBroker, 6}}, request("x")); err != nil {
					t.Errorf("afterwards: %v", err)
				}
			})
		})
	}
}

func TestRequestsThatCannotTravel(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, unary bool) {
		p := startFake(t, &fake{}, &fakeHost{}, unary)
		var f *Failure
		if err := p.Run(t.Context(), "r", external, request(strings.Repeat("x", maxItem+1))); !errors.As(err, &f) || f.Code != CodeTooLarge {
			t.Errorf("a large token: %v", err)
		}
		if d := sdk.AsDenial(p.Run(t.Context(), "r", external, request("a\xff"))); d == nil || d.Reason != "malformed_request" {
			t.Errorf("a token that is not UTF-8: %v", d)
		}
		st := request("x")
		st.Request.HTTP = &sdk.HTTPMessage{Header: []sdk.Header{{Name: "x", Value: "\xe9"}}}
		if err := p.Run(t.Context(), "r", external, st); err != nil {
			t.Errorf("a header that is not UTF-8: %v", err)
		}
		for _, steps := range [][]Step{external[1:2], external[3:4], external[4:], {{sdk.KindSecretResolver, 1}}} {
			if err := p.Run(t.Context(), "r", steps, request("x")); err == nil || sdk.AsDenial(err) != nil {
				t.Errorf("%v without what it reads: %v", steps[0].Kind, err)
			}
		}
		if err := p.Run(t.Context(), "r", external[:1], &sdk.State{}); err == nil || sdk.AsDenial(err) != nil {
			t.Errorf("without a request: %v", err)
		}
		if err := p.Run(t.Context(), "r", external, request("x")); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}

func TestCallContext(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, unary bool) {
		seen := make(chan context.Context, 1)
		f := &fake{identify: func(ctx context.Context, r sdk.Request) (sdk.Identity, error) {
			sdk.Logger(ctx).Info("hello", "realm", r.Realm)
			seen <- ctx
			panic("with a stack")
		}}
		log := newLines()
		p := start(t, &Server{Implementations: f.offers(), UnaryOnly: unary, Logger: slog.New(log)}, &fakeHost{})
		configureFake(t, p)
		const trace = "0af7651916cd43dd8448eb211c80319c"
		in := sdk.WithTraceParent(sdk.WithRequestID(t.Context(), "req-7"), "00-"+trace+"-b7ad6b7169203331-01")
		err := p.Run(in, "realm1", external, request("x"))
		ctx := <-seen
		if sdk.TraceParent(ctx) != sdk.TraceParent(in) {
			t.Errorf("trace %q", sdk.TraceParent(ctx))
		}
		if id := sdk.RequestID(ctx); id != "req-7" {
			t.Errorf("request id %q", id)
		}
		if d, ok := ctx.Deadline(); !ok || time.Until(d) > defaultTimeout {
			t.Errorf("deadline %v %v", d, ok)
		}
		line := log.find("hello")
		if line["request_id"] != "req-7" || line["instance"] != "1" || line["realm"] != "realm1" || line["trace_id"] != trace {
			t.Errorf("log line %v", line)
		}
		if line := log.find("an implementation panicked"); !strings.Contains(line["stack"], "run_test.go") || line["request_id"] != "req-7" {
			t.Errorf("the stack of a panic is not logged: %v", line)
		}
		if err == nil || strings.Contains(err.Error(), "goroutine") || strings.Contains(err.Error(), ".go") {
			t.Errorf("the host is told more of a panic than its value: %v", err)
		}
	})
}

func TestGivenUpCallsEndInThePlugin(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, unary bool) {
		ended := make(chan struct{})
		started := make(chan struct{})
		f := &fake{identify: func(ctx context.Context, _ sdk.Request) (sdk.Identity, error) {
			close(started)
			<-ctx.Done()
			close(ended)
			return sdk.Identity{}, ctx.Err()
		}}
		p := startFake(t, f, &fakeHost{}, unary)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-started; cancel() }()
		if err := p.Run(ctx, "r", external, request("x")); !errors.Is(err, context.Canceled) || sdk.AsDenial(err) != nil {
			t.Errorf("%v", err)
		}
		wait(t, ended, "the plugin's context ends")
	})
}

func TestDeadlineTravels(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, unary bool) {
		left := make(chan time.Duration, 1)
		f := &fake{identify: func(ctx context.Context, _ sdk.Request) (sdk.Identity, error) {
			d, _ := ctx.Deadline()
			left <- time.Until(d)
			<-ctx.Done()
			return sdk.Identity{}, ctx.Err()
		}}
		p := startFake(t, f, &fakeHost{}, unary)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		err := p.Run(ctx, "r", external, request("x"))
		var fail *Failure
		if !errors.As(err, &fail) || fail.Code != CodeDeadline || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%T %v", err, err)
		}
		if d := <-left; d > 100*time.Millisecond {
			t.Errorf("the plugin believes that it has %v", d)
		}
	})
}

// Of a leg whose time is over the plugin says which step had it, as soon as that one has ended.
func TestUnansweredAt(t *testing.T) {
	t.Parallel()
	let := make(chan struct{})
	t.Cleanup(func() { close(let) })
	for name, tt := range map[string]struct {
		f    *fake
		step int
		ok   bool
	}{
		"one that lets go": {&fake{mapPrincipal: func(ctx context.Context, _ sdk.Identity) (sdk.PrincipalRef, error) {
			<-ctx.Done()
			return sdk.PrincipalRef{}, ctx.Err()
		}}, 1, true},
		"one that answers too late": {&fake{identify: func(ctx context.Context, r sdk.Request) (sdk.Identity, error) {
			<-ctx.Done()
			return (&fake{}).Identify(ctx, r)
		}}, 0, true},
		"one that does not end": {&fake{mapPrincipal: func(context.Context, sdk.Identity) (sdk.PrincipalRef, error) {
			<-let
			return sdk.PrincipalRef{}, nil
		}}, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startFake(t, tt.f, &fakeHost{}, false)
			var late *UnansweredError
			for tries := 0; late == nil; tries++ { // the plugin has the same deadline: its answer may be there first
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				err := p.Run(ctx, "r", external, request("x"))
				cancel()
				if f := (*Failure)(nil); !errors.As(err, &late) && (!errors.As(err, &f) || f.Code != CodeDeadline || tries > 50) {
					t.Fatalf("%T %v", err, err)
				}
			}
			wait := 10 * time.Second
			if !tt.ok {
				wait = 300 * time.Millisecond
			}
			limited, end := context.WithTimeout(t.Context(), wait)
			defer end()
			if step, ok := late.At(limited); ok != tt.ok || ok && step != tt.step {
				t.Errorf("at %d (%v), want %d (%v)", step, ok, tt.step, tt.ok)
			}
		})
	}
}

func TestOnlyWhatIsReadTravels(t *testing.T) {
	t.Parallel()
	full := &sdk.State{
		Request: &sdk.Request{Token: "x"}, Identity: &sdk.Identity{}, Ref: &sdk.PrincipalRef{}, Mapped: []string{},
		Credential: &sdk.Credential{}, Principal: &sdk.Principal{}, Active: []string{},
	}
	fresh := func(change func(*sdk.State)) *sdk.State { s := *full; change(&s); return &s }
	for _, c := range []struct {
		name  string
		steps []Step
		state *sdk.State
		want  []string
	}{
		{"external", external, request("x"), []string{"request"}},
		{"external, all known", external, full, []string{"request"}},
		{"mapper", external[1:2], full, []string{"identity"}},
		{"both mappers", external[1:3], full, []string{"identity"}},
		{"authenticator", external[3:4], full, []string{"credential"}},
		{"active roles", external[4:], full, []string{"credential", "principal"}},
		{"authenticator and active roles", external[3:], full, []string{"credential"}},
		{"roles mapper and authenticator", external[2:4], full, []string{"identity", "principal_ref"}},
		{"principal mapper and authenticator", []Step{external[1], external[3]}, full, []string{"identity", "mapped_roles"}},
		{"roles mapper that cannot compose", external[2:4], fresh(func(s *sdk.State) { s.Ref = nil }), []string{"identity", "credential"}},
		{"internal", []Step{{sdk.KindTokenBroker, 6}, external[3]}, full, []string{"request"}},
	} {
		got, err := stateToProto(c.steps, c.state)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var names []string
		fields := got.ProtoReflect().Descriptor().Fields()
		for i := range fields.Len() {
			if got.ProtoReflect().Has(fields.Get(i)) {
				names = append(names, string(fields.Get(i).Name()))
			}
		}
		slices.Sort(names)
		slices.Sort(c.want)
		if !slices.Equal(names, c.want) {
			t.Errorf("%s: %v travels, want %v", c.name, names, c.want)
		}
	}
}
