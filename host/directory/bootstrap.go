package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
)

// What a bootstrapped realm begins with.
const (
	RootPrincipal    = "root"
	ServiceAdminRole = "service_admin"
)

// Root is the principal that a bootstrapped realm begins with, and its secret.
type Root struct {
	Principal
	Secret ClientSecret
}

// BootstrapAll creates the root principal with the role service_admin in each of the realms that was never bootstrapped, and
// gives the names of these, sorted; it creates all of them or, on an error, none. show is given the new secrets, once, before
// anything is kept: if it fails, nothing is. It must not call the directory, which waits for it; it is not called if there is
// nothing to show.
func (d *Directory) BootstrapAll(ctx context.Context, realms []string, show func([]Root) error) (created []string, err error) {
	defer wrap(&err, "bootstrap")
	var all []Root
	err = d.transact(ctx, func(tx *sql.Tx) (changes []*change, err error) {
		for _, realm := range slices.Compact(slices.Sorted(slices.Values(realms))) { // in one order: they are locked one by one
			c := &change{dialect: d.dialect, realm: realm, now: d.clock()}
			var r Root
			switch err := c.in(ctx, tx, func(c *change) (err error) { r, err = c.bootstrap(ctx); return err }); {
			case errors.Is(err, errUnchanged):
				continue
			case err != nil:
				return nil, fmt.Errorf("realm %q: %w", realm, err)
			}
			changes, all = append(changes, c), append(all, r)
		}
		if len(all) == 0 {
			return nil, errUnchanged
		}
		return changes, show(all)
	})
	if errors.Is(err, errUnchanged) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, r := range all {
		created = append(created, r.Realm)
	}
	return created, nil
}

// bootstrap creates the root principal, unless the realm was bootstrapped before: then it is errUnchanged.
func (c *change) bootstrap(ctx context.Context) (r Root, err error) {
	if c.bootstrapped {
		return r, errUnchanged
	}
	if _, err := c.addRole(ctx, ServiceAdminRole, nil); err != nil {
		return r, err
	}
	if r.Principal, r.Secret, err = c.createPrincipal(ctx, NewPrincipal{Name: RootPrincipal, Roles: []string{ServiceAdminRole}}); err != nil {
		return r, err
	}
	return r, c.one(ctx, "UPDATE realms SET bootstrapped_at = ? WHERE name = ?", toStored(c.now), c.realm)
}

// Unbootstrapped gives those of the realms that were never bootstrapped, in their order.
func (d *Directory) Unbootstrapped(ctx context.Context, realms []string) (_ []string, err error) {
	defer wrap(&err, "look for realms to bootstrap")
	rows, err := d.read.QueryContext(ctx, "SELECT name FROM realms WHERE bootstrapped_at IS NOT NULL")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	done := map[string]bool{}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		done[name] = true
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(realms), func(r string) bool { return done[r] }), nil
}
