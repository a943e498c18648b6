package rpc

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

// Host calls wait for calls that ask the host themselves. If both stood in one line, they would wait for each other.
func TestNestedHostCallsDoNotWaitForOuterOnes(t *testing.T) {
	t.Parallel()
	ref := mustRef(t, "urn:realmgate-secret:s:a")
	f := &fake{identify: func(ctx context.Context, r sdk.Request) (sdk.Identity, error) {
		if r.Token == "inner" {
			p, err := sdk.FindPrincipal(ctx, sdk.PrincipalRef{ID: "1"})
			return sdk.Identity{Subject: p.Name}, err
		}
		v, err := ref.Value(ctx)
		return sdk.Identity{Subject: string(v.Reveal())}, err
	}}
	var p *Process
	var outer atomic.Int32
	full := make(chan struct{})
	h := &fakeHost{find: func(context.Context, Caller, sdk.PrincipalRef) (sdk.Principal, error) {
		return sdk.Principal{Name: "alice"}, nil
	}}
	h.resolve = func(ctx context.Context, _ Caller, _ sdk.SecretRef) (sdk.Secret, error) {
		if outer.Add(1) == maxHostCalls {
			close(full)
		}
		select {
		case <-full:
		case <-ctx.Done():
		}
		st := request("inner")
		if err := p.Run(ctx, "r", external[:1], st); err != nil {
			return sdk.Secret{}, err
		}
		return sdk.NewSecret([]byte(st.Identity.Subject)), nil
	}
	p = startFake(t, f, h, false)
	var all sync.WaitGroup
	for n := range maxHostCalls + 8 {
		all.Go(func() {
			st := request("outer")
			if err := p.Run(t.Context(), "realm"+string(rune('a'+n%4)), external[:1], st); err != nil || st.Identity.Subject != "alice" {
				t.Errorf("%v %+v", err, st.Identity)
			}
		})
	}
	all.Wait()
}

// What is found just before its end must not be used after it.
func TestWhatHasEndedIsNotUsed(t *testing.T) {
	t.Parallel()
	cs := newCalls()
	c := &call{ctx: t.Context(), realm: "r", parties: external}
	if err := cs.enter(c); err != nil {
		t.Fatal(err)
	}
	ctx, ok := c.hostContext(&fakeHost{})
	if !ok || ctx.Err() != nil {
		t.Error("a call under way may not ask the host")
	}
	cs.leave(c)
	if ctx.Err() == nil {
		t.Error("the host calls of a call outlive it")
	}
	if _, ok := c.hostContext(&fakeHost{}); ok {
		t.Error("a call that has ended may ask the host")
	}

	table := newInstances(nil)
	i := &instance{kind: sdk.KindTokenBroker}
	if !table.reserve(1) || !table.fill(1, i) {
		t.Fatal("there is no place")
	}
	table.release(1)
	table.m[1] = i // as who looked it up just before sees it
	if _, _, err := table.acquire(t.Context(), 1, sdk.KindTokenBroker); err == nil {
		t.Error("a released instance takes a call")
	}
}

// The no matters, not what led to it.
func TestDenialIsToldWhenTheRestIsTooLarge(t *testing.T) {
	t.Parallel()
	f := &fake{
		mapRoles: func(context.Context, sdk.Identity) ([]string, error) {
			return []string{strings.Repeat("x", maxItem)}, nil
		},
		authenticate: func(context.Context, sdk.Credential) (sdk.Principal, error) {
			return sdk.Principal{}, sdk.Forbid("principal_unknown", "nobody")
		},
	}
	p := startFake(t, f, &fakeHost{}, false)
	if d := sdk.AsDenial(p.Run(t.Context(), "r", external, request("x"))); d == nil || d.Reason != "principal_unknown" || !d.Forbidden {
		t.Errorf("%v", d)
	}
}
