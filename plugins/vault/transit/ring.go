package transit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/realmgate/realmgate/plugins/vault/client"
	"github.com/realmgate/realmgate/plugins/vault/flight"
	"github.com/realmgate/realmgate/sdk"
)

const (
	// readTimeout bounds one reading. It is shorter than what a decision has by default.
	readTimeout = 2 * time.Second
	// retry is how long the ring waits after the server failed, while it goes on with what it knows.
	retry = 5 * time.Second
	// unknownEvery and unknownBurst bound how often the server is asked for the sake of key ids that are not known.
	unknownEvery = 10 * time.Second
	unknownBurst = 2
	// doubtEvery and doubtBurst bound how often it is asked since it contradicts what is known.
	doubtEvery = 5 * time.Second
	doubtBurst = 2
	// clockSkew is by how much the clocks of nodes may differ.
	clockSkew = time.Minute
)

// ring holds the versions of a key and reads them again when they are due.
type ring struct {
	read     func(context.Context) (*versions, error)
	refresh  time.Duration
	maxStale time.Duration
	flight   *flight.Group[*versions]
	unknown  *rate.Limiter
	doubt    *rate.Limiter

	mu       sync.Mutex
	known    *versions
	soon     time.Time // they are read again beside from here on,
	due      time.Time // and waited for from here on
	reading  bool
	doubting bool  // somebody has them read again since the server contradicts them
	fault    error // of the last reading
}

func newRing(read func(context.Context) (*versions, error), refresh, maxStale time.Duration) *ring {
	return &ring{
		read: read, refresh: refresh, maxStale: maxStale, flight: flight.New[*versions](readTimeout),
		unknown: rate.NewLimiter(rate.Every(unknownEvery), unknownBurst), doubt: rate.NewLimiter(rate.Every(doubtEvery), doubtBurst),
	}
}

// close ends a reading that is under way.
func (r *ring) close() { r.flight.Close(0) }

// unusable is an answer of the server, not its absence: there is no key any more whose signatures count.
type unusable struct{ error }

// Unwrap gives what the server said.
func (u unusable) Unwrap() error { return u.error }

// current gives the versions. When three quarters of refresh are over, they are read again beside what is asked. When all of it is,
// one caller waits for that, half of the time that it has at most, unless the server has failed of late; the others, and everyone
// while the server is away, go on with those that are known, up to maxStale. The error says that there are none; until the next
// reading is due it answers without the server, so that whoever asks does not decide how often the server is asked.
func (r *ring) current(ctx context.Context) (*versions, error) {
	r.mu.Lock()
	now, known, fault, reading := time.Now(), r.known, r.fault, r.reading
	soon, due, ill := !now.Before(r.soon), !now.Before(r.due), fault != nil && now.Before(r.due.Add(r.refresh))
	r.mu.Unlock()
	if known != nil && now.Sub(known.asked) > r.maxStale {
		known = nil
	}
	switch {
	case known == nil && !due && fault != nil:
		return nil, fault
	case known == nil:
		return r.again(ctx)
	case due && !reading && !ill:
		ctx, cancel := half(ctx)
		defer cancel()
		fresh, err := r.again(ctx)
		if err == nil || errors.As(err, &unusable{}) {
			return fresh, err
		}
	case soon:
		r.flight.Begin(ctx, "", r.refreshed)
	}
	return known, nil
}

// half is the half of the time that a caller has.
func half(ctx context.Context) (context.Context, context.CancelFunc) {
	if end, ok := ctx.Deadline(); ok {
		return context.WithTimeout(ctx, time.Until(end)/2)
	}
	return ctx, func() {}
}

// again reads the versions, once for all who ask for it.
func (r *ring) again(ctx context.Context) (*versions, error) {
	return r.flight.Do(ctx, "", r.refreshed)
}

// instead gives versions that were read after those that the server contradicts, since its key is another one by now. All who find
// that out at the same time cause one reading. It gives the contradicted ones themselves if the server was asked for that too
// often of late.
func (r *ring) instead(ctx context.Context, contradicted *versions) (*versions, error) {
	r.mu.Lock()
	switch {
	case r.known != nil && r.known != contradicted:
		defer r.mu.Unlock()
		return r.known, nil
	case !r.doubting && !r.doubt.Allow():
		r.mu.Unlock()
		return contradicted, nil
	case !r.doubting:
		r.doubting = true
		defer func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.doubting = false
		}()
	}
	r.mu.Unlock()
	return r.again(ctx)
}

func (r *ring) refreshed(ctx context.Context) (*versions, error) {
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
	// Without an answer, or with one that came too late, it is the server's fault, whoever left. What else went wrong on behalf of a
	// caller who left says nothing of the server.
	servers := client.As(err) != nil || errors.Is(ctx.Err(), context.DeadlineExceeded)
	if err != nil && !servers && (flight.Left(ctx) || flight.IsOwn(err)) {
		return nil, err
	}
	r.fault = err
	if err != nil {
		if gone := (unusable{}); errors.As(err, &gone) {
			r.known = nil
		}
		r.due = time.Now().Add(min(retry, r.refresh))
		r.soon = r.due
		if before != nil {
			sdk.Logger(ctx).WarnContext(ctx, "the versions of the key cannot be read again", "none", r.known == nil, "error", fmt.Sprint(err))
		}
		return nil, err
	}
	if before == nil && fresh.exportable {
		sdk.Logger(ctx).WarnContext(ctx, "the key is exportable: whoever may export it can sign tokens without the server")
	}
	fresh.asked = asked
	r.known, r.soon, r.due = fresh, asked.Add(r.refresh*3/4), asked.Add(r.refresh)
	return fresh, nil
}

var (
	errUnknown = errors.New("the key has no such version")
	errOpen    = errors.New("the token is signed with a key that is not known, and the server cannot be asked about it now")
	errBusy    = fmt.Errorf("%w: %w", sdk.ErrBusy, errOpen) // it was asked for others too often
)

// find gives the versions, and the one of an id among them. For an id that is not known the server is asked, within bounds: it
// may be of a new version, which another node signs with. errUnknown is final; any other error says that it is not known whether
// there is such a version: errOpen, if the server was not asked and the token says that it was issued after the last reading.
func (r *ring) find(ctx context.Context, id string, issued time.Time) (*versions, version, error) {
	came := time.Now()
	v, err := r.current(ctx)
	if err != nil {
		return nil, version{}, err
	}
	x, found := v.byID(id)
	if !found && v.asked.Before(came) && r.unknown.Allow() {
		if v, err = r.again(ctx); err != nil {
			return nil, version{}, err
		}
		x, found = v.byID(id)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case found:
		return v, x, nil
	case !v.asked.Before(came): // what signed the token was there before
		return v, x, errUnknown
	case r.fault != nil:
		return v, x, errOpen
	case issued.After(v.asked.Add(-clockSkew)) && issued.Before(came.Add(clockSkew)):
		return v, x, errBusy
	}
	return v, x, errUnknown
}
