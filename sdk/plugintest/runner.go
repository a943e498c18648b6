package plugintest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// runner runs checks on a plugin: each has its time, and finds a process that lives. It is safe for concurrent use.
type runner struct {
	step  time.Duration
	notes *notes

	mu   sync.Mutex
	s    *suite // whose process the next check finds
	dead bool   // it could not be started again
}

// start starts the plugin. Its sessions end with life.
func (r *runner) start(ctx, life context.Context, target Target) error {
	s := idle(life, target, r.notes)
	err := s.bounded(ctx, r.step, s.start)
	if err == nil {
		r.s = s
	}
	return err
}

// suite gives what the next check runs on, and whether it has a process.
func (r *runner) suite() (s *suite, lives bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.s, !r.dead
}

// run runs a check and starts the plugin again if it ended meanwhile. What runs at the same time hears of the end too.
func (r *runner) run(ctx context.Context, k check, c Case) error {
	s, lives := r.suite()
	if !lives {
		return lack("the plugin could not be started again")
	}
	err := s.bounded(ctx, r.step, func(ctx context.Context) error { return k.run(ctx, s, c) })
	return errors.Join(err, r.revive(ctx, s, err))
}

// revive starts the plugin again if a check has ended it, and says how it ended.
func (r *runner) revive(ctx context.Context, s *suite, err error) error {
	lost := errors.Is(err, rpc.ErrLost)
	for until := time.Now().Add(endsWithin); lost && s.plugin.gone() == nil && time.Now().Before(until); {
		time.Sleep(10 * time.Millisecond) // the connection is told of the end before we are
	}
	ended := s.plugin.gone()
	if ended == nil || s.stopped() {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.s != s { // another check saw it first
		return ended
	}
	next := s.next()
	if again := next.bounded(ctx, r.step, next.start); again != nil {
		r.dead = true
		return errors.Join(ended, fmt.Errorf("it could not be started again: %w", again))
	}
	r.s = next
	return ended
}

// bounded runs f, which has limit to end. What does not end with its context has its process taken away, and is left alone
// if it goes on even then.
func (s *suite) bounded(ctx context.Context, limit time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- sdk.Guard(func() error { return f(ctx) }) }()
	select {
	case err := <-done:
		return late(ctx, limit, err)
	case <-time.After(limit + 2*endsWithin):
	}
	s.kill()
	select {
	case err := <-done:
		return late(ctx, limit, errors.Join(errors.New("nothing of it ended until the process was killed"), err))
	case <-time.After(endsWithin):
		return fmt.Errorf("not done within %v, and not after the process was killed", limit)
	}
}

// late says of an error that it came with the end of the time.
func late(ctx context.Context, limit time.Duration, err error) error {
	end, _ := ctx.Deadline()
	if err != nil && time.Until(end) < 100*time.Millisecond { // the plugin's clock may be the first to say so
		return fmt.Errorf("not done within %v: %w", limit, err)
	}
	return err
}
