package main

import (
	"context"
	"fmt"
	"io"

	"github.com/realmgate/realmgate/host/admin"
)

type principalCmd struct {
	Create  principalCreate  `cmd:"" help:"Create a principal and print its client id and secret, this once."`
	List    principalList    `cmd:"" help:"List principals."`
	Get     principalGet     `cmd:"" help:"Show a principal."`
	Delete  principalDelete  `cmd:"" help:"Delete a principal; its tokens are refused at once."`
	Disable principalDisable `cmd:"" help:"Refuse a principal and all its tokens; none of them counts again when it is enabled."`
	Enable  principalEnable  `cmd:"" help:"Admit a principal again, with the client secrets that it has."`
	Rotate  principalRotate  `cmd:"" help:"Make a new client secret; the previous one stays valid until the next rotation."`
	Reset   principalReset   `cmd:"" help:"Make a new client secret and end all others, with the tokens that they obtained."`

	AccessKey accessKeyCmd `cmd:"" help:"Manage the keys with which a principal signs requests (AWS4-HMAC-SHA256)."`
}

type principalCreate struct {
	realmDoor
	Name          string   `arg:"" help:"Name of the principal, unique in the realm."`
	ID            string   `help:"Id of the principal; a random one without it."`
	Role          []string `help:"Role to grant at once; may be repeated."`
	Attribute     []string `sep:"none" placeholder:"KEY=VALUE" help:"Attribute; may be repeated."`
	WithoutSecret bool     `help:"Make no client secret: the principal comes with tokens of an identity provider."`
}

// Run creates the principal.
func (p principalCreate) Run(ctx context.Context, c *cli, std streams) error {
	attrs, err := attributes(p.Attribute)
	if err != nil {
		return err
	}
	cl, err := p.client(c, std)
	if err != nil {
		return err
	}
	made, err := cl.CreatePrincipal(ctx, p.Realm, admin.NewPrincipal{ID: p.ID, Name: p.Name, Roles: p.Role, Attributes: attrs, WithoutSecret: p.WithoutSecret})
	if err != nil {
		return err
	}
	return p.print(std, made, func(w io.Writer) {
		principalRows(w, made.Principal)
		if made.Credentials != nil {
			row(w, "client secret", made.Credentials.ClientSecret)
		}
	})
}

type principalList struct {
	realmDoor
	After string `help:"Start behind this name."`
	Limit int    `help:"At most so many; 0 for all." default:"0"`
}

// Run lists principals, page by page.
func (p principalList) Run(ctx context.Context, c *cli, std streams) error {
	cl, err := p.client(c, std)
	if err != nil {
		return err
	}
	all := admin.Principals{Principals: []admin.Principal{}}
	page := admin.Page{After: p.After, Limit: p.Limit}
	for {
		got, err := cl.Principals(ctx, p.Realm, page)
		if err != nil {
			return err
		}
		all.Principals = append(all.Principals, got.Principals...)
		all.Next = got.Next
		if got.Next == "" || p.Limit > 0 {
			break
		}
		page.After = got.Next
	}
	return p.print(std, all, func(w io.Writer) {
		row(w, "NAME", "ID", "ENABLED", "CLIENT ID", "ROLES")
		for _, x := range all.Principals {
			row(w, x.Name, x.ID, x.Enabled, x.ClientID, list(x.Roles))
		}
		if all.Next != "" {
			row(w, fmt.Sprintf("(more: --after %s)", all.Next))
		}
	})
}

type principalGet struct {
	realmDoor
	Name string `arg:"" help:"Name of the principal."`
}

// Run shows the principal.
func (p principalGet) Run(ctx context.Context, c *cli, std streams) error {
	cl, err := p.client(c, std)
	if err != nil {
		return err
	}
	got, err := cl.Principal(ctx, p.Realm, p.Name)
	if err != nil {
		return err
	}
	return p.print(std, got, func(w io.Writer) { principalRows(w, got) })
}

func principalRows(w io.Writer, p admin.Principal) {
	row(w, "name", p.Name)
	row(w, "id", p.ID)
	row(w, "enabled", p.Enabled)
	row(w, "roles", list(p.Roles))
	for k, v := range p.Attributes {
		row(w, "attribute "+k, v)
	}
	if p.ClientID != "" {
		row(w, "client id", p.ClientID)
		row(w, "secret versions", list(p.SecretVersions))
	}
}

type principalDelete struct {
	realmDoor
	Name string `arg:"" help:"Name of the principal."`
}

// Run deletes the principal.
func (p principalDelete) Run(ctx context.Context, c *cli, std streams) error {
	cl, err := p.client(c, std)
	if err != nil {
		return err
	}
	return cl.DeletePrincipal(ctx, p.Realm, p.Name)
}

// principalSwitch names the principal to disable or to enable.
type principalSwitch struct {
	realmDoor
	Name string `arg:"" help:"Name of the principal."`
}

func (p principalSwitch) set(ctx context.Context, c *cli, std streams, enabled bool) error {
	cl, err := p.client(c, std)
	if err != nil {
		return err
	}
	got, err := cl.UpdatePrincipal(ctx, p.Realm, p.Name, admin.PrincipalUpdate{Enabled: &enabled})
	if err != nil {
		return err
	}
	return p.print(std, got, func(w io.Writer) { principalRows(w, got) })
}

type principalDisable struct{ principalSwitch }

// Run disables the principal.
func (p principalDisable) Run(ctx context.Context, c *cli, std streams) error {
	return p.set(ctx, c, std, false)
}

type principalEnable struct{ principalSwitch }

// Run enables the principal.
func (p principalEnable) Run(ctx context.Context, c *cli, std streams) error {
	return p.set(ctx, c, std, true)
}

type principalRotate struct {
	realmDoor
	Name string `arg:"" help:"Name of the principal."`
}

// Run rotates the client secret.
func (p principalRotate) Run(ctx context.Context, c *cli, std streams) error {
	cl, err := p.client(c, std)
	if err != nil {
		return err
	}
	cr, err := cl.RotateSecret(ctx, p.Realm, p.Name)
	if err != nil {
		return err
	}
	return p.print(std, cr, func(w io.Writer) { credentialRows(w, cr) })
}

type principalReset struct {
	realmDoor
	Name string `arg:"" help:"Name of the principal."`
}

// Run resets the client secret.
func (p principalReset) Run(ctx context.Context, c *cli, std streams) error {
	cl, err := p.client(c, std)
	if err != nil {
		return err
	}
	cr, err := cl.ResetSecret(ctx, p.Realm, p.Name)
	if err != nil {
		return err
	}
	return p.print(std, cr, func(w io.Writer) { credentialRows(w, cr) })
}

func credentialRows(w io.Writer, c admin.Credentials) {
	row(w, "client id", c.ClientID)
	row(w, "client secret", c.ClientSecret)
	row(w, "secret version", c.SecretVersion)
}
