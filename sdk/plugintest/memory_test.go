package plugintest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

// rememberer is an authenticator that remembers principals in its process, as key says; nil: not at all.
type rememberer struct {
	setup sdk.Setup
	known *sync.Map
	key   func(epoch uint64, realm, id string) string
}

func (r *rememberer) Authenticate(ctx context.Context, c sdk.Credential) (sdk.Principal, error) {
	if r.key == nil || sdk.Epoch(ctx) == 0 {
		return sdk.FindPrincipal(ctx, c.Principal)
	}
	key := r.key(sdk.Epoch(ctx), r.setup.Realm, c.Principal.ID)
	if p, had := r.known.Load(key); had {
		return p.(sdk.Principal), nil
	}
	p, err := sdk.FindPrincipal(ctx, c.Principal)
	if err != nil {
		return p, err
	}
	p.Realm = r.setup.Realm
	r.known.Store(key, p)
	return p, nil
}

func rememberers(key func(epoch uint64, realm, id string) string) []sdk.Implementation {
	var known sync.Map
	return []sdk.Implementation{sdk.AuthenticatorType("rememberer", func(_ context.Context, su sdk.Setup, _ struct{}) (*rememberer, error) {
		return &rememberer{su, &known, key}, nil
	}, sdk.Wants(sdk.WantPrincipals))}
}

// signer is an identity provider that takes a key of the directory for good, once it has seen it.
type signer struct {
	mu      sync.Mutex
	known   map[string]bool
	forever bool
}

func (s *signer) Identify(ctx context.Context, r sdk.Request) (sdk.Identity, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.known[r.Token] || !s.forever {
		if _, err := sdk.FindAccessKey(ctx, r.Token); err != nil {
			return sdk.Identity{}, err
		}
		s.known[r.Token] = true
	}
	return sdk.Identity{Issuer: "i", Subject: "s", Claims: sdk.NewClaims([]byte(`{}`))}, nil
}

func signers(forever bool) []sdk.Implementation {
	return []sdk.Implementation{sdk.IdentityProviderType("signer", func(context.Context, sdk.Setup, struct{}) (*signer, error) {
		return &signer{known: map[string]bool{}, forever: forever}, nil
	}, sdk.Wants(sdk.WantAccessKeys))}
}

// What a part remembers of the directory is of one realm and one epoch.
func TestWhatIsRemembered(t *testing.T) {
	t.Parallel()
	own := Case{Kind: sdk.KindAuthenticator, Type: "rememberer"}
	own.complete(offerOf(rememberers(nil)))
	signed := Case{
		Kind: sdk.KindIdentityProvider, Type: "signer", Setup: sdk.Setup{Tenant: "t"}, AccessKeys: []sdk.AccessKey{{ID: "the-only-key", Enabled: true, Secret: mustRef("urn:realmgate-secret:s:p")}},
		Call: func(ctx context.Context, i *Instance) error {
			return i.Step(ctx, &sdk.State{Request: &sdk.Request{Scheme: "bearer", Token: "the-only-key"}})
		},
	}
	for name, tt := range map[string]struct {
		impls []sdk.Implementation
		check func(context.Context, *suite, Case) error
		c     Case
		want  string
	}{
		"nothing":            {rememberers(nil), checkMemory, own, ""},
		"by realm and epoch": {rememberers(func(epoch uint64, realm, id string) string { return fmt.Sprint(epoch, realm, id) }), checkMemory, own, ""},
		"likewise, realms":   {rememberers(func(epoch uint64, realm, id string) string { return fmt.Sprint(epoch, realm, id) }), checkRealms, own, ""},
		"for ever":           {rememberers(func(_ uint64, realm, id string) string { return realm + id }), checkMemory, own, "the answer is what the directory said before"},
		"for all realms":     {rememberers(func(epoch uint64, _, id string) string { return fmt.Sprint(epoch, id) }), checkRealms, own, "realm"},
		"keys":               {signers(false), checkMemory, signed, ""},
		"keys for ever":      {signers(true), checkMemory, signed, "since all principals and access keys were removed, and the answer is still a yes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantFinding(t, tt.impls, tt.check, tt.c, tt.want)
		})
	}
}
