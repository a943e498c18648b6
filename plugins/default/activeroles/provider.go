package activeroles

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/realmgate/realmgate/sdk"
)

// all, behind the prefix, asks for every granted role.
const all = "ALL"

// Provider activates the roles that are requested and granted.
type Provider struct{ prefix string }

// NewProvider makes a provider for the daemon's role prefix.
func NewProvider(_ context.Context, setup sdk.Setup, _ struct{}) (*Provider, error) {
	return &Provider{prefix: cmp.Or(setup.RolePrefix, "PRINCIPAL_ROLE:")}, nil
}

// ActiveRoles gives the active roles without the prefix, sorted and each once. Requested items without the prefix are
// ignored, so that nothing requested means no role; ALL behind the prefix asks for every granted role. A requested role that
// is not granted forbids (role_not_granted).
func (p *Provider) ActiveRoles(_ context.Context, who sdk.Principal, requested []string) ([]string, error) {
	active := []string{}
	for _, item := range requested {
		role, ok := strings.CutPrefix(item, p.prefix)
		switch {
		case !ok || role == "":
			continue
		case role == all:
			active = append(active, who.Roles...)
		case slices.Contains(who.Roles, role):
			active = append(active, role)
		default:
			return nil, sdk.Forbid("role_not_granted", "the role %q is not granted to the principal", role)
		}
	}
	slices.Sort(active)
	return slices.Compact(active), nil
}
