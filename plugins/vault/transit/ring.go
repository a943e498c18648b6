package transit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"github.com/realmgate/realmgate/sdk"
)

const (
	// readTimeout bounds one reading. It is shorter than what a decision has, so that a server that hangs costs a decision some
	// time, but not its answer.
	readTimeout = 2 * time.Second
	// retry is how long the ring waits after the server failed, while it goes on with what it knows.
	retry = 5 * time.Second
	// unknownEvery and unknownBurst bound how often the server is asked for the sake of key ids that are not known.
	unknownEvery = 10 * time.Second
	unknownBurst = 2
)

// ring holds the versions of a key and reads them again when they are due.
type ring struct {
	read     func(context.Context) (*versions, error)
	refresh  time.Duration
	maxStale time.Duration
	flight   singleflight.Group
	unknown  *rate.Limiter

	mu      sync.Mutex
	known   *versions
	since   time.Time // known was asked for then
	due     time.Time
	reading bool
	fault   error // of the last reading
}

func newRing(read func(context.Context) (*versions, error), refresh, maxStale time.Duration) *ring {
	return &ring{read: read, refresh: refresh, maxStale: maxStale, unknown: rate.NewLimiter(rate.Every(unknownEvery), unknownBurst)}
}

// unusable is an answer of the server, not its absence: there is no key any more whose signatures count.
type unusable struct{ error }

// Unwrap gives what the server said.
func (u unusable) Unwrap() error { return u.error }

// current gives the versions. When they are due, one caller has them read again and waits for it; the others, and everyone while
// the server is away, go on with those that are known, up to maxStale. The error says that there are none; until the next reading
// is due it answers without the server, so that whoever asks does not decide how often the server is asked.
func (r *ring) current(ctx context.Context) (*versions, error) {
	r.mu.Lock()
	now, known, fault := time.Now(), r.known, r.fault
	if now.Sub(r.since) > r.maxStale {
		known = nil
	}
	fetch := !now.Before(r.due) && (known == nil || !r.reading)
	r.mu.Unlock()
	switch {
	case !fetch && known != nil:
		return known, nil
	case !fetch && fault != nil:
		return nil, fault
	}
	fresh, err := r.again(ctx)
	if err != nil && known != nil {
		return known, nil
	}
	return fresh, err
}

// again reads the versions, once for all who ask for it. A reading asks on behalf of one of them; if that call ends meanwhile, so
// may the reading, and another one's turn begins.
func (r *ring) again(ctx context.Context) (*versions, error) {
	for {
		done := r.flight.DoChan("", func() (v any, err error) {
			err = sdk.Guard(func() error {
				reading, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
				defer cancel()
				fresh, err := r.refreshed(reading, func() bool { return ctx.Err() != nil })
				v = fresh
				return err
			})
			return v, err
		})
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case got := <-done:
			switch {
			case got.Err == nil:
				return got.Val.(*versions), nil
			case errors.Is(got.Err, errLeft) && ctx.Err() == nil:
				continue
			}
			return nil, got.Err
		}
	}
}

// errLeft says nothing of the server: who asked it has gone.
var errLeft = errors.New("the call that the key was read for has ended")

func (r *ring) refreshed(ctx context.Context, left func() bool) (*versions, error) {
	r.mu.Lock()
	r.reading = true
	before, asked := r.known, time.Now()
	r.mu.Unlock()
	var fresh *versions
	err := sdk.Guard(func() (err error) {
		fresh, err = r.read(ctx)
		return err
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reading = false
	if err != nil && left() {
		return nil, fmt.Errorf("%w: %w", errLeft, err)
	}
	r.fault = err
	if err != nil {
		if gone := (unusable{}); errors.As(err, &gone) {
			r.known = nil
		}
		r.due = time.Now().Add(min(retry, r.refresh))
		if before != nil {
			sdk.Logger(ctx).WarnContext(ctx, "the versions of the key cannot be read again", "none", r.known == nil, "error", fmt.Sprint(err))
		}
		return nil, err
	}
	if before == nil && fresh.exportable {
		sdk.Logger(ctx).WarnContext(ctx, "the key is exportable: whoever may export it can sign tokens without the server")
	}
	r.known, r.since, r.due = fresh, asked, time.Now().Add(r.refresh)
	return fresh, nil
}

// find gives a version by its id. For one that is not known the server is asked, within bounds: it may be a new one, which
// another node signs with. open says that the server could not be asked, so that it is not known whether there is such a version.
func (r *ring) find(ctx context.Context, id string) (x version, found, open bool, err error) {
	v, err := r.current(ctx)
	if err != nil {
		return version{}, false, true, err
	}
	if x, found = v.byID(id); found {
		return x, true, false, nil
	}
	if r.unknown.Allow() {
		if v, err = r.again(ctx); err != nil {
			return version{}, false, true, err
		}
		x, found = v.byID(id)
		return x, found, false, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return version{}, false, r.fault != nil, nil
}

// left is for how long the versions are not read again.
func (r *ring) left() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Until(r.due)
}
