package admin

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/host/directory"
)

// Audited gives a directory of which every change is recorded, before it is made and after. A change of which no line can
// be written is not made: the error is audit.ErrUnwritten, unless the log is configured to carry on.
func Audited(d Directory, log *audit.Log) Directory { return audited{d, log} }

// audited embeds the directory for what only reads; a test makes sure that nothing else is left to it.
type audited struct {
	Directory
	log *audit.Log
}

// CreatePrincipal records who is created with which roles.
func (a audited) CreatePrincipal(ctx context.Context, realm string, n directory.NewPrincipal) (p directory.Principal, s directory.ClientSecret, err error) {
	e := audit.Event{Name: audit.PrincipalCreate, Realm: realm, PrincipalID: n.ID, Principal: n.Name}
	if len(n.Roles) > 0 {
		e.Change = "roles=" + strings.Join(n.Roles, ",")
	}
	err = a.log.Around(ctx, e, func() (err error) {
		p, s, err = a.Directory.CreatePrincipal(ctx, realm, n)
		return err
	}, func(e *audit.Event) { e.PrincipalID, e.ClientID, e.SecretVersion = p.ID, p.ClientID, s.Version })
	return p, s, err
}

// UpdatePrincipal records which parts are changed, of attributes the names only.
func (a audited) UpdatePrincipal(ctx context.Context, realm, name string, u directory.Update) (p directory.Principal, err error) {
	e := audit.Event{Name: audit.PrincipalUpdate, Realm: realm, Principal: name, Change: changeOf(u)}
	err = a.log.Around(ctx, e, func() (err error) {
		p, err = a.Directory.UpdatePrincipal(ctx, realm, name, u)
		return err
	}, func(e *audit.Event) { e.PrincipalID = p.ID })
	return p, err
}

func changeOf(u directory.Update) string {
	var parts []string
	if u.Enabled != nil {
		parts = append(parts, fmt.Sprintf("enabled=%v", *u.Enabled))
	}
	if u.Attributes != nil {
		parts = append(parts, "attributes="+strings.Join(slices.Sorted(maps.Keys(*u.Attributes)), ","))
	}
	return strings.Join(parts, " ")
}

// DeletePrincipal records who is deleted.
func (a audited) DeletePrincipal(ctx context.Context, realm, name string) error {
	return a.log.Around(ctx, audit.Event{Name: audit.PrincipalDelete, Realm: realm, Principal: name},
		func() error { return a.Directory.DeletePrincipal(ctx, realm, name) }, nil)
}

// RotateSecret records the version of the new secret.
func (a audited) RotateSecret(ctx context.Context, realm, name string) (directory.ClientSecret, error) {
	return a.secret(ctx, audit.SecretRotate, realm, name, a.Directory.RotateSecret)
}

// ResetSecret records the version of the new secret.
func (a audited) ResetSecret(ctx context.Context, realm, name string) (directory.ClientSecret, error) {
	return a.secret(ctx, audit.SecretReset, realm, name, a.Directory.ResetSecret)
}

func (a audited) secret(ctx context.Context, event, realm, name string, change func(ctx context.Context, realm, name string) (directory.ClientSecret, error)) (s directory.ClientSecret, err error) {
	err = a.log.Around(ctx, audit.Event{Name: event, Realm: realm, Principal: name}, func() (err error) {
		s, err = change(ctx, realm, name)
		return err
	}, func(e *audit.Event) { e.ClientID, e.SecretVersion = s.ClientID, s.Version })
	return s, err
}

// CreateRole records the role.
func (a audited) CreateRole(ctx context.Context, realm, name string, attributes map[string]string) (r directory.Role, err error) {
	err = a.log.Around(ctx, audit.Event{Name: audit.RoleCreate, Realm: realm, Role: name}, func() (err error) {
		r, err = a.Directory.CreateRole(ctx, realm, name, attributes)
		return err
	}, nil)
	return r, err
}

// DeleteRole records the role.
func (a audited) DeleteRole(ctx context.Context, realm, name string) error {
	return a.log.Around(ctx, audit.Event{Name: audit.RoleDelete, Realm: realm, Role: name},
		func() error { return a.Directory.DeleteRole(ctx, realm, name) }, nil)
}

// GrantRole records who is granted which role.
func (a audited) GrantRole(ctx context.Context, realm, principal, role string) error {
	return a.log.Around(ctx, audit.Event{Name: audit.RoleGrant, Realm: realm, Principal: principal, Role: role},
		func() error { return a.Directory.GrantRole(ctx, realm, principal, role) }, nil)
}

// RevokeRole records from whom which role is taken.
func (a audited) RevokeRole(ctx context.Context, realm, principal, role string) error {
	return a.log.Around(ctx, audit.Event{Name: audit.RoleRevoke, Realm: realm, Principal: principal, Role: role},
		func() error { return a.Directory.RevokeRole(ctx, realm, principal, role) }, nil)
}
