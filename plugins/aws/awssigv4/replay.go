package awssigv4

import (
	"crypto/sha256"
	"errors"
	"sync"
	"time"
)

// replays remembers signatures until they are no longer good, and no more than it may. A nil one remembers none.
type replays struct {
	limit int

	mu    sync.Mutex
	used  map[[sha256.Size]byte]bool
	queue []use // in the order of their use
}

type use struct {
	hash [sha256.Size]byte
	ends time.Time
}

var errFull = errors.New("more signatures are in use than replay_cache has room for")

// once says whether a signature is used for the first time, and remembers it. There is no room for it on an error: nothing is
// forgotten before its end.
func (r *replays) once(realm, signature string, ends, now time.Time) (bool, error) {
	if r == nil {
		return true, nil
	}
	u := use{sha256.Sum256([]byte(realm + "\x00" + signature)), ends}
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.queue) > 0 && !now.Before(r.queue[0].ends) {
		delete(r.used, r.queue[0].hash)
		r.queue = r.queue[1:]
	}
	switch {
	case r.used[u.hash]:
		return false, nil
	case len(r.queue) >= r.limit:
		return false, errFull
	}
	r.used[u.hash] = true
	r.queue = append(r.queue, u)
	return true, nil
}
