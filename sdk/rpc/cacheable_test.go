package rpc

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// What a stage answers that neither says that it is cacheable nor gives a hint is not remembered, be it a yes, a no or a fault,
// however the other stages of the leg speak.
func TestUndeclaredStagesAreNotRemembered(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, unary bool) {
		minute := func(ctx context.Context) { sdk.CacheFor(ctx, time.Minute) }
		mapper := func(before func(context.Context), err error) *fake {
			return &fake{mapPrincipal: func(ctx context.Context, i sdk.Identity) (sdk.PrincipalRef, error) {
				if before != nil {
					before(ctx)
				}
				return sdk.PrincipalRef{Name: i.Subject}, err
			}}
		}
		other := mapper(nil, nil)
		other.identify = func(ctx context.Context, r sdk.Request) (sdk.Identity, error) {
			minute(ctx)
			return sdk.Identity{Issuer: "i", Subject: r.Token, Claims: sdk.NewClaims([]byte(`{}`))}, nil
		}
		for _, c := range []struct {
			name     string
			f        *fake
			declared bool
			want     sdk.CacheHint
			fails    bool
		}{
			{"declared", mapper(nil, nil), true, sdk.CacheHint{}, false},
			{"not declared", mapper(nil, nil), false, sdk.CacheHint{NoStore: true}, false},
			{"with a hint", mapper(minute, nil), false, sdk.CacheHint{MaxAge: time.Minute}, false},
			{"with a hint of another stage only", other, false, sdk.CacheHint{NoStore: true, MaxAge: time.Minute}, false},
			{"denied", mapper(nil, sdk.Deny("no", "")), false, sdk.CacheHint{NoStore: true}, true},
			{"denied, with a hint", mapper(minute, sdk.Deny("no", "")), false, sdk.CacheHint{MaxAge: time.Minute}, true},
			{"denied, declared", mapper(nil, sdk.Deny("no", "")), true, sdk.CacheHint{}, true},
			{"failed", mapper(nil, errors.New("down")), false, sdk.CacheHint{NoStore: true}, true},
		} {
			all := c.f.offers()
			if !c.declared {
				all[1] = sdk.PrincipalMapperType("fake", func(context.Context, sdk.Setup, none) (*fake, error) { return c.f, nil })
			}
			p := start(t, &Server{Implementations: all, UnaryOnly: unary}, &fakeHost{})
			configureFake(t, p)
			st := request("x")
			err := p.Run(t.Context(), "realm1", external, st)
			if st.Cache != c.want || (err != nil) != c.fails {
				t.Errorf("%s: %+v, %v", c.name, st.Cache, err)
			}
			// A stage that spoke before says nothing about it.
			st = request("x")
			if err := p.Run(t.Context(), "realm1", external[:1], st); err != nil || st.Cache.NoStore {
				t.Errorf("%s: the identity provider: %+v, %v", c.name, st.Cache, err)
			}
		}
	})
}
