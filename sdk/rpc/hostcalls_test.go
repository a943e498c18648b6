package rpc

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"

	"github.com/realmgate/realmgate/sdk"
)

func mustRef(t testing.TB, text string) sdk.SecretRef {
	t.Helper()
	r, err := sdk.ParseSecretRef(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestHostCalls(t *testing.T) {
	t.Parallel()
	ref := mustRef(t, "urn:realmgate-secret:s:a/b")
	both(t, func(t *testing.T, unary bool) {
		h := &fakeHost{
			find: func(_ context.Context, c Caller, r sdk.PrincipalRef) (sdk.Principal, error) {
				if want := (Caller{Instance: 1, Realm: "realm1", RequestID: "q"}); !reflect.DeepEqual(c, want) {
					t.Errorf("caller %+v", c)
				}
				if r.Name == "nobody" {
					return sdk.Principal{}, sdk.Forbid("principal_unknown", "nobody")
				}
				return sdk.Principal{ID: "7", Name: r.Name, Enabled: true, Roles: []string{"r"}, Attributes: map[string]string{"a": "b"}}, nil
			},
			resolve: func(ctx context.Context, _ Caller, r sdk.SecretRef) (sdk.Secret, error) {
				if _, ok := ctx.Deadline(); !ok || r != ref {
					t.Error("no deadline or another reference", r)
				}
				return sdk.Secret{}, errors.New("sealed")
			},
		}
		f := &fake{identify: func(ctx context.Context, r sdk.Request) (sdk.Identity, error) {
			if r.Token == "secret" {
				_, err := ref.Value(ctx)
				return sdk.Identity{}, err
			}
			p, err := sdk.FindPrincipal(ctx, sdk.PrincipalRef{Name: r.Token})
			return sdk.Identity{Subject: p.ID + p.Name + strings.Join(p.Roles, "") + p.Attributes["a"]}, err
		}}
		p := startFake(t, f, h, unary)
		ctx := sdk.WithRequestID(t.Context(), "q")
		st := request("alice")
		if err := p.Run(ctx, "realm1", external, st); err != nil || st.Identity.Subject != "7alicerb" {
			t.Errorf("%v %+v", err, st.Identity)
		}
		if d := sdk.AsDenial(p.Run(ctx, "realm1", external, request("nobody"))); d == nil || d.Reason != "principal_unknown" || !d.Forbidden {
			t.Errorf("a denial of the host: %v", d)
		}
		if err := p.Run(ctx, "realm1", external, request("secret")); err == nil || sdk.AsDenial(err) != nil || err.Error() != "sealed" {
			t.Errorf("a failure of the host: %v", err)
		}
	})
}

// A verdict over a caller is the part's own, and the directory's over who is in it.
func TestHostAnswersAreNoVerdicts(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, unary bool) {
		var asked atomic.Int32
		h := &fakeHost{
			find: func(context.Context, Caller, sdk.PrincipalRef) (sdk.Principal, error) {
				asked.Add(1)
				return sdk.Principal{}, sdk.NotMine()
			},
			resolve: func(context.Context, Caller, sdk.SecretRef) (sdk.Secret, error) {
				return sdk.Secret{}, sdk.Deny("token_expired", "of another one")
			},
		}
		f := &fake{verify: func(ctx context.Context, r sdk.Request) (sdk.Credential, error) {
			if r.Token == "secret" {
				_, err := mustRef(t, "urn:realmgate-secret:s:p").Value(ctx)
				return sdk.Credential{}, err
			}
			_, err := sdk.FindPrincipal(ctx, sdk.PrincipalRef{Name: r.Token})
			return sdk.Credential{}, err
		}}
		p := startFake(t, f, h, unary)
		verify := []Step{{sdk.KindTokenBroker, 6}}
		for _, token := range []string{"secret", "alice"} {
			var fail *Failure
			if err := p.Run(t.Context(), "r", verify, request(token)); !errors.As(err, &fail) || sdk.AsDenial(err) != nil {
				t.Errorf("%s: %v, want a failure", token, err)
			}
		}
		before := asked.Load()
		d := sdk.AsDenial(p.Run(t.Context(), "r", verify, request(strings.Repeat("x", maxRef+1))))
		if d == nil || d.Reason != "principal_unknown" || !d.Forbidden || asked.Load() != before {
			t.Errorf("a long name: %v; the directory was asked: %v", d, asked.Load() != before)
		}
	})
}

func TestHostCallsAfterTheEndAreRefused(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, unary bool) {
		var asked atomic.Int32
		h := &fakeHost{find: func(context.Context, Caller, sdk.PrincipalRef) (sdk.Principal, error) {
			asked.Add(1)
			return sdk.Principal{}, nil
		}}
		kept := make(chan context.Context, 1)
		f := &fake{identify: func(ctx context.Context, _ sdk.Request) (sdk.Identity, error) {
			kept <- context.WithoutCancel(ctx)
			return sdk.Identity{}, nil
		}}
		p := startFake(t, f, h, unary)
		if err := p.Run(t.Context(), "r", external[:1], request("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := sdk.FindPrincipal(<-kept, sdk.PrincipalRef{ID: "1"}); err == nil || !strings.Contains(err.Error(), "has ended") {
			t.Errorf("%v", err)
		}
		if asked.Load() != 0 {
			t.Error("the host was asked on behalf of a call that has ended")
		}
	})
}

func TestHostCallsEndWithTheirCall(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, unary bool) {
		asked, ended := make(chan struct{}), make(chan struct{})
		h := &fakeHost{find: func(ctx context.Context, _ Caller, _ sdk.PrincipalRef) (sdk.Principal, error) {
			close(asked)
			<-ctx.Done()
			close(ended)
			return sdk.Principal{}, ctx.Err()
		}}
		f := &fake{identify: func(ctx context.Context, _ sdk.Request) (sdk.Identity, error) {
			_, err := sdk.FindPrincipal(ctx, sdk.PrincipalRef{ID: "1"})
			return sdk.Identity{}, err
		}}
		p := startFake(t, f, h, unary)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { <-asked; cancel() }()
		if err := p.Run(ctx, "r", external[:1], request("x")); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		wait(t, ended, "the host's own work ends")
	})
}

// A plugin in another language, or a bad one, says on the stream what it likes.
func TestHostCallsOfOthersAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		code   Code
		change func(*pluginv1.HostCall)
	}{
		"another instance":    {CodeError, func(c *pluginv1.HostCall) { c.InstanceId = 2 }},
		"another call":        {CodeError, func(c *pluginv1.HostCall) { c.CallId += 100 }},
		"no call":             {CodeError, func(c *pluginv1.HostCall) { c.CallId = 0 }},
		"nothing asked":       {CodeUnsupported, func(c *pluginv1.HostCall) { c.Call = nil }},
		"no reference":        {CodeError, func(c *pluginv1.HostCall) { c.Call = &pluginv1.HostCall_FindPrincipal{} }},
		"not a secret's name": {CodeError, func(c *pluginv1.HostCall) { c.Call = &pluginv1.HostCall_ResolveSecret{} }},
		"far too much": {CodeTooLarge, func(c *pluginv1.HostCall) {
			c.Call = &pluginv1.HostCall_ResolveSecret{ResolveSecret: &pluginv1.ResolveSecret{Reference: strings.Repeat("x", maxItem)}}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			h := &fakeHost{find: func(context.Context, Caller, sdk.PrincipalRef) (sdk.Principal, error) {
				asked.Add(1)
				return sdk.Principal{}, nil
			}}
			p := startRaw(t, h, func(s openServer) error {
				m, err := s.Recv()
				if err != nil {
					return err
				}
				id := m.GetLegs()[0].GetId()
				hc := &pluginv1.HostCall{Id: 1, CallId: id, InstanceId: 1, Call: &pluginv1.HostCall_FindPrincipal{
					FindPrincipal: &pluginv1.FindPrincipal{Ref: &pluginv1.PrincipalRef{Id: "1"}},
				}}
				c.change(hc)
				if err := s.Send(&pluginv1.OpenResponse{Calls: []*pluginv1.HostCall{hc}}); err != nil {
					return err
				}
				if m, err = s.Recv(); err != nil {
					return err
				}
				reply := "none"
				if r := m.GetReplies(); len(r) == 1 && r[0].GetFailure() != nil {
					reply = fmt.Sprint("refused ", r[0].GetFailure().GetCode().Number())
				}
				if err := s.Send(&pluginv1.OpenResponse{Results: []*pluginv1.LegResult{{Id: id, Failure: &pluginv1.Failure{Message: reply}}}}); err != nil {
					return err
				}
				_, err = s.Recv()
				return err
			})
			st := request("x")
			st.Identity = &sdk.Identity{}
			err := p.Run(t.Context(), "realm1", []Step{{sdk.KindPrincipalRolesMapper, 1}}, st)
			if err == nil || err.Error() != fmt.Sprint("refused ", c.code) || asked.Load() != 0 {
				t.Errorf("%v; the host was asked %d times", err, asked.Load())
			}
		})
	}
}

// The secret that a leg asks for is resolved by the same process, in another leg.
func TestNestedCallsIntoTheSameProcess(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, unary bool) {
		ref := mustRef(t, "urn:realmgate-secret:s:a")
		f := &fake{identify: func(ctx context.Context, r sdk.Request) (sdk.Identity, error) {
			if r.Token == "inner" {
				return sdk.Identity{Subject: "inner"}, nil
			}
			v, err := ref.Value(ctx)
			return sdk.Identity{Subject: string(v.Reveal())}, err
		}}
		var p *Process
		h := &fakeHost{}
		h.resolve = func(ctx context.Context, _ Caller, _ sdk.SecretRef) (sdk.Secret, error) {
			st := request("inner")
			err := p.Run(ctx, "r", external, st)
			if err != nil {
				return sdk.Secret{}, err
			}
			return sdk.NewSecret([]byte(st.Identity.Subject)), nil
		}
		p = startFake(t, f, h, unary)
		var all sync.WaitGroup
		for range 300 { // more than there are host calls at a time
			all.Go(func() {
				st := request("outer")
				if err := p.Run(t.Context(), "r", external, st); err != nil || st.Identity.Subject != "inner" {
					t.Errorf("%v %+v", err, st.Identity)
				}
			})
		}
		all.Wait()
	})
}

func TestEndlessNestingEnds(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, unary bool) {
		ref := mustRef(t, "urn:realmgate-secret:s:a")
		f := &fake{identify: func(ctx context.Context, _ sdk.Request) (sdk.Identity, error) {
			_, err := ref.Value(ctx)
			return sdk.Identity{}, err
		}}
		var p *Process
		h := &fakeHost{}
		h.resolve = func(ctx context.Context, _ Caller, _ sdk.SecretRef) (sdk.Secret, error) {
			return sdk.Secret{}, p.Run(ctx, "r", external, request("x"))
		}
		p = startFake(t, f, h, unary)
		if err := p.Run(t.Context(), "r", external, request("x")); err == nil || !strings.Contains(err.Error(), "nested deeper") {
			t.Errorf("%v", err)
		}
	})
}

func TestPrincipalsAreRememberedForAnEpoch(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, unary bool) {
		var asked atomic.Int32
		h := &fakeHost{find: func(_ context.Context, c Caller, _ sdk.PrincipalRef) (sdk.Principal, error) {
			asked.Add(1)
			return sdk.Principal{ID: "1", Name: c.Realm, Roles: []string{"r"}, Attributes: map[string]string{"a": "b"}}, nil
		}}
		f := &fake{identify: func(ctx context.Context, r sdk.Request) (sdk.Identity, error) {
			p, err := sdk.FindPrincipal(ctx, sdk.PrincipalRef{ID: r.Token})
			if err != nil {
				return sdk.Identity{}, err
			}
			id := sdk.Identity{Subject: p.Name + p.Roles[0] + p.Attributes["a"]}
			p.Roles[0], p.Attributes["a"] = "changed", "changed"
			return id, nil
		}}
		p := startFake(t, f, h, unary)
		for i, c := range []struct {
			epoch uint64
			realm string
			token string
			want  int32
		}{
			{0, "realm1", "1", 1}, {0, "realm1", "1", 2}, // never remembered
			{5, "realm1", "1", 3}, {5, "realm1", "1", 3}, {5, "realm1", "1", 3},
			{5, "realm2", "1", 4}, {5, "realm1", "2", 5}, // another realm, another principal
			{6, "realm1", "1", 6}, {6, "realm1", "1", 6}, // a moved epoch
			{0, "realm1", "1", 7},
		} {
			h.epoch.Store(c.epoch)
			st := request(c.token)
			if err := p.Run(t.Context(), c.realm, external[:1], st); err != nil || st.Identity.Subject != c.realm+"rb" {
				t.Errorf("%d: %v %+v", i, err, st.Identity)
			}
			if n := asked.Load(); n != c.want {
				t.Errorf("%d: asked %d times, want %d", i, n, c.want)
			}
		}
	})
}

func TestLargePrincipalsAreNotRemembered(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	h := &fakeHost{find: func(context.Context, Caller, sdk.PrincipalRef) (sdk.Principal, error) {
		asked.Add(1)
		return sdk.Principal{ID: strings.Repeat("x", maxKnownBytes+1)}, nil
	}}
	h.epoch.Store(1)
	f := &fake{identify: func(ctx context.Context, _ sdk.Request) (sdk.Identity, error) {
		_, err := sdk.FindPrincipal(ctx, sdk.PrincipalRef{ID: "1"})
		return sdk.Identity{}, err
	}}
	p := startFake(t, f, h, false)
	for range 2 {
		if err := p.Run(t.Context(), "r", external[:1], request("x")); err != nil {
			t.Fatal(err)
		}
	}
	if asked.Load() != 2 {
		t.Error("a principal over the bound is remembered")
	}
}

func TestHostCallsAtATimeAreBounded(t *testing.T) {
	t.Parallel()
	var l lane
	release := make(chan struct{})
	var running, most, done atomic.Int32
	work := func() {
		most.Store(max(most.Load(), running.Add(1)))
		<-release
		running.Add(-1)
		done.Add(1)
	}
	const all = maxHostCalls + maxWaitingCalls
	for i := range all {
		if !l.run(1, work) {
			t.Fatalf("the call %d is refused", i)
		}
	}
	if l.run(1, work) {
		t.Error("a call over the bound is taken")
	}
	close(release)
	deadline := time.Now().Add(20 * time.Second)
	for done.Load() < all && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if done.Load() != all || most.Load() > maxHostCalls {
		t.Errorf("%d of %d are done, %d at a time", done.Load(), all, most.Load())
	}
	if !l.run(1, func() {}) {
		t.Error("afterwards a call is refused")
	}
}

func TestWaitingHostCallsAreBoundedInBytes(t *testing.T) {
	t.Parallel()
	var l lane
	release := make(chan struct{})
	var done atomic.Int32
	work := func() { <-release; done.Add(1) }
	all := int32(0)
	for ; l.run(maxItem, work); all++ {
	}
	if want := int32(maxHostCalls + maxQueue/maxItem); all != want {
		t.Errorf("%d large calls are taken, want %d", all, want)
	}
	close(release)
	eventually(t, "all are done", func() bool { return done.Load() == all })
	eventually(t, "nothing is held", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.bytes == 0 && l.running == 0 })
}

func TestWithoutSessionThereAreNoHostCalls(t *testing.T) {
	t.Parallel()
	f := &fake{identify: func(ctx context.Context, _ sdk.Request) (sdk.Identity, error) {
		_, err := sdk.FindPrincipal(ctx, sdk.PrincipalRef{ID: "1"})
		return sdk.Identity{}, err
	}}
	p := startFake(t, f, &fakeHost{find: func(context.Context, Caller, sdk.PrincipalRef) (sdk.Principal, error) {
		return sdk.Principal{}, nil
	}}, true)
	p.mode.Store(uint32(SessionNone))
	if err := p.OpenSession(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Run(t.Context(), "r", external[:1], request("x")); err == nil || !strings.Contains(fmt.Sprint(err), "may not ask") {
		t.Errorf("%v", err)
	}
}
