package sdk

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

// parts is an implementation of every stage.
type parts struct{ err error }

func (p parts) Identify(_ context.Context, r Request) (Identity, error) {
	return Identity{Issuer: "i", Subject: r.Token, Audience: []string{"a"}, TokenID: "t", AuthTime: time.UnixMilli(1), Expires: time.UnixMilli(2)}, p.err
}
func (p parts) MapPrincipal(_ context.Context, i Identity) (PrincipalRef, error) {
	return PrincipalRef{Name: i.Subject}, p.err
}
func (p parts) MapRoles(context.Context, Identity) ([]string, error) { return nil, p.err }
func (p parts) Verify(_ context.Context, r Request) (Credential, error) {
	return Credential{Realm: r.Realm, Source: SourceExternal}, p.err
}
func (p parts) Issue(context.Context, Grant) (Token, error) { return Token{}, p.err }
func (p parts) Authenticate(_ context.Context, c Credential) (Principal, error) {
	return Principal{Name: c.Principal.Name, Roles: []string{"r"}}, p.err
}
func (p parts) ActiveRoles(context.Context, Principal, []string) ([]string, error) { return nil, p.err }

func TestStepsOfAnExternalDecision(t *testing.T) {
	t.Parallel()
	for name, order := range map[string][]Kind{
		"principal first": {KindIdentityProvider, KindPrincipalMapper, KindPrincipalRolesMapper, KindAuthenticator, KindActiveRolesProvider},
		"roles first":     {KindIdentityProvider, KindPrincipalRolesMapper, KindPrincipalMapper, KindAuthenticator, KindActiveRolesProvider},
	} {
		s := &State{Request: &Request{Realm: "realm1", Token: "alice"}}
		for n, k := range order {
			if err := Step(t.Context(), k, parts{}, s); err != nil {
				t.Fatal(name, err)
			}
			if (s.Credential != nil) != (n >= 2) {
				t.Errorf("%s: after %d steps the credential is %v", name, n+1, s.Credential)
			}
		}
		want := &Credential{
			Realm: "realm1", Source: SourceExternal, Principal: PrincipalRef{Name: "alice"}, RequestedRoles: []string{}, Issuer: "i",
			Audience: []string{"a"}, TokenID: "t", AuthTime: time.UnixMilli(1), Expires: time.UnixMilli(2),
		}
		if !reflect.DeepEqual(s.Credential, want) {
			t.Errorf("%s: %+v, want %+v", name, s.Credential, want)
		}
		if s.Principal.Realm != "realm1" || s.Active == nil || s.Mapped == nil {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestABrokersCredentialIsInternal(t *testing.T) {
	t.Parallel()
	s := &State{Request: &Request{Realm: "r"}}
	if err := Step(t.Context(), KindTokenBroker, parts{}, s); err != nil || s.Credential.Source != SourceInternal {
		t.Errorf("%+v %v", s.Credential, err)
	}
}

func TestStepErrors(t *testing.T) {
	t.Parallel()
	full := State{
		Request: &Request{}, Identity: &Identity{}, Credential: &Credential{}, Principal: &Principal{},
	}
	broken := errors.New("broken")
	for k := KindIdentityProvider; k <= KindTokenBroker; k++ {
		if err := Step(t.Context(), k, parts{}, &State{}); err == nil || AsDenial(err) != nil {
			t.Errorf("%v of nothing: %v", k, err)
		}
		s := full
		if err := Step(t.Context(), k, parts{broken}, &s); !errors.Is(err, broken) || !reflect.DeepEqual(s, full) {
			t.Errorf("%v: %v changes %+v", k, err, s)
		}
		s = full
		var p *PanicError
		if err := Step(t.Context(), k, 5, &s); !errors.As(err, &p) || len(p.Stack) == 0 || AsDenial(err) != nil {
			t.Errorf("%v of another kind: %v", k, err)
		}
		s = full
		err := Step(t.Context(), k, parts{NotMine()}, &s)
		if verifier := k == KindTokenBroker || k == KindIdentityProvider; (AsDenial(err) != nil) != verifier {
			t.Errorf("%v answers not_mine: %v", k, err)
		}
	}
	for _, k := range []Kind{0, KindSecretResolver, KindCredentialVendor, 99} {
		if err := Step(t.Context(), k, parts{}, &State{}); err == nil || !strings.Contains(err.Error(), "is not a stage") {
			t.Errorf("%v: %v", k, err)
		}
	}
}

type hinter struct{ parts }

func (hinter) MapRoles(ctx context.Context, _ Identity) ([]string, error) {
	CacheFor(ctx, time.Minute)
	CacheFor(ctx, time.Hour)
	return nil, errors.New("also an error has a hint")
}

func TestCacheHints(t *testing.T) {
	t.Parallel()
	s := &State{Identity: &Identity{}, Cache: CacheHint{MaxAge: 2 * time.Minute}}
	_ = Step(t.Context(), KindPrincipalRolesMapper, hinter{}, s)
	if s.Cache != (CacheHint{MaxAge: time.Minute}) {
		t.Errorf("%+v", s.Cache)
	}
	min1, hour, no := CacheHint{MaxAge: time.Minute}, CacheHint{MaxAge: time.Hour}, CacheHint{NoStore: true}
	for _, c := range []struct{ a, b, want CacheHint }{
		{CacheHint{}, CacheHint{}, CacheHint{}}, {min1, CacheHint{}, min1}, {min1, hour, min1},
		{no, CacheHint{}, no}, {no, min1, CacheHint{MaxAge: time.Minute, NoStore: true}},
	} {
		if got := c.a.Least(c.b); got != c.want {
			t.Errorf("%+v and %+v: %+v", c.a, c.b, got)
		}
		if got := c.b.Least(c.a); got != c.want {
			t.Errorf("%+v and %+v: %+v", c.b, c.a, got)
		}
	}
	CacheFor(t.Context(), time.Second) // outside a step nothing happens
	box := &hintBox{}
	CacheFor(context.WithValue(t.Context(), hintKey{}, box), -time.Second)
	if !box.hint.NoStore {
		t.Error("a life that is over may be remembered")
	}
}

// lingering is a stage that leaves a goroutine behind, which goes on about remembering.
type lingering struct {
	parts
	stop  chan struct{}
	ended chan struct{}
}

func (l lingering) MapRoles(ctx context.Context, _ Identity) ([]string, error) {
	begun := make(chan struct{})
	go func() {
		defer close(l.ended)
		CacheFor(ctx, time.Hour)
		close(begun)
		for n := time.Hour; ; n-- {
			CacheFor(ctx, n)
			select {
			case <-l.stop:
				return
			default:
			}
		}
	}()
	<-begun
	return nil, nil
}

// It is the race detector that sees a fault here.
func TestAGoroutineMayOutliveItsStage(t *testing.T) {
	t.Parallel()
	for range 20 {
		l := lingering{stop: make(chan struct{}), ended: make(chan struct{})}
		s := &State{Identity: &Identity{}}
		if err := Step(t.Context(), KindPrincipalRolesMapper, l, s); err != nil || s.Cache.MaxAge == 0 {
			t.Errorf("%+v %v", s.Cache, err)
		}
		close(l.stop)
		<-l.ended
	}
}
