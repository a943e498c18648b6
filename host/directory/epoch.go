package directory

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// epochs count, for this process alone, how often what is stored of each realm came to be another. They are not the store's own
// counts, which go back when an older copy of the store is put in its place, and are then counted up again to numbers that were
// seen before. The zero epochs are ready.
type epochs struct {
	mu    sync.Mutex    // orders what is seen
	m     sync.Map      // realm name to *epoch
	every atomic.Uint64 // moves of all realms together
}

// epoch is what is known of one realm.
type epoch struct {
	stored uint64        // the store's count when it was last seen; guarded by epochs.mu
	moved  atomic.Uint64 // how often the realm moved
}

// get gives the epoch of a realm. It only ever goes up: both of what it adds do.
func (e *epochs) get(realm string) uint64 {
	n := e.every.Load()
	if v, ok := e.m.Load(realm); ok {
		n += v.(*epoch).moved.Load()
	}
	return n
}

// saw notes the store's count of a realm, and moves the realm if that is not the one that was last seen. Two that come in the
// other order than they were made cost a move that was not needed.
func (e *epochs) saw(realm string, stored uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if x := e.of(realm); x.stored != stored {
		x.stored = stored
		x.moved.Add(1)
	}
}

// changed notes the store's count after a change that this node made itself, which moves the realm whatever was seen.
func (e *epochs) changed(realm string, stored uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	x := e.of(realm)
	x.stored = stored
	x.moved.Add(1)
}

// sawAll notes the store's counts of all realms that it has. One that it has no more is back at 0.
func (e *epochs) sawAll(stored map[string]uint64) {
	for realm, n := range stored {
		e.saw(realm, n)
	}
	e.m.Range(func(realm, _ any) bool {
		if _, there := stored[realm.(string)]; !there {
			e.saw(realm.(string), 0)
		}
		return true
	})
}

func (e *epochs) of(realm string) *epoch {
	v, ok := e.m.Load(realm)
	if !ok {
		v, _ = e.m.LoadOrStore(realm, &epoch{})
	}
	return v.(*epoch)
}

// Epoch gives a number that moves upwards whenever what is stored of a realm may have changed, be it by a change, or because an
// older copy of the store was put in its place. It means something to this process only, and is never 0 but while the store
// cannot tell what other nodes changed: then nothing may be remembered. It is read from memory and never blocks.
func (d *Directory) Epoch(realm string) uint64 {
	if epoch, known := d.epoch(realm); known {
		return public(epoch)
	}
	return 0
}

// public is the epoch as others see it: it is counted from 0, which for them means something else.
func public(epoch uint64) uint64 { return epoch + 1 }

// epoch gives the epoch of a realm, and whether it is known at all: then answers may be remembered, also those about a realm
// in which nothing was ever changed.
func (d *Directory) epoch(realm string) (epoch uint64, known bool) {
	if d.stale() {
		return 0, false
	}
	return d.epochs.get(realm), true
}

// Forget moves the epochs of all realms for this process, so that nothing counts any more that was remembered of the store.
func (d *Directory) Forget() { d.epochs.every.Add(1) }

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

// MoveEpoch moves the epoch of a realm without any other change of the directory, for what else decisions depend on, on all
// nodes: the realm's keys.
func (d *Directory) MoveEpoch(ctx context.Context, realm string) (err error) {
	defer wrap(&err, "move the epoch of realm %q", realm)
	_, err = d.change(ctx, realm, func(*change) error { return nil })
	return err
}

// loadEpochs reads the store's counts. One reading is made at a time, so that an older one is never taken for news.
func (d *Directory) loadEpochs(ctx context.Context) (err error) {
	d.loading.Lock()
	defer d.loading.Unlock()
	asked := d.now()
	rows, err := d.read.QueryContext(ctx, "SELECT name, epoch FROM realms")
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	stored := map[string]uint64{}
	for rows.Next() {
		var realm string
		var epoch uint64
		if err := rows.Scan(&realm, &epoch); err != nil {
			return err
		}
		stored[realm] = epoch
	}
	if err := rows.Err(); err != nil {
		return err
	}
	d.epochs.sawAll(stored)
	d.loaded.Store(&asked)
	return nil
}
