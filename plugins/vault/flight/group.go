package flight

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// ErrClosed says that the group begins no more work.
var ErrClosed = errors.New("it is closed")

// Group does work once for all who want it at the same time. It is safe for concurrent use. Make one with [New].
type Group[V any] struct {
	limit   time.Duration
	ctx     context.Context // ends what is under way
	stop    context.CancelFunc
	running sync.WaitGroup

	mu     sync.Mutex
	closed bool
	all    map[string]*flight[V]
}

// flight is work under way. What it came to may be read when it is done.
type flight[V any] struct {
	done  chan struct{}
	value V
	err   error
	left  bool // it failed after the caller that it was done for had left
	own   bool // it failed for what may be that caller's alone
}

type leaderKey struct{}

// own is an error of [Own].
type own struct{ error }

// Unwrap gives what was marked.
func (o own) Unwrap() error { return o.error }

// Own marks an error of work that may be due to the caller that it was done for, such as one of the host, which answers nobody
// whose call is over, and may say so before that caller knows. Who waited does the work anew, once.
func Own(err error) error { return own{err} }

// IsOwn says whether there is a mark of [Own] in an error.
func IsOwn(err error) bool { return errors.As(err, &own{}) }

// New gives a group whose work may take so long each time, however many wait for it and whoever of them has left.
func New[V any](limit time.Duration) *Group[V] {
	g := &Group[V]{limit: limit, all: map[string]*flight[V]{}}
	g.ctx, g.stop = context.WithCancel(context.Background())
	return g
}

// Do waits for the work of that key: that which is under way, or its own. Work is done with what the context of its caller has,
// e.g. the host that answers it, but it does not end with the caller, and what it came to is for all who wait. If it fails after
// its caller left, or with [Own], it may have failed for that: those who still wait do it anew. A panic in it is an error. The error is the
// work's own, that of ctx if the caller leaves, or [ErrClosed].
func (g *Group[V]) Do(ctx context.Context, key string, work func(context.Context) (V, error)) (V, error) {
	var none V
	for first := true; ; first = false {
		f, mine, err := g.join(ctx, key, work)
		if err != nil {
			return none, err
		}
		select {
		case <-ctx.Done():
			return none, ctx.Err()
		case <-f.done:
		}
		if mine || !f.left && (!f.own || !first) {
			return f.value, f.err
		}
		if err := ctx.Err(); err != nil {
			return none, err
		}
	}
}

// Begin begins the work of that key as Do does, unless it is under way, and waits for nothing.
func (g *Group[V]) Begin(ctx context.Context, key string, work func(context.Context) (V, error)) {
	_, _, _ = g.join(ctx, key, work) // a closed group begins nothing
}

// Left says, to the work, whether the caller that it is done for has left: what fails then may say nothing of a server. Where
// work waits for the work of another group, that is whoever the outer one is done for.
func Left(ctx context.Context) bool {
	leader, ok := ctx.Value(leaderKey{}).(context.Context)
	return ok && gone(leader)
}

func gone(leader context.Context) bool { return leader.Err() != nil || Left(leader) }

// Close begins no more work. What is under way may go on for as long as patience says; then its context ends. When Close
// returns, nothing runs.
func (g *Group[V]) Close(patience time.Duration) {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	t := time.AfterFunc(patience, g.stop)
	defer t.Stop()
	g.running.Wait()
	g.stop()
}

func (g *Group[V]) join(ctx context.Context, key string, work func(context.Context) (V, error)) (f *flight[V], mine bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if f = g.all[key]; f != nil {
		return f, false, nil
	}
	if g.closed {
		return nil, false, ErrClosed
	}
	f = &flight[V]{done: make(chan struct{})}
	g.all[key] = f
	g.running.Go(func() { g.run(ctx, key, f, work) })
	return f, true, nil
}

func (g *Group[V]) run(leader context.Context, key string, f *flight[V], work func(context.Context) (V, error)) {
	ctx := context.WithValue(context.WithoutCancel(leader), leaderKey{}, leader)
	ctx, cancel := context.WithTimeout(ctx, g.limit)
	defer cancel()
	defer context.AfterFunc(g.ctx, cancel)()
	f.err = sdk.Guard(func() (err error) {
		f.value, err = work(ctx)
		return err
	})
	f.left, f.own = f.err != nil && gone(leader), IsOwn(f.err)
	g.mu.Lock()
	delete(g.all, key)
	g.mu.Unlock()
	close(f.done)
}
