package flight

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

const limit = 10 * time.Second

// counted is work that waits until it is let go, and says the how many-th it was.
func counted(n *atomic.Int64, until <-chan struct{}) func(context.Context) (int64, error) {
	return func(context.Context) (int64, error) {
		at := n.Add(1)
		<-until
		return at, nil
	}
}

func TestOnceForAllWhoWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, until := New[int64](limit), make(chan struct{})
		var n, m atomic.Int64
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if v, err := g.Do(t.Context(), "a", counted(&n, until)); v != 1 || err != nil {
					t.Error(v, err)
				}
			})
		}
		all.Go(func() {
			if v, err := g.Do(t.Context(), "b", counted(&m, until)); v != 1 || err != nil {
				t.Error(v, err)
			}
		})
		synctest.Wait()
		close(until)
		all.Wait()
		if n.Load() != 1 || m.Load() != 1 {
			t.Errorf("done %d and %d times", n.Load(), m.Load())
		}
		if v, err := g.Do(t.Context(), "a", counted(&n, until)); v != 2 || err != nil {
			t.Errorf("later: %d %v", v, err)
		}
	})
}

// The caller that it was begun for leaves: it goes on, for those who wait and for what it keeps.
func TestWorkOutlivesItsCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, until := New[int64](limit), make(chan struct{})
		var n atomic.Int64
		ctx, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := g.Do(ctx, "", counted(&n, until)); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
		synctest.Wait()
		leave()
		all.Wait()
		all.Go(func() {
			if v, err := g.Do(t.Context(), "", counted(&n, until)); v != 1 || err != nil {
				t.Error(v, err)
			}
		})
		synctest.Wait()
		close(until)
		all.Wait()
	})
}

// The host answers only while the call lasts that it is asked in: work on behalf of one who has left fails, and the others do it
// themselves.
func TestWhoWaitsIsNotHurtByOneWhoLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, until := New[string](limit), make(chan struct{})
		work := func(ctx context.Context) (string, error) {
			<-until
			if Left(ctx) {
				return "", errors.New("the call is over")
			}
			return "fine", nil
		}
		ctx, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { _, _ = g.Do(ctx, "", work) })
		synctest.Wait()
		for range 5 {
			all.Go(func() {
				if v, err := g.Do(t.Context(), "", work); v != "fine" || err != nil {
					t.Errorf("%q %v", v, err)
				}
			})
		}
		gone, leaveToo := context.WithCancel(t.Context())
		all.Go(func() {
			if _, err := g.Do(gone, "", work); !errors.Is(err, context.Canceled) {
				t.Errorf("one who leaves while waiting: %v", err)
			}
		})
		synctest.Wait()
		leave()
		leaveToo()
		synctest.Wait()
		close(until)
		all.Wait()
	})
}

// The host may refuse one whose call is over before he knows: such an error hurts no other, and is given back at last.
func TestWhatIsTheCallersOwn(t *testing.T) {
	t.Parallel()
	for bad, want := range map[int64]int64{1: 2, 100: 3} {
		synctest.Test(t, func(t *testing.T) {
			g, until, fault := New[int64](limit), make(chan struct{}), errors.New("the call is over")
			var n, failed atomic.Int64
			work := func(context.Context) (int64, error) {
				at := n.Add(1)
				<-until
				time.Sleep(time.Second)
				if at <= bad {
					return 0, fmt.Errorf("login: %w", Own(fault))
				}
				return at, nil
			}
			var all sync.WaitGroup
			for range 20 {
				all.Go(func() {
					if _, err := g.Do(t.Context(), "", work); err != nil {
						failed.Add(1)
						if !errors.Is(err, fault) || !IsOwn(err) {
							t.Error(err)
						}
					}
				})
			}
			synctest.Wait()
			close(until)
			all.Wait()
			if bad == 1 && failed.Load() != 1 || bad > 1 && failed.Load() != 20 || n.Load() > want {
				t.Errorf("%d failed, done %d times", failed.Load(), n.Load())
			}
		})
	}
}

// Work that waits for the work of another group is done for the same caller.
func TestWorkWithinWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		outer, inner, until := New[string](limit), New[string](limit), make(chan struct{})
		host := func(ctx context.Context) (string, error) {
			<-until
			if Left(ctx) {
				return "", errors.New("the call is over")
			}
			return "fine", nil
		}
		ctx, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			_, _ = outer.Do(ctx, "", func(ctx context.Context) (string, error) { return inner.Do(ctx, "", host) })
		})
		synctest.Wait()
		all.Go(func() {
			if v, err := inner.Do(t.Context(), "", host); v != "fine" || err != nil {
				t.Errorf("%q %v", v, err)
			}
		})
		synctest.Wait()
		leave()
		synctest.Wait()
		close(until)
		all.Wait()
	})
}

// What fails while its caller waits fails for all: it is not done again.
func TestFailureIsForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, until, fault := New[int](limit), make(chan struct{}), errors.New("no")
		var n atomic.Int64
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				_, err := g.Do(t.Context(), "", func(context.Context) (int, error) {
					n.Add(1)
					<-until
					return 0, fault
				})
				if !errors.Is(err, fault) {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		close(until)
		all.Wait()
		if n.Load() != 1 {
			t.Errorf("done %d times", n.Load())
		}
	})
}

func TestLimitAndPanic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := New[int](limit)
		began := time.Now()
		_, err := g.Do(t.Context(), "", func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != limit {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		var p *sdk.PanicError
		if _, err := g.Do(t.Context(), "", func(context.Context) (int, error) { panic("oh") }); !errors.As(err, &p) {
			t.Errorf("a panic: %v", err)
		}
	})
}

func TestClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := New[int](limit)
		var all sync.WaitGroup
		var quick, slow error
		all.Go(func() {
			_, quick = g.Do(t.Context(), "quick", func(context.Context) (int, error) {
				time.Sleep(time.Second)
				return 1, nil
			})
		})
		all.Go(func() {
			_, slow = g.Do(t.Context(), "slow", func(ctx context.Context) (int, error) {
				<-ctx.Done()
				return 0, ctx.Err()
			})
		})
		synctest.Wait()
		began := time.Now()
		g.Close(2 * time.Second)
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("it took %v", took)
		}
		all.Wait()
		if quick != nil || !errors.Is(slow, context.Canceled) {
			t.Errorf("under way: %v, %v", quick, slow)
		}
		if _, err := g.Do(t.Context(), "", func(context.Context) (int, error) { return 1, nil }); !errors.Is(err, ErrClosed) {
			t.Errorf("afterwards: %v", err)
		}
		g.Close(0)
		idle := New[int](limit)
		began = time.Now()
		idle.Close(time.Hour)
		if time.Since(began) != 0 {
			t.Error("nothing is waited for")
		}
	})
}

// Work that was begun is what who comes next waits for; a closed group begins none.
func TestBegin(t *testing.T) {
	t.Parallel()
	g := New[int](time.Minute)
	until := make(chan struct{})
	begun, n := make(chan struct{}), 0
	work := func(context.Context) (int, error) {
		n++
		close(begun)
		<-until
		return n, nil
	}
	g.Begin(t.Context(), "x", work)
	<-begun
	g.Begin(t.Context(), "x", work)
	close(until)
	if v, err := g.Do(t.Context(), "x", func(context.Context) (int, error) { return 1, nil }); v != 1 || err != nil {
		t.Error(v, err)
	}
	g.Close(time.Minute)
	g.Begin(t.Context(), "x", func(context.Context) (int, error) {
		t.Error("it was begun after the end")
		return 0, nil
	})
	g.running.Wait()
	if n != 1 {
		t.Errorf("the work was done %d times", n)
	}
}
