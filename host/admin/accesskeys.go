package admin

import (
	"context"
	"net/http"

	"github.com/realmgate/realmgate/host/accesskey"
	"github.com/realmgate/realmgate/host/directory"
)

// accessKeys is the segment of a path below a principal.
const accessKeys = "access-keys"

func accessKeyOf(k directory.AccessKey) AccessKey { return AccessKey{ID: k.ID, Created: k.Created} }

func (h *handler) accessKeys(c *call) (*accesskey.Service, error) {
	if h.AccessKeys == nil {
		return nil, errNoRoute
	}
	return h.AccessKeys(c.realm)
}

func (h *handler) listAccessKeys(c *call) error {
	s, err := h.accessKeys(c)
	if err != nil {
		return err
	}
	list, err := s.List(c.r.Context(), c.name)
	if err != nil {
		return err
	}
	out := make([]AccessKey, len(list))
	for i, k := range list {
		out[i] = accessKeyOf(k)
	}
	return c.write(http.StatusOK, map[string][]AccessKey{"access_keys": out})
}

func (h *handler) createAccessKey(c *call) error {
	if err := c.empty(); err != nil {
		return err
	}
	s, err := h.accessKeys(c)
	if err != nil {
		return err
	}
	made, err := s.Create(c.r.Context(), c.name)
	if err != nil {
		return err
	}
	c.key = made.ID
	return c.write(http.StatusCreated, NewAccessKey{AccessKey: accessKeyOf(made.AccessKey), Secret: string(made.Value.Reveal())})
}

func (h *handler) deleteAccessKey(c *call) error {
	if err := c.empty(); err != nil {
		return err
	}
	s, err := h.accessKeys(c)
	if err != nil {
		return err
	}
	return c.done(s.Delete(c.r.Context(), c.name, c.key))
}

// keysOf gives the keys of a principal that is about to be deleted, and what deletes their secrets then. What it does not
// find is found by a sweep.
func (h *handler) keysOf(c *call) ([]directory.AccessKey, *accesskey.Service) {
	s, err := h.accessKeys(c)
	if err != nil {
		return nil, nil
	}
	keys, err := s.List(c.r.Context(), c.name)
	if err != nil || len(keys) == 0 {
		return nil, nil
	}
	return keys, s
}

// CreateAccessKey gives a principal a key; the answer holds its secret, which cannot be read again.
func (c *Client) CreateAccessKey(ctx context.Context, realm, principal string) (out NewAccessKey, err error) {
	err = c.do(ctx, "POST", path(realm, "principals", principal, accessKeys), nil, &out)
	return out, err
}

// AccessKeys lists the keys of a principal, the oldest first.
func (c *Client) AccessKeys(ctx context.Context, realm, principal string) ([]AccessKey, error) {
	var out struct {
		Keys []AccessKey `json:"access_keys"`
	}
	err := c.do(ctx, "GET", path(realm, "principals", principal, accessKeys), nil, &out)
	return out.Keys, err
}

// DeleteAccessKey ends a key of a principal and deletes its secret.
func (c *Client) DeleteAccessKey(ctx context.Context, realm, principal, id string) error {
	return c.do(ctx, "DELETE", path(realm, "principals", principal, accessKeys, id), nil, nil)
}
