package directory

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/realmgate/realmgate/sdk"
)

// The reasons with which the directory denies.
const (
	ReasonPrincipalUnknown  = "principal_unknown"
	ReasonPrincipalMismatch = "principal_mismatch"
	ReasonPrincipalDisabled = "principal_disabled"
	ReasonTokenRevoked      = "token_revoked"
)

// FindPrincipal gives the principal that ref names by id, by name, or by both. One that does not exist, an empty ref, and
// an id and a name of two principals are a *sdk.Denial (403). A disabled principal is found.
func (d *Directory) FindPrincipal(ctx context.Context, realm string, ref sdk.PrincipalRef) (_ sdk.Principal, err error) {
	defer wrap(&err, "find a principal")
	p, err := d.find(ctx, realm, ref)
	if err != nil {
		return sdk.Principal{}, err
	}
	return sdk.Principal{
		Realm: p.Realm, ID: p.ID, Name: p.Name, Enabled: p.Enabled,
		Roles: slices.Clone(p.Roles), Attributes: maps.Clone(p.Attributes),
	}, nil
}

func (d *Directory) find(ctx context.Context, realm string, ref sdk.PrincipalRef) (*Principal, error) {
	p, err := d.lookupRef(ctx, realm, ref)
	switch {
	case err != nil:
		return nil, err
	case p == nil:
		return nil, sdk.Forbid(ReasonPrincipalUnknown, "the principal is not known in this realm")
	case !agrees(p, ref):
		return nil, errMismatch()
	}
	return p, nil
}

// lookupRef finds by id if there is one, else by name; nil if there is none. The other half of ref is not looked at.
func (d *Directory) lookupRef(ctx context.Context, realm string, ref sdk.PrincipalRef) (*Principal, error) {
	if ref.ID != "" {
		return d.lookup(ctx, realm, true, ref.ID)
	}
	return d.lookup(ctx, realm, false, ref.Name)
}

// agrees says whether what ref says is what p is called.
func agrees(p *Principal, ref sdk.PrincipalRef) bool {
	return (ref.ID == "" || ref.ID == p.ID) && (ref.Name == "" || ref.Name == p.Name)
}

func errMismatch() error {
	return sdk.Forbid(ReasonPrincipalMismatch, "the principal's id and name belong to different principals")
}

func errDisabled() error { return sdk.Forbid(ReasonPrincipalDisabled, "the principal is disabled") }

// CheckStanding is the host's own word on a credential and the principal that it led to, whatever plugins answered. A no
// is a *sdk.Denial; any other error says that the store could not answer.
//
// A credential of the realm's own must name, by id, a principal that exists, is enabled and is the one that was found, and
// the version of a client secret that is still valid; a role that was found but is not granted here is a lie, and no denial.
// A foreign one needs no principal in the directory, but one of that id and one of that name must be enabled if they are
// there. Neither may belong to a token that was revoked, nor one of the realm's own to a session that was.
func (d *Directory) CheckStanding(ctx context.Context, c sdk.Credential, p sdk.Principal) (err error) {
	defer wrap(&err, "check a credential")
	switch c.Source {
	case sdk.SourceInternal:
		err = d.checkInternal(ctx, c, p)
	case sdk.SourceExternal:
		err = d.checkExternal(ctx, c, p)
	default:
		err = fmt.Errorf("a credential has the source %v", c.Source)
	}
	if err != nil || c.TokenID == "" {
		return err
	}
	ids := []string{c.TokenID}
	if session := SessionOf(c.TokenID); c.Source == sdk.SourceInternal && session != c.TokenID {
		ids = append(ids, session)
	}
	for _, id := range ids {
		revoked, err := d.isRevoked(ctx, c.Realm, c.Issuer, id)
		if err == nil && revoked {
			err = sdk.Deny(ReasonTokenRevoked, "the token was revoked")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *Directory) checkInternal(ctx context.Context, c sdk.Credential, p sdk.Principal) error {
	if c.Principal.ID == "" { // a name may have been given to another principal since
		return sdk.Forbid(ReasonPrincipalUnknown, "the token names no principal id")
	}
	known, err := d.find(ctx, c.Realm, c.Principal)
	switch {
	case err != nil:
		return err
	case !known.Enabled:
		return errDisabled()
	case p.ID != known.ID || p.Name != known.Name:
		return errMismatch()
	case !slices.Contains(known.SecretVersions, c.SecretVersion):
		return sdk.Deny(ReasonTokenRevoked, "the client secret that obtained the token is not valid any more")
	}
	for _, role := range p.Roles {
		if !slices.Contains(known.Roles, role) {
			return fmt.Errorf("the authenticator gave principal %q the role %q, which the directory does not", p.Name, role)
		}
	}
	return nil
}

// checkExternal looks under the id and under the name: who was disabled under either must not come back under it because
// the foreign identity has another id, or none.
func (d *Directory) checkExternal(ctx context.Context, c sdk.Credential, p sdk.Principal) error {
	for _, ref := range []sdk.PrincipalRef{{ID: p.ID}, {Name: p.Name}} {
		known, err := d.lookupRef(ctx, c.Realm, ref)
		if err != nil {
			return err
		}
		if known != nil && !known.Enabled {
			return errDisabled()
		}
	}
	return nil
}
