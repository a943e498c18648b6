package connection

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/host/custody"
	"github.com/realmgate/realmgate/sdk"
)

// Rotation gives one secret of a connection a new value, or another reference.
type Rotation struct {
	Field   string // e.g. FieldClientSecret
	Secret  Given
	Version int64 // that the change is based on; 0: any
}

// RotateSecret replaces one secret. The former value is deleted if it was written for the connection.
func (s *Service) RotateSecret(ctx context.Context, a Actor, name string, r Rotation) (Connection, error) {
	if err := s.may(a, s.c.ManageRoles); err != nil {
		return Connection{}, err
	}
	have, err := s.current(ctx, name, r.Version)
	if err != nil {
		return Connection{}, err
	}
	old, ok := have.SecretReferences[r.Field]
	if !ok {
		return Connection{}, invalid("field", "the connection has no such secret; it has: "+strings.Join(slices.Sorted(maps.Keys(have.SecretReferences)), ", "))
	}
	if f := checkSecret("value", r.Secret); f != nil {
		return Connection{}, f
	}
	c := &change{Connection: have, doom: []sdk.SecretRef{old}}
	c.SecretReferences = maps.Clone(have.SecretReferences)
	switch {
	case r.Secret.Reference.IsZero():
		c.values = []custody.Value{{Path: "connections/" + name + "/" + randomID() + "/" + r.Field, Secret: r.Secret.Value}}
		c.fields = []string{r.Field}
	case r.Secret.Reference == old:
		return Connection{}, invalid("value", "is the reference that the connection has")
	default:
		if err := s.mayRefer(ctx, a, "value", r.Secret.Reference); err != nil {
			return Connection{}, err
		}
		c.SecretReferences[r.Field] = r.Secret.Reference
	}
	return s.replace(ctx, a, audit.ConnectionRotate, c, &have)
}

// Repoint points a connection to the service identity of a scope as the configuration has it now.
func (s *Service) Repoint(ctx context.Context, a Actor, name, scope string, version int64) (Connection, error) {
	if err := s.may(a, s.c.ManageRoles); err != nil {
		return Connection{}, err
	}
	if scope != ScopeDefault && scope != ScopeRealm {
		return Connection{}, invalid("identity", `is "default" (the service_identity at the top of the configuration) or "realm" (the realm's own)`)
	}
	have, err := s.current(ctx, name, version)
	if err != nil {
		return Connection{}, err
	}
	typ := have.Info.Authentication.identityType()
	if typ == "" {
		return Connection{}, invalid("identity", "the connection uses no service identity: it takes no role on")
	}
	ref := NewIdentityRef(scope, typ)
	id, ok := s.c.Identities[ref]
	if !ok {
		return Connection{}, invalid("identity", "the configuration has no such service identity: "+string(ref))
	}
	c := &change{Connection: have}
	c.Info.ServiceIdentity = &ServiceIdentity{Type: typ, IAMARN: id.ARN, Reference: ref}
	return s.replace(ctx, a, audit.ConnectionRepoint, c, &have)
}
