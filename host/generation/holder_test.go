package generation

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/catalog"
)

// releases stands for the plugins of one generation and notes when its instances are given back: the moment from which on
// nobody may be in it.
type releases struct {
	Plugins  // for what is not asked
	released atomic.Bool
}

func (r *releases) Release(context.Context, []catalog.Handle) { r.released.Store(true) }

func held() (*Held, *releases) {
	r := &releases{}
	return Hold(&Generation{plugins: r}), r
}

// Requests come and go while generations are switched under them. None is ever in a generation that was released.
func TestNobodyIsInAReleasedGeneration(t *testing.T) {
	var h Holder
	first, _ := held()
	h.Switch(first)
	var users sync.WaitGroup
	var stop atomic.Bool
	for range 3 {
		users.Go(func() {
			for !stop.Load() {
				g, leave := h.Enter()
				if g.plugins.(*releases).released.Load() {
					t.Error("a request entered a generation that is released")
					stop.Store(true)
				}
				leave()
				runtime.Gosched()
			}
		})
	}
	for range 100 {
		next, _ := held()
		if err := h.Switch(next).Retire(t.Context()); err != nil {
			t.Error(err)
			break
		}
	}
	stop.Store(true)
	users.Wait()
}

// A generation is whole until the last of the requests that began with it is done.
func TestRetireWaits(t *testing.T) {
	var h Holder
	old, state := held()
	next, _ := held()
	if g, leave := h.Enter(); g != nil {
		t.Error("a holder has something that nobody gave it")
	} else {
		leave()
	}
	h.Switch(old)
	g, leave := h.Enter()
	if g != old.Generation || h.Switch(next) != old {
		t.Fatal("another generation than the one that was switched to")
	}
	if n, done := h.Enter(); n != next.Generation {
		t.Error("a new request got the old generation")
	} else {
		done()
	}
	retired := make(chan error)
	go func() { retired <- old.Retire(t.Context()) }()
	select {
	case err := <-retired:
		t.Fatalf("it was retired under a request: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	if state.released.Load() {
		t.Error("it was released under a request")
	}
	leave()
	if err := <-retired; err != nil || !state.released.Load() {
		t.Errorf("after the last request: %v, released %v", err, state.released.Load())
	}
}

// A request that does not end does not keep a generation for ever.
func TestRetireIsBounded(t *testing.T) {
	var h Holder
	old, state := held()
	h.Switch(old)
	_, leave := h.Enter()
	next, _ := held()
	h.Switch(next)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := old.Retire(ctx); !errors.Is(err, context.Canceled) || !state.released.Load() {
		t.Errorf("%v, released %v", err, state.released.Load())
	}
	leave()
}

// Until it is retired, a generation can be switched back to.
func TestSwitchBack(t *testing.T) {
	var h Holder
	old, state := held()
	h.Switch(old)
	next, gone := held()
	h.Switch(next)
	if h.Switch(old) != next {
		t.Fatal("not the generation before")
	}
	if err := next.Retire(t.Context()); err != nil || !gone.released.Load() || state.released.Load() {
		t.Errorf("%v, released %v and %v", err, gone.released.Load(), state.released.Load())
	}
	g, leave := h.Enter()
	defer leave()
	if g != old.Generation {
		t.Error("not back")
	}
}

// A generation that nobody is in any more ends without an error, however late that is.
func TestRetireInTheLastMoment(t *testing.T) {
	late, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 { // one of two things that are both so is picked by chance
		x, state := held()
		if err := x.Retire(late); err != nil || !state.released.Load() {
			t.Fatal(err)
		}
	}
}

// BenchmarkEnter is what a request pays for its generation, beside a bare atomic pointer, which would not know when a
// generation is no longer used.
func BenchmarkEnter(b *testing.B) {
	var h Holder
	x, _ := held()
	h.Switch(x)
	b.Run("counted", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				_, leave := h.Enter()
				leave()
			}
		})
	})
	b.Run("pointer", func(b *testing.B) {
		b.ReportAllocs()
		var p atomic.Pointer[Generation]
		p.Store(x.Generation)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if p.Load() == nil {
					b.Fail()
				}
			}
		})
	})
}

// A request that looked at the current generation just before a switch, and enters it only when the last one has left, is
// sent back to look again; however many do, none of them takes another one in.
func TestTooLate(t *testing.T) {
	old, state := held()
	if err := old.Retire(t.Context()); err != nil || !state.released.Load() {
		t.Fatal(err)
	}
	for range 3 {
		if old.enter() {
			t.Fatal("a released generation was entered")
		}
	}
	// One that enters between the last leave and the seal is in time.
	late, state := held()
	late.users.Add(-1)
	if !late.enter() || late.users.CompareAndSwap(0, sealed) {
		t.Error("a generation that is not sealed was not entered")
	}
	late.leave()
	select {
	case <-late.left:
	default:
		t.Error("the last one to leave does not seal it")
	}
	if state.released.Load() {
		t.Error("released by a request")
	}
}
