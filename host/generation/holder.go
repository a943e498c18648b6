package generation

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
)

// Holder gives each request the generation that is current when it begins. Nothing in it waits.
type Holder struct{ current atomic.Pointer[Held] }

// Held is a generation that counts who uses it.
type Held struct {
	*Generation
	// users counts the requests, and one for not being retired. When it comes down to nothing it is sealed far below zero,
	// once: whoever comes too late sees that, and asks the holder again.
	users atomic.Int64
	leave func()
	left  chan struct{} // closed when the last user has left
}

const sealed = math.MinInt64 / 2

// Hold makes a generation one that a holder may take.
func Hold(g *Generation) *Held {
	h := &Held{Generation: g, left: make(chan struct{})}
	h.users.Store(1)
	h.leave = h.drop
	return h
}

func (h *Held) enter() bool {
	if h.users.Add(1) > 0 {
		return true
	}
	h.users.Add(-1)
	return false
}

func (h *Held) drop() {
	if h.users.Add(-1) == 0 && h.users.CompareAndSwap(0, sealed) {
		close(h.left)
	}
}

// Enter gives the current generation, nil if there is none, and what says that the caller is done with it. That is to be
// called exactly once; until then the generation is whole.
func (h *Holder) Enter() (g *Generation, leave func()) {
	for {
		x := h.current.Load()
		if x == nil {
			return nil, func() {}
		}
		if x.enter() {
			return x.Generation, x.leave
		}
	}
}

// Switch makes next the current generation and gives the one before, nil if there was none. That one goes on for the
// requests that began with it, and can be switched back to, until it is retired. One that was retired must not be current.
func (h *Holder) Switch(next *Held) *Held { return h.current.Swap(next) }

// Retire waits until the last request has left a generation that is no longer current, and gives its instances back. It
// does so also when ctx ends; the requests that were not done are then the error.
func (h *Held) Retire(ctx context.Context) error {
	h.drop()
	var err error
	select {
	case <-h.left:
	case <-ctx.Done():
		if n := h.users.Load(); n > 0 { // else the last one has left meanwhile
			err = fmt.Errorf("a generation was ended under %d requests: %w", n, ctx.Err())
		}
	}
	h.Release(context.WithoutCancel(ctx))
	return err
}
