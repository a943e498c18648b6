package admin

import (
	"net/http"

	"github.com/realmgate/realmgate/host/directory"
)

func roleOf(r directory.Role) Role {
	return Role{Name: r.Name, Attributes: r.Attributes, Created: r.Created, Updated: r.Updated, Version: r.Version}
}

func (h *handler) listRoles(c *call) error {
	page, err := c.page()
	if err != nil {
		return err
	}
	list, next, err := h.Directory.ListRoles(c.r.Context(), c.realm, page)
	if err != nil {
		return err
	}
	out := Roles{Roles: make([]Role, len(list)), Next: next}
	for i, r := range list {
		out.Roles[i] = roleOf(r)
	}
	return c.write(http.StatusOK, out)
}

func (h *handler) createRole(c *call) error {
	var n NewRole
	if err := c.decode(&n); err != nil {
		return err
	}
	c.name = n.Name
	r, err := h.Directory.CreateRole(c.r.Context(), c.realm, n.Name, n.Attributes)
	if err != nil {
		return err
	}
	return c.write(http.StatusCreated, roleOf(r))
}

func (h *handler) getRole(c *call) error {
	r, err := h.Directory.GetRole(c.r.Context(), c.realm, c.name)
	if err != nil {
		return err
	}
	return c.write(http.StatusOK, roleOf(r))
}

func (h *handler) deleteRole(c *call) error {
	if err := c.empty(); err != nil {
		return err
	}
	return c.done(h.Directory.DeleteRole(c.r.Context(), c.realm, c.name))
}
