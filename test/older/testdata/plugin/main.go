// Command plugin has a part for each stage of a decision. It is built with the SDK of the tree and with an older one.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/serve"
)

func main() {
	serve.Main("older", "1.0.0",
		sdk.TokenBrokerType("older", newBroker),
		sdk.IdentityProviderType("older", newProvider),
		sdk.PrincipalMapperType("older", newMapper),
		sdk.PrincipalRolesMapperType("older", newRoles),
		sdk.AuthenticatorType("older", newAuthenticator, sdk.Wants(sdk.WantPrincipals)),
		sdk.ActiveRolesProviderType("older", newActive))
}

type none struct{}

// broker keeps what it issued; a token is the key.
type broker struct {
	mu     sync.Mutex
	issued map[string]sdk.Credential
}

func newBroker(context.Context, sdk.Setup, none) (*broker, error) {
	return &broker{issued: map[string]sdk.Credential{}}, nil
}

func (b *broker) Issue(_ context.Context, g sdk.Grant) (sdk.Token, error) {
	life := time.Hour
	if g.Lifetime > 0 {
		life = min(life, g.Lifetime)
	}
	now := time.Now()
	t := sdk.Token{Value: "older." + g.TokenID, ID: g.TokenID, Type: "Bearer", Expires: now.Add(life)}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.issued[t.Value] = sdk.Credential{
		Realm: g.Realm, Source: sdk.SourceInternal, Principal: g.Principal, RequestedRoles: g.Scope, Issuer: g.Issuer, Audience: g.Audience,
		TokenID: g.TokenID, ClientID: g.ClientID, IssuedAt: now, AuthTime: g.AuthTime, SecretVersion: g.SecretVersion, Expires: t.Expires,
	}
	return t, nil
}

func (b *broker) Verify(_ context.Context, r sdk.Request) (sdk.Credential, error) {
	if !strings.HasPrefix(r.Token, "older.") {
		return sdk.Credential{}, sdk.NotMine()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	c, ok := b.issued[r.Token]
	if !ok {
		return sdk.Credential{}, sdk.Deny("token_invalid", "the token was not issued here")
	}
	return c, nil
}

// provider believes a token that is a JSON object in base64url.
type provider struct{}

func newProvider(context.Context, sdk.Setup, none) (provider, error) { return provider{}, nil }

func (provider) Identify(_ context.Context, r sdk.Request) (sdk.Identity, error) {
	raw, err := base64.RawURLEncoding.DecodeString(r.Token)
	var claims struct {
		Subject string   `json:"sub"`
		Roles   []string `json:"roles"`
		Expired bool     `json:"expired"`
	}
	if err != nil || json.Unmarshal(raw, &claims) != nil {
		return sdk.Identity{}, sdk.NotMine()
	}
	if claims.Expired {
		return sdk.Identity{}, sdk.Deny("token_expired", "the token is no longer valid")
	}
	return sdk.Identity{
		Issuer: "https://older.example.com", Subject: claims.Subject, Claims: sdk.NewClaims(raw), Roles: claims.Roles, Expires: time.Now().Add(time.Hour),
	}, nil
}

type mapper struct {
	Claim string `json:"claim"`
}

func newMapper(_ context.Context, _ sdk.Setup, m mapper) (mapper, error) { return m, nil }

func (m mapper) MapPrincipal(_ context.Context, id sdk.Identity) (sdk.PrincipalRef, error) {
	name, ok := id.Claims.String(m.Claim)
	switch {
	case !ok:
		return sdk.PrincipalRef{}, sdk.Deny("claim_missing", "the token has no claim %q", m.Claim)
	case name == "broken":
		return sdk.PrincipalRef{}, errors.New("the mapper is at fault")
	}
	return sdk.PrincipalRef{Name: name}, nil
}

type roles struct{ prefix string }

func newRoles(_ context.Context, s sdk.Setup, _ none) (roles, error) { return roles{s.RolePrefix}, nil }

func (r roles) MapRoles(_ context.Context, id sdk.Identity) ([]string, error) {
	out := make([]string, 0, len(id.Roles))
	for _, name := range id.Roles {
		out = append(out, r.prefix+name)
	}
	return out, nil
}

// authenticator asks the host, which is the way from a plugin to its directory.
type authenticator struct{}

func newAuthenticator(context.Context, sdk.Setup, none) (authenticator, error) {
	return authenticator{}, nil
}

func (authenticator) Authenticate(ctx context.Context, c sdk.Credential) (sdk.Principal, error) {
	return sdk.FindPrincipal(ctx, c.Principal)
}

type active struct{ prefix string }

func newActive(_ context.Context, s sdk.Setup, _ none) (active, error) {
	return active{s.RolePrefix}, nil
}

func (a active) ActiveRoles(_ context.Context, p sdk.Principal, requested []string) ([]string, error) {
	granted := map[string]bool{}
	for _, name := range p.Roles {
		granted[name] = true
	}
	out := []string{}
	for _, name := range requested {
		name = strings.TrimPrefix(name, a.prefix)
		if name == "ALL" {
			return p.Roles, nil
		}
		if !granted[name] {
			return nil, sdk.Forbid("role_not_granted", "the role %q is not granted", name)
		}
		out = append(out, name)
	}
	return out, nil
}
