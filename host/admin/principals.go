package admin

import (
	"context"
	"net/http"

	"github.com/realmgate/realmgate/host/directory"
)

func principalOf(p directory.Principal) Principal {
	return Principal{
		ID: p.ID, Name: p.Name, ClientID: p.ClientID, Enabled: p.Enabled, Roles: nonNil(p.Roles), Attributes: p.Attributes,
		SecretVersions: nonNil(p.SecretVersions), Created: p.Created, Updated: p.Updated, Version: p.Version,
	}
}

func credentialsOf(s directory.ClientSecret) Credentials {
	return Credentials{ClientID: s.ClientID, ClientSecret: string(s.Secret.Reveal()), SecretVersion: s.Version}
}

func (h *handler) listPrincipals(c *call) error {
	page, err := c.page()
	if err != nil {
		return err
	}
	list, next, err := h.Directory.ListPrincipals(c.r.Context(), c.realm, page)
	if err != nil {
		return err
	}
	out := Principals{Principals: make([]Principal, len(list)), Next: next}
	for i, p := range list {
		out.Principals[i] = principalOf(p)
	}
	return c.write(http.StatusOK, out)
}

func (h *handler) createPrincipal(c *call) error {
	var n NewPrincipal
	if err := c.decode(&n); err != nil {
		return err
	}
	c.name = n.Name
	p, secret, err := h.Directory.CreatePrincipal(c.r.Context(), c.realm, directory.NewPrincipal{
		ID: n.ID, Name: n.Name, Attributes: n.Attributes, Roles: n.Roles, WithoutSecret: n.WithoutSecret,
	})
	if err != nil {
		return err
	}
	out := CreatedPrincipal{Principal: principalOf(p)}
	if !n.WithoutSecret {
		cred := credentialsOf(secret)
		out.Credentials = &cred
	}
	return c.write(http.StatusCreated, out)
}

func (h *handler) getPrincipal(c *call) error {
	p, err := h.Directory.GetPrincipal(c.r.Context(), c.realm, c.name)
	if err != nil {
		return err
	}
	return c.write(http.StatusOK, principalOf(p))
}

func (h *handler) updatePrincipal(c *call) error {
	var u PrincipalUpdate
	if err := c.decode(&u); err != nil {
		return err
	}
	p, err := h.Directory.UpdatePrincipal(c.r.Context(), c.realm, c.name, directory.Update{
		Enabled: u.Enabled, Attributes: u.Attributes, ExpectVersion: u.Version,
	})
	if err != nil {
		return err
	}
	return c.write(http.StatusOK, principalOf(p))
}

func (h *handler) deletePrincipal(c *call) error {
	if err := c.empty(); err != nil {
		return err
	}
	keys, keysOf := h.keysOf(c)
	if err := h.Directory.DeletePrincipal(c.r.Context(), c.realm, c.name); err != nil {
		return err
	}
	if keysOf != nil {
		keysOf.Released(c.r.Context(), keys)
	}
	return c.done(nil)
}

// secret serves rotate and reset, which differ in the directory only.
func (h *handler) secret(make func(ctx context.Context, realm, name string) (directory.ClientSecret, error)) func(*call) error {
	return func(c *call) error {
		if err := c.empty(); err != nil {
			return err
		}
		s, err := make(c.r.Context(), c.realm, c.name)
		if err != nil {
			return err
		}
		return c.write(http.StatusOK, credentialsOf(s))
	}
}

// grant serves granting and revoking; both may be repeated.
func (h *handler) grant(change func(ctx context.Context, realm, principal, role string) error) func(*call) error {
	return func(c *call) error {
		if err := c.empty(); err != nil {
			return err
		}
		return c.done(change(c.r.Context(), c.realm, c.name, c.role))
	}
}

func (c *call) done(err error) error {
	if err != nil {
		return err
	}
	c.w.Header().Set("Cache-Control", "no-store")
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}
