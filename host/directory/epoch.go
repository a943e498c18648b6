package directory

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// epochs are the realms' epochs as this node knows them.
type epochs struct{ m sync.Map } // realm name to *atomic.Uint64

func (e *epochs) get(realm string) uint64 {
	if v, ok := e.m.Load(realm); ok {
		return v.(*atomic.Uint64).Load()
	}
	return 0
}

// raise sets an epoch unless a later one is known: two changes may report in the other order than they were committed.
func (e *epochs) raise(realm string, to uint64) {
	v, ok := e.m.Load(realm)
	if !ok {
		v, _ = e.m.LoadOrStore(realm, new(atomic.Uint64))
	}
	n := v.(*atomic.Uint64)
	for {
		have := n.Load()
		if have >= to || n.CompareAndSwap(have, to) {
			return
		}
	}
}

// Epoch gives the number that every change of a realm moves upwards, 1 where nothing was ever changed: an external realm may
// have nobody in the directory. It is 0, which forbids to remember anything, while the store cannot tell what other nodes
// changed. It is read from memory and never blocks.
func (d *Directory) Epoch(realm string) uint64 {
	if epoch, known := d.epoch(realm); known {
		return public(epoch)
	}
	return 0
}

// public is the epoch as others see it: the store counts changes from 0, which for them means something else.
func public(epoch uint64) uint64 { return epoch + 1 }

// epoch gives the epoch of a realm, and whether it is known at all: then answers may be remembered, also those about a realm
// in which nothing was ever changed.
func (d *Directory) epoch(realm string) (epoch uint64, known bool) {
	if d.stale() {
		return 0, false
	}
	return d.epochs.get(realm), true
}

// maxStale is how long after the last good [Directory.Refresh] look-ups may still be answered from memory. Beyond, the
// store is asked each time, so that a refresh that keeps failing does not keep old answers alive.
const maxStale = 5 * time.Second

// Refresh learns from the store which realms other nodes have changed. The time between two calls is the longest for
// which a node may decide by what was true before, and 5 seconds is where calls fail. Who never calls it is taken to be
// the store's only node.
func (d *Directory) Refresh(ctx context.Context) (err error) {
	defer wrap(&err, "refresh")
	d.followed.Store(true)
	return d.loadEpochs(ctx)
}

// stale says whether other nodes may have changed what this one remembers.
func (d *Directory) stale() bool {
	return d.followed.Load() && d.now().Sub(*d.loaded.Load()) > maxStale
}

// MoveEpoch moves the epoch of a realm without any other change of the directory, for what else decisions depend on:
// the realm's keys and its configuration. It gives the new epoch.
func (d *Directory) MoveEpoch(ctx context.Context, realm string) (epoch uint64, err error) {
	defer wrap(&err, "move the epoch of realm %q", realm)
	c, err := d.change(ctx, realm, func(*change) error { return nil })
	if err != nil {
		return 0, err
	}
	return public(c.epoch), nil
}

func (d *Directory) loadEpochs(ctx context.Context) (err error) {
	asked := d.now()
	rows, err := d.read.QueryContext(ctx, "SELECT name, epoch FROM realms")
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var realm string
		var epoch uint64
		if err := rows.Scan(&realm, &epoch); err != nil {
			return err
		}
		d.epochs.raise(realm, epoch)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	d.loaded.Store(&asked)
	return nil
}
