package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// change is one transaction that changes one realm. It holds the lock of the realm's row from its first statement on, so
// changes of a realm happen one after the other in both dialects, and what it reads stays true until it is committed.
type change struct {
	tx             *sql.Tx
	dialect        dialect
	realm          string
	now            time.Time
	epoch          uint64 // the store's count of changes; the moved one when the change is done
	still          bool   // the epoch stays: no decision depends on what is changed
	lastSecret     int64
	lastConnection int64
	bootstrapped   bool
}

// errUnchanged ends a change that turned out to be none: nothing is kept and the epoch stays.
var errUnchanged = errors.New("nothing to change")

// change runs f in a transaction, counts it there unless f makes the count stay, and moves the realm's epoch as soon as it is
// committed. If f fails nothing is kept.
func (d *Directory) change(ctx context.Context, realm string, f func(*change) error) (*change, error) {
	c := &change{dialect: d.dialect, realm: realm, now: d.clock()}
	err := d.transact(ctx, func(tx *sql.Tx) ([]*change, error) {
		return []*change{c}, c.in(ctx, tx, f)
	})
	if errors.Is(err, errUnchanged) {
		err = nil
	}
	return c, err
}

// transact commits what run changes, of one realm or several, and lets their new epochs be seen. If run fails nothing is kept.
func (d *Directory) transact(ctx context.Context, run func(*sql.Tx) ([]*change, error)) error {
	tx, err := d.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	all, err := run(tx)
	if err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		d.afterDoubtfulCommit(ctx)
		return err
	}
	for _, c := range all {
		if c.still {
			d.epochs.saw(c.realm, c.epoch)
		} else {
			d.epochs.changed(c.realm, c.epoch)
		}
	}
	return nil
}

// in changes the realm by f, in a transaction.
func (c *change) in(ctx context.Context, tx *sql.Tx, f func(*change) error) error {
	if err := checkName("realm", c.realm); err != nil {
		return err
	}
	c.tx = tx
	if err := c.lockRealm(ctx); err != nil {
		return err
	}
	if err := f(c); err != nil {
		return err
	}
	step := 1
	if c.still {
		step = 0
	}
	return c.row(ctx, "UPDATE realms SET epoch = epoch + ?, last_secret = ?, last_connection = ? WHERE name = ? RETURNING epoch",
		step, c.lastSecret, c.lastConnection, c.realm).Scan(&c.epoch)
}

// afterDoubtfulCommit asks the store what became of a commit whose answer was lost. The number that the change wanted
// cannot be taken instead: if it was rolled back, the next change gets the same one and would not be noticed.
func (d *Directory) afterDoubtfulCommit(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_ = d.loadEpochs(ctx) // else the next Refresh does it
}

func (c *change) lockRealm(ctx context.Context) error {
	var bootstrapped sql.NullInt64
	err := c.row(ctx, `INSERT INTO realms (name, epoch, last_secret) VALUES (?, 0, 0)
		ON CONFLICT (name) DO UPDATE SET name = excluded.name
		RETURNING epoch, last_secret, last_connection, bootstrapped_at`, c.realm).Scan(&c.epoch, &c.lastSecret, &c.lastConnection, &bootstrapped)
	c.bootstrapped = bootstrapped.Valid
	return err
}

func (c *change) row(ctx context.Context, query string, args ...any) *sql.Row {
	return c.tx.QueryRowContext(ctx, c.dialect.rebind(query), args...)
}

// exec runs a statement and gives how many rows it changed.
func (c *change) exec(ctx context.Context, query string, args ...any) (int64, error) {
	r, err := c.tx.ExecContext(ctx, c.dialect.rebind(query), args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// one runs a statement that must change one row.
func (c *change) one(ctx context.Context, query string, args ...any) error {
	n, err := c.exec(ctx, query, args...)
	if err == nil && n != 1 {
		err = fmt.Errorf("%d rows were changed instead of one", n)
	}
	return err
}
