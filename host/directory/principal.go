package directory

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"

	"github.com/google/uuid"
)

// NewPrincipal says what a principal is created with.
type NewPrincipal struct {
	ID            string // a random UUID without it
	Name          string
	Attributes    map[string]string
	Roles         []string // granted at once; they must exist
	WithoutSecret bool     // for one that only comes with a foreign identity
}

// Update says what of a principal is changed; nil fields stay.
type Update struct {
	Enabled       *bool
	Attributes    *map[string]string // replace all
	ExpectVersion int64              // the version that the change is based on; 0: any
}

// CreatePrincipal adds a principal, enabled, with a client id and, unless told otherwise, a first client secret, which is
// shown this one time. Id and name must both be free ([ErrExists]).
func (d *Directory) CreatePrincipal(ctx context.Context, realm string, n NewPrincipal) (_ Principal, _ ClientSecret, err error) {
	defer wrap(&err, "create principal %q", n.Name)
	if err := n.check(); err != nil {
		return Principal{}, ClientSecret{}, err
	}
	var p Principal
	var s ClientSecret
	_, err = d.change(ctx, realm, func(c *change) (err error) {
		p, s, err = c.createPrincipal(ctx, n)
		return err
	})
	if err != nil {
		return Principal{}, ClientSecret{}, err
	}
	return p, s, nil
}

func (n NewPrincipal) check() error {
	if n.ID != "" {
		if err := checkName("id", n.ID); err != nil {
			return err
		}
	}
	if err := checkName("name", n.Name); err != nil {
		return err
	}
	for _, r := range n.Roles {
		if err := checkRoleName("roles", r); err != nil {
			return err
		}
	}
	return checkAttributes(n.Attributes)
}

func (c *change) createPrincipal(ctx context.Context, n NewPrincipal) (p Principal, s ClientSecret, err error) {
	if n.ID == "" {
		id, err := uuid.NewRandom()
		if err != nil {
			return p, s, err
		}
		n.ID = id.String()
	}
	clientID := newClientID()
	var stored []storedSecret
	if !n.WithoutSecret {
		var one storedSecret
		s, one = c.newSecret(clientID)
		stored = append(stored, one)
	}
	secrets, err := encodeSecrets(stored)
	if err != nil {
		return p, s, err
	}
	attributes, err := encode(n.Attributes)
	if err != nil {
		return p, s, err
	}
	var pk int64
	err = c.row(ctx, `INSERT INTO principals (realm, id, name, client_id, enabled, attributes, secrets, created, updated, version)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1) ON CONFLICT DO NOTHING RETURNING pk`,
		c.realm, n.ID, n.Name, clientID, true, attributes, secrets, toStored(c.now), toStored(c.now)).Scan(&pk)
	if errors.Is(err, sql.ErrNoRows) {
		return p, s, c.taken(ctx, n)
	}
	if err != nil {
		return p, s, err
	}
	for _, role := range n.Roles {
		if _, err := c.grant(ctx, pk, role); errors.Is(err, ErrNotFound) {
			return p, s, &InvalidError{"roles", fmt.Sprintf("name %q, which does not exist", role)}
		} else if err != nil {
			return p, s, err
		}
	}
	r, err := c.principal(ctx, n.Name)
	if err != nil {
		return p, s, err
	}
	return r.Principal, s, nil
}

// taken says what of a new principal is another one's.
func (c *change) taken(ctx context.Context, n NewPrincipal) error {
	if _, err := c.principal(ctx, n.Name); !errors.Is(err, ErrNotFound) {
		if err == nil {
			err = ErrExists
		}
		return err
	}
	return fmt.Errorf("a principal with the id %q %w", n.ID, ErrExists)
}

// newClientID draws 128 random bits; crypto/rand.Read never fails.
func newClientID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// GetPrincipal gives a principal by name, as the store has it now.
func (d *Directory) GetPrincipal(ctx context.Context, realm, name string) (_ Principal, err error) {
	defer wrap(&err, "principal %q", name)
	return d.get(ctx, d.stmt.byName, realm, name)
}

// GetPrincipalByID gives a principal by id, as the store has it now.
func (d *Directory) GetPrincipalByID(ctx context.Context, realm, id string) (_ Principal, err error) {
	defer wrap(&err, "principal with id %q", id)
	return d.get(ctx, d.stmt.byID, realm, id)
}

func (d *Directory) get(ctx context.Context, by *sql.Stmt, realm, key string) (Principal, error) {
	if !possible(realm, key) {
		return Principal{}, ErrNotFound
	}
	r, err := scanRecord(by.QueryRowContext(ctx, realm, key))
	if err != nil {
		return Principal{}, err
	}
	return r.Principal, nil
}

// UpdatePrincipal enables, disables or describes a principal and gives it as it is now. [ErrConflict] says that it is not
// at the expected version. An update that changes nothing moves nothing.
//
// Disabling denies at once whatever is presented for the principal, and ends the tokens that it obtained for good: its
// client secrets stay the same but get new versions, so that none of those tokens counts again when the principal is
// enabled again.
func (d *Directory) UpdatePrincipal(ctx context.Context, realm, name string, u Update) (p Principal, err error) {
	defer wrap(&err, "update principal %q", name)
	if u.Attributes != nil {
		if err := checkAttributes(*u.Attributes); err != nil {
			return Principal{}, err
		}
	}
	_, err = d.change(ctx, realm, func(c *change) error {
		r, err := c.principal(ctx, name)
		if err != nil {
			return err
		}
		p = r.Principal
		if u.ExpectVersion != 0 && u.ExpectVersion != r.Version {
			return ErrConflict
		}
		if u.Enabled != nil {
			p.Enabled = *u.Enabled
		}
		if u.Attributes != nil {
			p.Attributes = *u.Attributes
		}
		if p.Enabled == r.Enabled && maps.Equal(p.Attributes, r.Attributes) {
			return errUnchanged
		}
		if r.Enabled && !p.Enabled {
			c.renumber(r.secrets)
		}
		attributes, err := encode(p.Attributes)
		if err != nil {
			return err
		}
		secrets, err := encodeSecrets(r.secrets)
		if err != nil {
			return err
		}
		if err := c.one(ctx, "UPDATE principals SET enabled = ?, attributes = ?, secrets = ? WHERE pk = ?", p.Enabled, attributes, secrets, r.pk); err != nil {
			return err
		}
		if err := c.touch(ctx, r); err != nil {
			return err
		}
		r, err = c.principal(ctx, name)
		if err == nil {
			p = r.Principal
		}
		return err
	})
	if err != nil {
		return Principal{}, err
	}
	return p, nil
}

// DeletePrincipal removes a principal with its grants, secrets and access keys; the secrets of these are doomed, see
// [Directory.DoomedSecrets]. One that is created later under the same id or name is
// another one: its secret versions are others, so no token of the old one is valid for it.
func (d *Directory) DeletePrincipal(ctx context.Context, realm, name string) (err error) {
	defer wrap(&err, "delete principal %q", name)
	_, err = d.change(ctx, realm, func(c *change) error {
		r, err := c.principal(ctx, name)
		if err != nil {
			return err
		}
		if err := c.doomAccessKeys(ctx, r.pk); err != nil {
			return err
		}
		return c.one(ctx, "DELETE FROM principals WHERE pk = ?", r.pk)
	})
	return err
}
