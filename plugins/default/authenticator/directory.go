package authenticator

import (
	"context"

	"github.com/realmgate/realmgate/sdk"
)

// Directory authenticates against the realm's directory.
type Directory struct{}

// NewDirectory makes a Directory.
func NewDirectory(context.Context, sdk.Setup, struct{}) (*Directory, error) {
	return &Directory{}, nil
}

// Authenticate gives the directory's principal with its granted roles. One that is unknown is forbidden by the directory,
// one that is disabled here (principal_disabled).
func (*Directory) Authenticate(ctx context.Context, c sdk.Credential) (sdk.Principal, error) {
	p, err := sdk.FindPrincipal(ctx, c.Principal)
	if err != nil {
		return sdk.Principal{}, err
	}
	if !p.Enabled {
		return sdk.Principal{}, sdk.Forbid("principal_disabled", "the principal is disabled")
	}
	return p, nil
}
