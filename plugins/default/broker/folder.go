package broker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/keyset"
)

const (
	// lookEvery is how often a key folder is looked at. It is read only if something in it, or who may use it, has changed.
	lookEvery = 2 * time.Second
	// tooOld is since when nobody has looked, so that everyone waits for the one who does: a key may have come that signs
	// already.
	tooOld = 5 * lookEvery
	// repeatFault is how often the same fault of a folder is logged.
	repeatFault = time.Minute
)

// folder gives the keys of a key folder. What each of them does depends on the clock alone. The folder is the authority: a
// key is neither kept beyond its time nor forgotten before it.
type folder struct {
	dir     string
	of      kinds
	further *ring // keys of the settings that verify as well

	seen atomic.Pointer[seen]
	view atomic.Pointer[view]

	mu    sync.Mutex // held by the one who looks
	stamp keyset.Stamp
	fault string // the last one that was logged; empty if the folder is in order
	told  time.Time
}

// seen is what a folder had when somebody looked. It does not change.
type seen struct {
	at      time.Time
	entries []keyset.Entry
	keys    []key // of the same indices
}

// view is what the keys do from one time to another: until one of them changes what it does, or it is time to look. It
// does not change.
type view struct {
	from, until time.Time
	further     *keys
	keys        *keys
}

// newFolder reads a folder for the first time: one of its keys must sign.
func newFolder(dir string, of kinds, now time.Time) (*folder, error) {
	f := &folder{dir: dir, of: of}
	if err := f.read(now); err != nil {
		if errors.Is(err, keyset.ErrEmpty) {
			err = fmt.Errorf("%w; make one with: realmgate key generate --dir %s", err, dir)
		}
		return nil, err
	}
	if f.seen.Load().view(now, nil).keys.signer.sign == nil {
		return nil, fmt.Errorf("key folder %s: none of its keys signs now; add one with: realmgate key rotate --wait 0s --dir %s", dir, dir)
	}
	return f, nil
}

// current gives what the keys do now. The one who looks at the folder when it is due does not hold up the others.
func (f *folder) current(ctx context.Context, now time.Time) *keys {
	var further *keys
	if f.further != nil {
		further = f.further.current(ctx, now)
	}
	if v := f.view.Load(); v != nil && v.further == further && !now.Before(v.from) && now.Before(v.until) {
		return v.keys
	}
	if s := f.seen.Load(); now.Sub(s.at) >= tooOld {
		f.mu.Lock()
	} else if !f.mu.TryLock() {
		return s.view(now, further).keys
	}
	defer f.mu.Unlock()
	f.look(ctx, now)
	v := f.seen.Load().view(now, further)
	f.view.Store(v)
	return v.keys
}

// look reads the folder again if it is time to, and if it has changed. A folder that is broken leaves the keys as they
// are; they come to their ends all the same. It is called with the lock held.
func (f *folder) look(ctx context.Context, now time.Time) {
	old := f.seen.Load()
	if since := now.Sub(old.at); since >= 0 && since < lookEvery {
		return
	}
	stamp, err := keyset.StampOf(f.dir)
	if err == nil && stamp == f.stamp && f.fault == "" {
		f.seen.Store(&seen{now, old.entries, old.keys})
		return
	}
	err = sdk.Guard(func() error { return f.read(now) })
	if err == nil {
		if f.fault != "" {
			sdk.Logger(ctx).InfoContext(ctx, "the token broker's key folder is in order again", "dir", f.dir)
		}
		f.fault = ""
		return
	}
	f.seen.Store(&seen{now, old.entries, old.keys})
	if text := err.Error(); text != f.fault || now.Sub(f.told) >= repeatFault {
		f.fault, f.told = text, now
		sdk.Logger(ctx).ErrorContext(ctx, "the token broker's key folder cannot be read; it goes on with the keys that it has", "error", text)
	}
}

// read takes the folder's keys, all or none.
func (f *folder) read(now time.Time) error {
	stamp, err := keyset.StampOf(f.dir)                // before the folder is read, so that a change meanwhile is noticed
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // Load says what is missing
		return fmt.Errorf("key folder %s: %w", f.dir, err)
	}
	loaded, err := keyset.Load(f.dir, now)
	if err != nil {
		return err
	}
	s := &seen{at: now}
	for _, k := range loaded {
		pair, err := f.of.pair(k.Private)
		if err != nil {
			return fmt.Errorf("key folder %s: %s: %w", f.dir, k.File, err)
		}
		pair.till = k.RetireAt
		s.entries, s.keys = append(s.entries, k.Entry), append(s.keys, pair)
	}
	f.stamp = stamp
	f.seen.Store(s)
	return nil
}

// view says what the keys do now, and until when that is so.
func (s *seen) view(now time.Time, further *keys) *view {
	out := &view{from: now, until: s.at.Add(lookEvery), further: further, keys: &keys{}}
	var verify []key
	for i, state := range keyset.States(s.entries, now) {
		e, k := s.entries[i], s.keys[i]
		for _, change := range []time.Time{e.SignFrom, e.RetireAt} {
			if change.After(now) && change.Before(out.until) {
				out.until = change
			}
		}
		switch state {
		case keyset.Retired:
		case keyset.Signing:
			out.keys.signer = k
		default:
			k.sign = nil
			verify = append(verify, k)
		}
	}
	if out.keys.signer.sign != nil {
		out.keys.verifies = []key{out.keys.signer}
	}
	out.keys.verifies = append(out.keys.verifies, verify...)
	if further != nil {
		out.keys.verifies = union(out.keys.verifies, further.verifies)
	}
	return out
}
