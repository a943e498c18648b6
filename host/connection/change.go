package connection

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/host/custody"
	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/sdk"
)

// change is a connection on its way from a draft into the store.
type change struct {
	Connection
	values []custody.Value // secrets to write
	fields []string        // whose they are, in the same order
	doom   []sdk.SecretRef // references that it no longer has
}

// Create keeps a new connection. The secrets in the draft are written to the realm's store first; on an error nothing of
// them is left.
func (s *Service) Create(ctx context.Context, a Actor, d Draft) (Connection, error) {
	if err := s.may(a, s.c.ManageRoles); err != nil {
		return Connection{}, err
	}
	c, err := s.prepare(ctx, a, d, nil)
	if err != nil {
		return Connection{}, err
	}
	if d.Version != 0 {
		d.Ignored = append(d.Ignored, d.at+versionKey(d.at))
	}
	var made Connection
	e := s.event(a, audit.ConnectionCreate, c.Name)
	e.Change = c.describe(nil)
	err = s.c.Audit.Around(ctx, e, func() error {
		if _, err := s.c.Store.GetConnection(ctx, s.c.Realm, c.Name); err == nil {
			return directory.ErrExists // before anything is written
		}
		return s.hold(ctx, c, func(ctx context.Context, stored directory.Connection, keep []sdk.SecretRef) (directory.Connection, error) {
			return s.c.Store.CreateConnection(ctx, s.c.Realm, directory.NewConnection{Connection: stored, Keep: keep})
		}, &made)
	}, nil)
	made.Ignored = d.Ignored
	return made, err
}

func versionKey(at string) string {
	if at == "" {
		return "version"
	}
	return "entityVersion"
}

// Update replaces a connection that is at d.Version. Secrets that the draft does not have stay, unless what it changes would
// send them elsewhere; those that it replaces are deleted.
func (s *Service) Update(ctx context.Context, a Actor, name string, d Draft) (Connection, error) {
	if err := s.may(a, s.c.ManageRoles); err != nil {
		return Connection{}, err
	}
	if d.Name == "" {
		d.Name = name
	}
	if d.Name != name {
		return Connection{}, invalid(d.at+"name", "is not that of the connection; a connection cannot be renamed")
	}
	if d.Version == 0 {
		return Connection{}, invalid(d.at+versionKey(d.at), "is missing: a change says which version it is based on")
	}
	have, err := s.current(ctx, name, d.Version)
	if err != nil {
		return Connection{}, err
	}
	c, err := s.prepare(ctx, a, d, &have)
	if err != nil {
		return Connection{}, err
	}
	made, err := s.replace(ctx, a, audit.ConnectionUpdate, c, &have)
	made.Ignored = d.Ignored
	return made, err
}

// current gives a connection that is at a version; 0: at any.
func (s *Service) current(ctx context.Context, name string, version int64) (Connection, error) {
	d, err := s.c.Store.GetConnection(ctx, s.c.Realm, name)
	if err == nil && version != 0 && version != d.Version {
		err = directory.ErrConflict
	}
	if err != nil {
		return Connection{}, err
	}
	return fromStored(d)
}

// replace keeps what have has become.
func (s *Service) replace(ctx context.Context, a Actor, event string, c *change, have *Connection) (made Connection, err error) {
	e := s.event(a, event, c.Name)
	e.Change = c.describe(have)
	err = s.c.Audit.Around(ctx, e, func() error {
		return s.hold(ctx, c, func(ctx context.Context, stored directory.Connection, keep []sdk.SecretRef) (directory.Connection, error) {
			return s.c.Store.UpdateConnection(ctx, s.c.Realm, c.Name, directory.ConnectionUpdate{
				Connection: stored, ExpectVersion: have.Version, Keep: keep, Doom: c.doom,
			})
		}, &made)
	}, nil)
	return made, err
}

// hold writes the secrets of a change and keeps it with their references.
func (s *Service) hold(ctx context.Context, c *change, keep func(context.Context, directory.Connection, []sdk.SecretRef) (directory.Connection, error), made *Connection) error {
	return s.c.Custody.Hold(ctx, directory.ConnectionOwner(c.Name), c.values, func(ctx context.Context, refs []sdk.SecretRef) error {
		for i, field := range c.fields {
			c.SecretReferences[field] = refs[i]
		}
		stored, err := c.stored()
		if err != nil {
			return err
		}
		kept, err := keep(ctx, stored, refs)
		if err != nil {
			return err
		}
		*made, err = fromStored(kept)
		return err
	})
}

// describe says for the audit log what a change is about, without values.
func (c *change) describe(have *Connection) string {
	parts := []string{"type=" + c.Info.Type, "authentication=" + c.Info.Authentication.Type}
	if have != nil {
		parts = nil
		a, b := have.Info, c.Info
		authA, authB := a.Authentication, b.Authentication
		for _, x := range []struct {
			name string
			same bool
		}{
			{"type", a.Type == b.Type}, {"uri", a.URI == b.URI}, {"remote", a.RemoteCatalogName == b.RemoteCatalogName && a.Warehouse == b.Warehouse},
			{"authentication", reflect.DeepEqual(authA, authB)}, {"properties", maps.Equal(have.Properties, c.Properties)},
			{"sign_hosts", slices.Equal(have.SignHosts, c.SignHosts)}, {"identity", reflect.DeepEqual(a.ServiceIdentity, b.ServiceIdentity)},
		} {
			if !x.same {
				parts = append(parts, x.name)
			}
		}
	}
	if len(c.fields) > 0 {
		parts = append(parts, "secrets="+strings.Join(c.fields, ","))
	}
	if id := c.Info.ServiceIdentity; id != nil && have == nil {
		parts = append(parts, "identity="+id.IAMARN)
	}
	return strings.Join(parts, " ")
}

// Delete removes a connection that is at a version (0: at any), and deletes the secrets that were written for it.
func (s *Service) Delete(ctx context.Context, a Actor, name string, version int64) error {
	if err := s.may(a, s.c.ManageRoles); err != nil {
		return err
	}
	return s.c.Audit.Around(ctx, s.event(a, audit.ConnectionDelete, name), func() error {
		if err := s.c.Store.DeleteConnection(ctx, s.c.Realm, name, version); err != nil {
			return err
		}
		s.c.Custody.Release(ctx, directory.ConnectionOwner(name))
		return nil
	}, nil)
}
