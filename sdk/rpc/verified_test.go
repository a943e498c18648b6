package rpc

import (
	"context"
	"testing"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/breaker"
	"github.com/realmgate/realmgate/sdk/verified"
)

// All instances of a process, of whatever type, remember verified tokens in one store, which bounds them together.
func TestOneStoreOfVerifiedTokens(t *testing.T) {
	t.Parallel()
	stores := make(chan *verified.Store, 3)
	build := func(ctx context.Context, _ sdk.Setup, _ none) (caller, error) {
		stores <- verified.StoreOf(ctx)
		return caller{}, nil
	}
	p := start(t, &Server{Implementations: []sdk.Implementation{sdk.PrincipalMapperType("a", build), sdk.PrincipalMapperType("b", build)}}, &fakeHost{})
	for id, typ := range []string{"a", "a", "b"} {
		in := []Instance{{ID: uint64(id), Kind: sdk.KindPrincipalMapper, Type: typ, Settings: []byte(`{}`)}}
		if ds, err := p.Configure(t.Context(), in); err != nil || len(ds) > 0 {
			t.Fatal(ds, err)
		}
	}
	first := <-stores
	for range 2 {
		if <-stores != first {
			t.Error("two instances have two stores")
		}
	}
}

// What the parts of a process share is the same in a method, which is no place to make a memory.
func TestCallsHaveWhatConstructorsHave(t *testing.T) {
	t.Parallel()
	type shared struct {
		outbound *breaker.Outbound
		store    *verified.Store
	}
	of := func(ctx context.Context) shared { return shared{breaker.OutboundOf(ctx), verified.StoreOf(ctx)} }
	both(t, func(t *testing.T, unary bool) {
		got := make(chan shared, 1)
		f := &fake{mapPrincipal: func(ctx context.Context, _ sdk.Identity) (sdk.PrincipalRef, error) {
			if _, err := verified.New(ctx, nil); err == nil {
				t.Error("a memory is made in a call")
			}
			got <- of(ctx)
			return sdk.PrincipalRef{Name: "x"}, nil
		}}
		build := func(ctx context.Context, _ sdk.Setup, _ none) (*fake, error) {
			if _, err := verified.New(ctx, nil); err != nil {
				t.Error(err)
			}
			got <- of(ctx)
			return f, nil
		}
		p := start(t, &Server{Implementations: []sdk.Implementation{sdk.PrincipalMapperType("fake", build)}, UnaryOnly: unary}, &fakeHost{})
		if ds, err := p.Configure(t.Context(), []Instance{{ID: 2, Kind: sdk.KindPrincipalMapper, Type: "fake", Settings: []byte(`{}`)}}); err != nil || len(ds) > 0 {
			t.Fatal(ds, err)
		}
		want := <-got
		for range 2 {
			st := request("x")
			st.Identity = &sdk.Identity{Issuer: "i", Subject: "s"}
			if err := p.Run(t.Context(), "r", []Step{{sdk.KindPrincipalMapper, 2}}, st); err != nil {
				t.Fatal(err)
			}
			if in := <-got; in != want {
				t.Errorf("a call has %v, the constructor %v", in, want)
			}
		}
	})
}
