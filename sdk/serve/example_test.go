package serve_test

import (
	"context"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/serve"
)

type badges struct {
	Claim string `json:"claim" doc:"claim that holds the badge number"`
}

func newBadges(_ context.Context, _ sdk.Setup, b badges) (*badges, error) { return &b, nil }

func (b *badges) MapPrincipal(_ context.Context, id sdk.Identity) (sdk.PrincipalRef, error) {
	badge, ok := id.Claims.String(b.Claim)
	if !ok {
		return sdk.PrincipalRef{}, sdk.Deny("claim_missing", "the token has no claim %q", b.Claim)
	}
	return sdk.PrincipalRef{Name: badge}, nil
}

// All that the main of a plugin does. It is not run here: it ends with the host.
func ExampleMain() {
	serve.Main("acme", "1.0.0", sdk.PrincipalMapperType("badge", newBadges, sdk.Cacheable()))
}
