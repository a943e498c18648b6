package rpc

import (
	"context"
	"slices"
	"sync"
)

// shareKey is who calls are counted for: a realm, or an instance where no realm is being served. Configures share the zero
// key.
type shareKey struct {
	realm    string
	instance uint64
}

// shares bound the calls in flight of one realm, so that slow calls of one leave slots to the others. The zero shares is
// ready to use.
type shares struct {
	mu sync.Mutex
	m  map[shareKey]*share
}

type share struct {
	taken   int
	waiting []chan struct{} // closed when a place was handed over
}

// take waits for a place of the key's share.
func (s *shares) take(ctx context.Context, k shareKey) error {
	s.mu.Lock()
	sh := s.m[k]
	if sh == nil {
		if s.m == nil {
			s.m = map[shareKey]*share{}
		}
		sh = &share{}
		s.m[k] = sh
	}
	if sh.taken < maxShare {
		sh.taken++
		s.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	sh.waiting = append(sh.waiting, turn)
	s.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	i := slices.Index(sh.waiting, turn)
	if i >= 0 {
		sh.waiting = slices.Delete(sh.waiting, i, i+1)
	}
	s.mu.Unlock()
	if i < 0 { // it was handed over just now
		s.giveBack(k)
	}
	return givenUp(ctx)
}

// giveBack hands a place to the one that waits longest.
func (s *shares) giveBack(k shareKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sh := s.m[k]
	if len(sh.waiting) > 0 {
		close(sh.waiting[0])
		sh.waiting = slices.Delete(sh.waiting, 0, 1)
		return
	}
	if sh.taken--; sh.taken == 0 {
		delete(s.m, k)
	}
}
