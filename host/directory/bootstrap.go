package directory

import "context"

// What a bootstrapped realm begins with.
const (
	RootPrincipal    = "root"
	ServiceAdminRole = "service_admin"
)

// Bootstrap creates the root principal with the role service_admin in a realm that was never bootstrapped; otherwise
// created is false and nothing happens. show is given the new secret, once, before anything is kept: if it fails, nothing
// is. It must not call the directory, which waits for it.
func (d *Directory) Bootstrap(ctx context.Context, realm string, show func(Principal, ClientSecret) error) (created bool, err error) {
	defer wrap(&err, "bootstrap realm %q", realm)
	_, err = d.change(ctx, realm, func(c *change) error {
		if c.bootstrapped {
			return errUnchanged
		}
		if _, err := c.addRole(ctx, ServiceAdminRole, nil); err != nil {
			return err
		}
		p, s, err := c.createPrincipal(ctx, NewPrincipal{Name: RootPrincipal, Roles: []string{ServiceAdminRole}})
		if err != nil {
			return err
		}
		if err := c.one(ctx, "UPDATE realms SET bootstrapped_at = ? WHERE name = ?", toStored(c.now), realm); err != nil {
			return err
		}
		created = true
		return show(p, s)
	})
	return created && err == nil, err
}
