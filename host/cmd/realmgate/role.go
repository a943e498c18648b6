package main

import (
	"context"
	"fmt"
	"io"

	"github.com/realmgate/realmgate/host/admin"
)

type roleCmd struct {
	Create roleCreate `cmd:"" help:"Create a principal role."`
	List   roleList   `cmd:"" help:"List principal roles."`
	Get    roleGet    `cmd:"" help:"Show a principal role."`
	Delete roleDelete `cmd:"" help:"Delete a principal role, with all its grants."`
	Grant  roleGrant  `cmd:"" help:"Grant a role to a principal."`
	Revoke roleRevoke `cmd:"" help:"Revoke a role from a principal."`
}

type roleCreate struct {
	realmDoor
	Name      string   `arg:"" help:"Name of the role, without a prefix."`
	Attribute []string `sep:"none" placeholder:"KEY=VALUE" help:"Attribute; may be repeated."`
}

// Run creates the role.
func (r roleCreate) Run(ctx context.Context, c *cli, std streams) error {
	attrs, err := attributes(r.Attribute)
	if err != nil {
		return err
	}
	cl, err := r.client(c, std)
	if err != nil {
		return err
	}
	made, err := cl.CreateRole(ctx, r.Realm, admin.NewRole{Name: r.Name, Attributes: attrs})
	if err != nil {
		return err
	}
	return r.print(std, made, func(w io.Writer) { roleRows(w, made) })
}

func roleRows(w io.Writer, r admin.Role) {
	row(w, "name", r.Name)
	for k, v := range r.Attributes {
		row(w, "attribute "+k, v)
	}
}

type roleList struct {
	realmDoor
	After string `help:"Start behind this name."`
	Limit int    `help:"At most so many; 0 for all." default:"0"`
}

// Run lists roles, page by page.
func (r roleList) Run(ctx context.Context, c *cli, std streams) error {
	cl, err := r.client(c, std)
	if err != nil {
		return err
	}
	all := admin.Roles{Roles: []admin.Role{}}
	page := admin.Page{After: r.After, Limit: r.Limit}
	for {
		got, err := cl.Roles(ctx, r.Realm, page)
		if err != nil {
			return err
		}
		all.Roles = append(all.Roles, got.Roles...)
		all.Next = got.Next
		if got.Next == "" || r.Limit > 0 {
			break
		}
		page.After = got.Next
	}
	return r.print(std, all, func(w io.Writer) {
		row(w, "NAME")
		for _, x := range all.Roles {
			row(w, x.Name)
		}
		if all.Next != "" {
			row(w, fmt.Sprintf("(more: --after %s)", all.Next))
		}
	})
}

type roleGet struct {
	realmDoor
	Name string `arg:"" help:"Name of the role."`
}

// Run shows the role.
func (r roleGet) Run(ctx context.Context, c *cli, std streams) error {
	cl, err := r.client(c, std)
	if err != nil {
		return err
	}
	got, err := cl.Role(ctx, r.Realm, r.Name)
	if err != nil {
		return err
	}
	return r.print(std, got, func(w io.Writer) { roleRows(w, got) })
}

type roleDelete struct {
	realmDoor
	Name string `arg:"" help:"Name of the role."`
}

// Run deletes the role.
func (r roleDelete) Run(ctx context.Context, c *cli, std streams) error {
	cl, err := r.client(c, std)
	if err != nil {
		return err
	}
	return cl.DeleteRole(ctx, r.Realm, r.Name)
}

// roleOf is a role and the principal that it is given to or taken from.
type roleOf struct {
	realmDoor
	Role      string `arg:"" help:"Name of the role, without a prefix."`
	Principal string `arg:"" help:"Name of the principal."`
}

type roleGrant struct{ roleOf }

// Run grants the role.
func (r roleGrant) Run(ctx context.Context, c *cli, std streams) error {
	cl, err := r.client(c, std)
	if err != nil {
		return err
	}
	return cl.GrantRole(ctx, r.Realm, r.Principal, r.Role)
}

type roleRevoke struct{ roleOf }

// Run revokes the role.
func (r roleRevoke) Run(ctx context.Context, c *cli, std streams) error {
	cl, err := r.client(c, std)
	if err != nil {
		return err
	}
	return cl.RevokeRole(ctx, r.Realm, r.Principal, r.Role)
}
