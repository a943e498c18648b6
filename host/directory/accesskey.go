package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// NewAccessKey says what an access key is created with.
type NewAccessKey struct {
	ID        string
	Principal string        // name
	Secret    sdk.SecretRef // planned for AccessKeyOwner(ID), and kept with the key
}

// AccessKey is an access key as it is kept.
type AccessKey struct {
	sdk.AccessKey
	Realm   string
	Created time.Time
}

// MaxAccessKeys is how many access keys a principal may have.
const MaxAccessKeys = 5

// TooManyAccessKeys is the error of a principal that may have no further key; an [ErrInvalid].
func TooManyAccessKeys() error {
	return &InvalidError{"principal", fmt.Sprintf("has %d access keys already, which is the most that it may have: delete one first", MaxAccessKeys)}
}

// ReasonAccessKeyUnknown is the reason of a denial: nobody has such a key.
const ReasonAccessKeyUnknown = "access_key_unknown"

// AccessKeyOwner gives the owner of the secret of an access key, as it is planned.
func AccessKeyOwner(id string) string { return "access-keys/" + id }

const accessKeyColumns = `SELECT k.realm, k.id, p.id, p.name, p.enabled, k.secret, k.created
	FROM access_keys k JOIN principals p ON p.pk = k.principal WHERE `

func scanAccessKey(row scanner) (AccessKey, error) {
	var k AccessKey
	var secret string
	var created int64
	err := row.Scan(&k.Realm, &k.ID, &k.Principal.ID, &k.Principal.Name, &k.Enabled, &secret, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return AccessKey{}, ErrNotFound
	}
	if err != nil {
		return AccessKey{}, err
	}
	if k.Secret, err = sdk.ParseSecretRef(secret); err != nil {
		return AccessKey{}, fmt.Errorf("the stored reference of access key %q: %w", k.ID, err)
	}
	k.Created = fromStored(created)
	return k, nil
}

// CreateAccessKey adds a key to a principal that has less than [MaxAccessKeys] ([ErrInvalid]).
func (d *Directory) CreateAccessKey(ctx context.Context, realm string, n NewAccessKey) (k AccessKey, err error) {
	defer wrap(&err, "create an access key of principal %q", n.Principal)
	if err := checkName("id", n.ID); err != nil {
		return AccessKey{}, err
	}
	_, err = d.change(ctx, realm, func(c *change) error {
		r, err := c.principal(ctx, n.Principal)
		if err != nil {
			return fmt.Errorf("principal: %w", err)
		}
		var have int
		if err := c.row(ctx, "SELECT COUNT(*) FROM access_keys WHERE principal = ?", r.pk).Scan(&have); err != nil {
			return err
		}
		if have >= MaxAccessKeys {
			return TooManyAccessKeys()
		}
		added, err := c.exec(ctx, "INSERT INTO access_keys (realm, id, principal, secret, created) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
			realm, n.ID, r.pk, n.Secret.String(), toStored(c.now))
		if err == nil && added == 0 {
			err = ErrExists
		}
		if err == nil {
			err = c.keepSecrets(ctx, AccessKeyOwner(n.ID), []sdk.SecretRef{n.Secret})
		}
		if err == nil {
			k, err = scanAccessKey(c.row(ctx, accessKeyColumns+"k.realm = ? AND k.id = ?", realm, n.ID))
		}
		return err
	})
	if err != nil {
		return AccessKey{}, err
	}
	return k, nil
}

// FindAccessKey gives a key by its id, with whose it is. One that is not known is a *sdk.Denial (401). The store is asked
// each time.
func (d *Directory) FindAccessKey(ctx context.Context, realm, id string) (_ sdk.AccessKey, err error) {
	defer wrap(&err, "find an access key")
	unknown := sdk.Deny(ReasonAccessKeyUnknown, "the access key is not known in this realm")
	if !possible(realm, id) {
		return sdk.AccessKey{}, unknown
	}
	k, err := scanAccessKey(d.stmt.accessKey.QueryRowContext(ctx, realm, id))
	if errors.Is(err, ErrNotFound) {
		err = unknown
	}
	return k.AccessKey, err
}

// ListAccessKeys gives the keys of a principal, the oldest first.
func (d *Directory) ListAccessKeys(ctx context.Context, realm, principal string) (out []AccessKey, err error) {
	defer wrap(&err, "list the access keys of principal %q", principal)
	if _, err := d.get(ctx, d.stmt.byName, realm, principal); err != nil {
		return nil, err
	}
	rows, err := d.read.QueryContext(ctx, d.dialect.rebind(accessKeyColumns+"k.realm = ? AND p.name = ? ORDER BY k.created, k.id"), realm, principal)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		k, err := scanAccessKey(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, k)
	}
	return out, rows.Err()
}

// DeleteAccessKey removes a key of a principal and dooms its secret.
func (d *Directory) DeleteAccessKey(ctx context.Context, realm, principal, id string) (err error) {
	defer wrap(&err, "delete access key %q", id)
	_, err = d.change(ctx, realm, func(c *change) error {
		r, err := c.principal(ctx, principal)
		if err != nil {
			return fmt.Errorf("principal: %w", err)
		}
		if !possible(id) {
			return ErrNotFound
		}
		k, err := scanAccessKey(c.row(ctx, accessKeyColumns+"k.realm = ? AND k.id = ? AND k.principal = ?", realm, id, r.pk))
		if err != nil {
			return err
		}
		if err := c.doomSecrets(ctx, AccessKeyOwner(id), []sdk.SecretRef{k.Secret}); err != nil {
			return err
		}
		return c.one(ctx, "DELETE FROM access_keys WHERE realm = ? AND id = ?", realm, id)
	})
	return err
}

// doomAccessKeys dooms the secrets of all keys of a principal that is about to go, and its keys with it.
func (c *change) doomAccessKeys(ctx context.Context, principal int64) error {
	_, err := c.exec(ctx, `UPDATE written_secrets SET state = 'doomed', since = ? WHERE realm = ? AND state = 'kept'
		AND reference IN (SELECT secret FROM access_keys WHERE principal = ?)`, toStored(c.now), c.realm, principal)
	return err
}
