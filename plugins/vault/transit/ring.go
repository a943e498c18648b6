package transit

import (
	"context"
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
	read    func(context.Context) (*versions, error)
	refresh time.Duration
	flight  singleflight.Group
	unknown *rate.Limiter

	mu      sync.Mutex
	known   *versions
	due     time.Time
	reading bool
	failing bool // the last reading failed
}

func newRing(read func(context.Context) (*versions, error), refresh time.Duration) *ring {
	return &ring{read: read, refresh: refresh, unknown: rate.NewLimiter(rate.Every(unknownEvery), unknownBurst)}
}

// current gives the versions. When they are due, one caller has them read again and waits for it; the others, and everyone while
// the server is away, go on with those that are known. The error says that none ever were.
func (r *ring) current(ctx context.Context) (*versions, error) {
	r.mu.Lock()
	known := r.known
	fetch := known == nil || !time.Now().Before(r.due) && !r.reading
	r.mu.Unlock()
	if !fetch {
		return known, nil
	}
	fresh, err := r.again(ctx)
	if err != nil && known != nil {
		return known, nil
	}
	return fresh, err
}

// again reads the versions, once for all who ask for it.
func (r *ring) again(ctx context.Context) (*versions, error) {
	done := r.flight.DoChan("", func() (v any, err error) {
		err = sdk.Guard(func() error {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
			defer cancel()
			fresh, err := r.refreshed(ctx)
			v = fresh
			return err
		})
		return v, err
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case got := <-done:
		if got.Err != nil {
			return nil, got.Err
		}
		return got.Val.(*versions), nil
	}
}

func (r *ring) refreshed(ctx context.Context) (*versions, error) {
	r.mu.Lock()
	r.reading = true
	before := r.known
	r.mu.Unlock()
	var fresh *versions
	err := sdk.Guard(func() (err error) {
		fresh, err = r.read(ctx)
		return err
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reading, r.failing = false, err != nil
	if err != nil {
		r.due = time.Now().Add(min(retry, r.refresh))
		if before != nil {
			sdk.Logger(ctx).WarnContext(ctx, "the versions of the key cannot be read again; those that are known go on", "error", fmt.Sprint(err))
		}
		return nil, err
	}
	if before == nil && fresh.exportable {
		sdk.Logger(ctx).WarnContext(ctx, "the key is exportable: whoever may export it can sign tokens without the server")
	}
	r.known, r.due = fresh, time.Now().Add(r.refresh)
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
	return version{}, false, r.failing, nil
}

// left is for how long the versions are not read again.
func (r *ring) left() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Until(r.due)
}
