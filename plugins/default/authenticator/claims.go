package authenticator

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/realmgate/realmgate/sdk"
)

// Claims trusts mapped foreign identities as they are: there is no provisioning.
type Claims struct{ prefix string }

// NewClaims makes a Claims for the daemon's role prefix.
func NewClaims(_ context.Context, setup sdk.Setup, _ struct{}) (*Claims, error) {
	return &Claims{prefix: cmp.Or(setup.RolePrefix, "PRINCIPAL_ROLE:")}, nil
}

// Authenticate makes a principal from a foreign credential: its granted roles are the requested ones without their prefix.
// Items without the prefix are ignored, and so is ALL, which has nothing to stand for here. If the credential has only an
// id or only a name, it serves as both.
//
// An internal credential is an error, not a denial: it means that the realm's configuration is wrong.
func (a *Claims) Authenticate(ctx context.Context, c sdk.Credential) (sdk.Principal, error) {
	if c.Source != sdk.SourceExternal {
		return sdk.Principal{}, errors.New("authenticator(claims): a credential is not external; use this type only on a realm with external authentication")
	}
	p := sdk.Principal{ID: c.Principal.ID, Name: c.Principal.Name, Enabled: true, Roles: []string{}}
	switch {
	case p.ID == "" && p.Name == "":
		return sdk.Principal{}, errors.New("authenticator(claims): a credential names no principal")
	case p.ID == "":
		p.ID = p.Name
	case p.Name == "":
		p.Name = p.ID
	}
	notes := sdk.NotesOf(ctx)
	for _, item := range c.RequestedRoles {
		switch role, ok := strings.CutPrefix(item, a.prefix); {
		case ok && role != "" && role != "ALL":
			p.Roles = append(p.Roles, role)
		case notes == nil:
		case ok && role == "ALL":
			notes.Add("%q grants no role: it asks for all that were granted, and the credential is all that grants any here", item)
		default:
			notes.Add("%q grants no role: it does not begin with %q", item, a.prefix)
		}
	}
	return p, nil
}
