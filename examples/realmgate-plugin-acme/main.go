// Command realmgate-plugin-acme is a third party's plugin: a principal mapper that names a principal after the badge
// number in a claim. README.md has its configuration.
package main

import (
	"context"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/serve"
)

type mapper struct {
	Claim  string `json:"claim" doc:"claim that holds the badge number"`
	Prefix string `json:"prefix,omitempty" doc:"put before the badge number"`
}

func newMapper(_ context.Context, _ sdk.Setup, m mapper) (*mapper, error) { return &m, nil }

func (m *mapper) MapPrincipal(_ context.Context, id sdk.Identity) (sdk.PrincipalRef, error) {
	badge, ok := id.Claims.String(m.Claim)
	if !ok || badge == "" {
		return sdk.PrincipalRef{}, sdk.Deny("claim_missing", "the token has no text in the claim %q", m.Claim)
	}
	return sdk.PrincipalRef{Name: m.Prefix + badge}, nil
}

// parts is what the plugin offers; its tests run the same.
func parts() []sdk.Implementation {
	return []sdk.Implementation{sdk.PrincipalMapperType("badge", newMapper, sdk.Cacheable())}
}

func main() { serve.Main("acme", "1.0.0", parts()...) }
