package rpc

import (
	"context"
	"errors"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

type nobodysProvider struct{ testSettings }

func (nobodysProvider) Identify(context.Context, sdk.Request) (sdk.Identity, error) {
	return sdk.Identity{}, nil
}

// TestTenantsOfInstancesOnly: a plugin whose constructor fails again and again does not have the host keep something for each try.
func TestTenantsOfInstancesOnly(t *testing.T) {
	t.Parallel()
	p := start(t, &Server{Implementations: []sdk.Implementation{
		sdk.IdentityProviderType("i", func(ctx context.Context, _ sdk.Setup, s testSettings) (nobodysProvider, error) {
			switch s.Do {
			case "late":
				return nobodysProvider{}, context.DeadlineExceeded
			case "bad":
				return nobodysProvider{}, sdk.At(errors.New("bad"), "do")
			case "warn":
				sdk.Warn(ctx, sdk.At(errors.New("unwise"), "do"))
			}
			return nobodysProvider{}, nil
		}),
	}}, nil)
	for id, c := range []struct {
		do    string
		there bool
	}{{"late", false}, {"bad", false}, {"warn", true}, {"", true}} {
		ds, err := p.Configure(t.Context(), []Instance{{
			ID: uint64(id), Kind: sdk.KindIdentityProvider, Type: "i", Settings: []byte(`{"do":"` + c.do + `"}`), Setup: sdk.Setup{Tenant: "t"},
		}})
		if err != nil || c.do != "" && len(ds) != 1 {
			t.Fatal(ds, err)
		}
		if _, kept := p.tenants.Load(uint64(id)); kept != c.there {
			t.Errorf("%q: kept %v, want %v", c.do, kept, c.there)
		}
	}
}
