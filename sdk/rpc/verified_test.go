package rpc

import (
	"context"
	"testing"

	"github.com/realmgate/realmgate/sdk"
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
