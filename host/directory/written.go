package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// WrittenSecret is a reference under which we wrote a secret, or were about to.
type WrittenSecret struct {
	Reference sdk.SecretRef
	Owner     string    // e.g. connections/glue
	Since     time.Time // when it was planned, kept or doomed, or when deleting it was last tried
}

// ErrSecretGone says that a secret which was planned has been given up since: it took too long.
var ErrSecretGone = errors.New("the secret was written too late and has been given up")

// maxReference bounds a reference that we write, in bytes: an index of PostgreSQL has to hold it.
const maxReference = 2048

// PlanSecrets notes that secrets are about to be written under references, for an owner that does not have them yet. Whoever
// does not keep them with their owner soon finds them doomed.
func (d *Directory) PlanSecrets(ctx context.Context, realm, owner string, refs []sdk.SecretRef) (err error) {
	defer wrap(&err, "plan the secrets of %s", owner)
	_, err = d.change(ctx, realm, func(c *change) error {
		c.still = true
		for _, r := range refs {
			if r.IsZero() || len(r.String()) > maxReference {
				return &InvalidError{"secret reference", fmt.Sprintf("is empty or longer than %d bytes", maxReference)}
			}
			n, err := c.exec(ctx, "INSERT INTO written_secrets (realm, reference, owner, state, since) VALUES (?, ?, ?, 'planned', ?) ON CONFLICT DO NOTHING",
				realm, r.String(), owner, toStored(c.now))
			if err == nil && n == 0 {
				err = fmt.Errorf("the secret reference %s: %w", r, ErrExists)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// keepSecrets marks planned secrets as those of their owner.
func (c *change) keepSecrets(ctx context.Context, owner string, refs []sdk.SecretRef) error {
	for _, r := range refs {
		n, err := c.exec(ctx, "UPDATE written_secrets SET state = 'kept', since = ? WHERE realm = ? AND reference = ? AND owner = ? AND state = 'planned'",
			toStored(c.now), c.realm, r.String(), owner)
		if err != nil {
			return err
		}
		if n != 1 {
			return ErrSecretGone
		}
	}
	return nil
}

// doomSecrets dooms those of the references that are kept for an owner.
func (c *change) doomSecrets(ctx context.Context, owner string, refs []sdk.SecretRef) error {
	for _, r := range refs {
		_, err := c.exec(ctx, "UPDATE written_secrets SET state = 'doomed', since = ? WHERE realm = ? AND reference = ? AND owner = ? AND state = 'kept'",
			toStored(c.now), c.realm, r.String(), owner)
		if err != nil {
			return err
		}
	}
	return nil
}

// AbandonSecrets dooms those of the references that are planned, and gives those that are doomed now: they may be deleted.
// One that was kept in the meantime, although its caller was told otherwise, is not among them.
func (d *Directory) AbandonSecrets(ctx context.Context, realm string, refs []sdk.SecretRef) (doomed []sdk.SecretRef, err error) {
	defer wrap(&err, "abandon secrets")
	_, err = d.change(ctx, realm, func(c *change) error {
		c.still, doomed = true, nil
		for _, r := range refs {
			if _, err := c.exec(ctx, "UPDATE written_secrets SET state = 'doomed', since = ? WHERE realm = ? AND reference = ? AND state = 'planned'",
				toStored(c.now), realm, r.String()); err != nil {
				return err
			}
			var n int
			err := c.row(ctx, "SELECT COUNT(*) FROM written_secrets WHERE realm = ? AND reference = ? AND state = 'doomed'", realm, r.String()).Scan(&n)
			if err != nil {
				return err
			}
			if n > 0 {
				doomed = append(doomed, r)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return doomed, nil
}

// RealmsToSweep gives the realms that have secrets which are to be deleted, or which were planned and not kept yet, sorted: nothing
// comes of [Directory.DoomedSecrets] in any other.
func (d *Directory) RealmsToSweep(ctx context.Context) (out []string, err error) {
	defer wrap(&err, "look for realms with secrets to delete")
	rows, err := d.read.QueryContext(ctx, "SELECT DISTINCT realm FROM written_secrets WHERE state IN ('planned', 'doomed')")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var realm string
		if err := rows.Scan(&realm); err != nil {
			return nil, err
		}
		out = append(out, realm)
	}
	slices.Sort(out)
	return out, rows.Err()
}

// DoomedSecrets gives secrets of a realm that are to be deleted, a bounded number at a time: first those that were doomed, or
// postponed, the longest ago. Those that
// were planned before plannedBefore and never kept are doomed by it.
func (d *Directory) DoomedSecrets(ctx context.Context, realm string, plannedBefore time.Time) (out []WrittenSecret, err error) {
	defer wrap(&err, "look for doomed secrets")
	if !possible(realm) {
		return nil, nil
	}
	var late int
	err = d.read.QueryRowContext(ctx, d.dialect.rebind("SELECT COUNT(*) FROM written_secrets WHERE realm = ? AND state = 'planned' AND since < ?"),
		realm, toStored(plannedBefore)).Scan(&late)
	if err != nil {
		return nil, err
	}
	if late > 0 {
		_, err = d.change(ctx, realm, func(c *change) error {
			c.still = true
			_, err := c.exec(ctx, "UPDATE written_secrets SET state = 'doomed', since = ? WHERE realm = ? AND state = 'planned' AND since < ?",
				toStored(c.now), realm, toStored(plannedBefore))
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return d.written(ctx, "realm = ? AND state = 'doomed' ORDER BY since, reference", realm)
}

// DoomedSecretsOf gives the secrets of an owner that are to be deleted, a bounded number at a time.
func (d *Directory) DoomedSecretsOf(ctx context.Context, realm, owner string) (_ []WrittenSecret, err error) {
	defer wrap(&err, "look for doomed secrets of %s", owner)
	return d.written(ctx, "realm = ? AND owner = ? AND state = 'doomed' ORDER BY reference", realm, owner)
}

func (d *Directory) written(ctx context.Context, where string, args ...any) (out []WrittenSecret, err error) {
	rows, err := d.read.QueryContext(ctx, d.dialect.rebind("SELECT reference, owner, since FROM written_secrets WHERE "+where+" LIMIT ?"), append(args, maxLimit)...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		w, err := scanWritten(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, w)
	}
	return out, rows.Err()
}

// PostponeSecrets notes that doomed secrets could not be deleted, so that it is the turn of others.
func (d *Directory) PostponeSecrets(ctx context.Context, realm string, refs []sdk.SecretRef) (err error) {
	defer wrap(&err, "postpone secrets")
	_, err = d.change(ctx, realm, func(c *change) error {
		c.still = true
		for _, r := range refs {
			if _, err := c.exec(ctx, "UPDATE written_secrets SET since = ? WHERE realm = ? AND reference = ? AND state = 'doomed'", toStored(c.now), realm, r.String()); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

func scanWritten(row scanner) (WrittenSecret, error) {
	var w WrittenSecret
	var ref string
	var since int64
	err := row.Scan(&ref, &w.Owner, &since)
	if errors.Is(err, sql.ErrNoRows) {
		return WrittenSecret{}, ErrNotFound
	}
	if err == nil {
		w.Reference, err = sdk.ParseSecretRef(ref)
	}
	w.Since = fromStored(since)
	return w, err
}

// ForgetSecret notes that a doomed secret is deleted. One that is not doomed, or not known, stays as it is.
func (d *Directory) ForgetSecret(ctx context.Context, realm string, ref sdk.SecretRef) (err error) {
	defer wrap(&err, "forget a secret")
	_, err = d.change(ctx, realm, func(c *change) error {
		c.still = true
		_, err := c.exec(ctx, "DELETE FROM written_secrets WHERE realm = ? AND reference = ? AND state = 'doomed'", realm, ref.String())
		return err
	})
	return err
}

// FindWrittenSecret gives what we noted about a secret, whatever its state; [ErrNotFound] if we did not write it.
// Version and field of ref are not looked at.
func (d *Directory) FindWrittenSecret(ctx context.Context, realm string, ref sdk.SecretRef) (_ WrittenSecret, err error) {
	defer wrap(&err, "find a written secret")
	whole, err := sdk.ParseSecretRef("urn:realmgate-secret:" + ref.Store() + ":" + ref.Path())
	if err != nil || !possible(realm) || len(whole.String()) > maxReference {
		return WrittenSecret{}, ErrNotFound
	}
	return scanWritten(d.read.QueryRowContext(ctx, d.dialect.rebind("SELECT reference, owner, since FROM written_secrets WHERE realm = ? AND reference = ?"),
		realm, whole.String()))
}
