package directory

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Role is a role that principals of a realm can be granted. Its name carries no prefix.
type Role struct {
	Realm, Name      string
	Attributes       map[string]string
	Created, Updated time.Time
	Version          int64
}

const roleColumns = "SELECT realm, name, attributes, created, updated, version FROM roles WHERE realm = ? AND "

func scanRole(row scanner) (Role, error) {
	var r Role
	var attributes string
	var created, updated int64
	err := row.Scan(&r.Realm, &r.Name, &attributes, &created, &updated, &r.Version)
	if errors.Is(err, sql.ErrNoRows) {
		return Role{}, ErrNotFound
	}
	if err != nil {
		return Role{}, err
	}
	if err := json.Unmarshal([]byte(attributes), &r.Attributes); err != nil {
		return Role{}, fmt.Errorf("the stored attributes of role %q cannot be read: %w", r.Name, err)
	}
	r.Created, r.Updated = fromStored(created), fromStored(updated)
	return r, nil
}

// CreateRole adds a role.
func (d *Directory) CreateRole(ctx context.Context, realm, name string, attributes map[string]string) (r Role, err error) {
	defer wrap(&err, "create role %q", name)
	if err := checkRoleName("name", name); err != nil {
		return Role{}, err
	}
	if err := checkAttributes(attributes); err != nil {
		return Role{}, err
	}
	_, err = d.change(ctx, realm, func(c *change) error {
		added, err := c.addRole(ctx, name, attributes)
		if err != nil {
			return err
		}
		if !added {
			return ErrExists
		}
		r, err = scanRole(c.row(ctx, roleColumns+"name = ?", realm, name))
		return err
	})
	if err != nil {
		return Role{}, err
	}
	return r, nil
}

// addRole adds a role and says whether it was not there before.
func (c *change) addRole(ctx context.Context, name string, attributes map[string]string) (bool, error) {
	text, err := encode(attributes)
	if err != nil {
		return false, err
	}
	n, err := c.exec(ctx, `INSERT INTO roles (realm, name, attributes, created, updated, version)
		VALUES (?, ?, ?, ?, ?, 1) ON CONFLICT DO NOTHING`, c.realm, name, text, toStored(c.now), toStored(c.now))
	return n == 1, err
}

// GetRole gives a role.
func (d *Directory) GetRole(ctx context.Context, realm, name string) (_ Role, err error) {
	defer wrap(&err, "role %q", name)
	if !possible(realm, name) {
		return Role{}, ErrNotFound
	}
	return scanRole(d.read.QueryRowContext(ctx, d.dialect.rebind(roleColumns+"name = ?"), realm, name))
}

// DeleteRole removes a role, also from every principal that was granted it.
func (d *Directory) DeleteRole(ctx context.Context, realm, name string) (err error) {
	defer wrap(&err, "delete role %q", name)
	_, err = d.change(ctx, realm, func(c *change) error {
		pk, err := c.role(ctx, name)
		if err != nil {
			return err
		}
		_, err = c.exec(ctx, `UPDATE principals SET updated = ?, version = version + 1
			WHERE pk IN (SELECT principal FROM grants WHERE role = ?)`, toStored(c.now), pk)
		if err != nil {
			return err
		}
		return c.one(ctx, "DELETE FROM roles WHERE pk = ?", pk)
	})
	return err
}

// GrantRole grants a role to a principal, both by name. Granting it again changes nothing and is no error.
func (d *Directory) GrantRole(ctx context.Context, realm, principal, role string) (err error) {
	defer wrap(&err, "grant role %q to principal %q", role, principal)
	return d.changeGrant(ctx, realm, principal, func(c *change, r *record) (bool, error) { return c.grant(ctx, r.pk, role) })
}

// RevokeRole takes a role from a principal, both by name. Taking what was not granted changes nothing and is no error.
func (d *Directory) RevokeRole(ctx context.Context, realm, principal, role string) (err error) {
	defer wrap(&err, "revoke role %q from principal %q", role, principal)
	return d.changeGrant(ctx, realm, principal, func(c *change, r *record) (bool, error) {
		pk, err := c.role(ctx, role)
		if err != nil {
			return false, err
		}
		n, err := c.exec(ctx, "DELETE FROM grants WHERE principal = ? AND role = ?", r.pk, pk)
		return n == 1, err
	})
}

func (d *Directory) changeGrant(ctx context.Context, realm, principal string, f func(*change, *record) (bool, error)) error {
	_, err := d.change(ctx, realm, func(c *change) error {
		r, err := c.principal(ctx, principal)
		if err != nil {
			return fmt.Errorf("principal: %w", err)
		}
		changed, err := f(c, r)
		if err != nil {
			return err
		}
		if !changed {
			return errUnchanged
		}
		return c.touch(ctx, r)
	})
	return err
}

// role finds the row of a role within a change.
func (c *change) role(ctx context.Context, name string) (pk int64, err error) {
	if !possible(name) {
		return 0, fmt.Errorf("role: %w", ErrNotFound)
	}
	err = c.row(ctx, "SELECT pk FROM roles WHERE realm = ? AND name = ?", c.realm, name).Scan(&pk)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("role: %w", ErrNotFound)
	}
	return pk, err
}

// grant adds a grant and says whether it was not there before.
func (c *change) grant(ctx context.Context, principal int64, role string) (bool, error) {
	pk, err := c.role(ctx, role)
	if err != nil {
		return false, err
	}
	n, err := c.exec(ctx, "INSERT INTO grants (principal, role) VALUES (?, ?) ON CONFLICT DO NOTHING", principal, pk)
	return n == 1, err
}
