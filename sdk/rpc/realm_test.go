package rpc

import (
	"context"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

// One instance of a tenant's mapper serves many realms, whose epochs may have the same number: it is told which one it is.
func TestStagesAreToldTheRealm(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, unary bool) {
		type said struct {
			realm string
			epoch uint64
		}
		heard := make(chan said, 1)
		host := &fakeHost{}
		host.epoch.Store(7)
		p := startFake(t, &fake{mapPrincipal: func(ctx context.Context, _ sdk.Identity) (sdk.PrincipalRef, error) {
			heard <- said{sdk.Realm(ctx), sdk.Epoch(ctx)}
			return sdk.PrincipalRef{Name: "x"}, nil
		}}, host, unary)
		for _, realm := range []string{"east", "west"} {
			st := &sdk.State{Request: &sdk.Request{Realm: realm}, Identity: &sdk.Identity{Issuer: "i", Subject: "s"}}
			if err := p.Run(t.Context(), realm, []Step{{sdk.KindPrincipalMapper, 2}}, st); err != nil {
				t.Fatal(err)
			}
			if got, want := <-heard, (said{realm, 7}); got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
		}
	})
}

// realmTeller says the realm of its constructor, and of a check.
type realmTeller struct {
	fake
	told chan string
}

func (r *realmTeller) Check(ctx context.Context) error {
	r.told <- sdk.Realm(ctx)
	return nil
}

func TestConstructorsAndChecksAreToldTheRealm(t *testing.T) {
	t.Parallel()
	told := make(chan string, 1)
	build := func(ctx context.Context, _ sdk.Setup, _ none) (*realmTeller, error) {
		told <- sdk.Realm(ctx)
		return &realmTeller{told: told}, nil
	}
	p := start(t, &Server{Implementations: []sdk.Implementation{sdk.TokenBrokerType("a", build), sdk.PrincipalMapperType("a", build)}}, &fakeHost{})
	for id, c := range []struct {
		kind  sdk.Kind
		setup sdk.Setup
	}{{sdk.KindTokenBroker, sdk.Setup{Realm: "east"}}, {sdk.KindPrincipalMapper, sdk.Setup{Tenant: "everybody"}}} {
		ds, err := p.Configure(t.Context(), []Instance{{ID: uint64(id), Kind: c.kind, Type: "a", Settings: []byte(`{}`), Setup: c.setup}})
		if err != nil || len(ds) > 0 {
			t.Fatal(ds, err)
		}
		if got := <-told; got != c.setup.Realm {
			t.Errorf("a constructor is told %q, want %q", got, c.setup.Realm)
		}
		if err := p.Check(t.Context(), c.setup.Realm, c.kind, uint64(id)); err != nil {
			t.Fatal(err)
		}
		if got := <-told; got != c.setup.Realm {
			t.Errorf("a check is told %q, want %q", got, c.setup.Realm)
		}
	}
}
