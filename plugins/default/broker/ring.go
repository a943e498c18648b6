package broker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/realmgate/realmgate/sdk"
)

const (
	// defaultKeep is how long a key from a secret store is kept where the store does not say.
	defaultKeep = 5 * time.Minute
	// retry is how long a ring waits after a store failed, while it goes on with the keys that it has.
	retry = 30 * time.Second
	// readTimeout bounds one reading. It is shorter than what a decision has, so that a store that hangs costs a decision
	// some time, but not its answer.
	readTimeout = 2 * time.Second
	// maxRetired bounds the number of former keys that still verify.
	maxRetired = 4
)

// key is one key; sign is nil for one that only verifies. Both are what jwt's signing methods take.
type key struct {
	id           string
	method       jwt.SigningMethod // the only one that the key is used with
	sign, verify any
	till         time.Time // when it retires; zero: that is not known
}

// source is where a broker's keys come from: a ring or a folder. It is safe for concurrent use.
type source interface {
	current(ctx context.Context, now time.Time) *keys
}

// keys are the keys at one time. They do not change.
type keys struct {
	signer   key       // without a sign if none signs
	verifies []key     // all of them, the signer's first
	until    time.Time // when they must be read again; zero: never
}

// byID finds a key by its kid.
func (k *keys) byID(id string) (key, bool) {
	for _, x := range k.verifies {
		if x.id == id {
			return x, true
		}
	}
	return key{}, false
}

// ring holds the current keys and reads them again when a secret store says so. A signing key that was replaced goes on
// verifying for the longest life of a token, and a second for those that are just being signed, since tokens of it are about.
// That is for the mistakes of operators: another daemon, or this one after a start, does not know the former key unless the
// settings name it, nor the new one before it has read it.
type ring struct {
	read   func(context.Context) (*keys, error)
	retain time.Duration

	mu       sync.Mutex
	now      *keys
	retired  []retired
	reading  bool
	notUntil time.Time // of the next attempt after one that failed
}

type retired struct {
	key  key
	till time.Time
}

// newRing reads the keys for the first time.
func newRing(ctx context.Context, retain time.Duration, read func(context.Context) (*keys, error)) (*ring, error) {
	k, err := read(ctx)
	if err != nil {
		return nil, err
	}
	return &ring{read: read, retain: retain, now: k}, nil
}

// current gives the keys. One caller at a time has them read again when they are due, and waits for it, since the host
// answers a part only as long as the call lasts in which it asks; the others, and everyone while the store is down, go on
// with those that were read before.
func (r *ring) current(ctx context.Context, now time.Time) *keys {
	r.mu.Lock()
	if r.now.until.IsZero() || now.Before(r.now.until) || r.reading || now.Before(r.notUntil) {
		defer r.mu.Unlock()
		return r.withRetired(now)
	}
	r.reading = true
	r.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.refresh(ctx, now)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.withRetired(now)
}

// refresh reads the keys again, in a time of its own: a caller who hangs up does not end it. Where the host ends it because
// the call is over, that says nothing about the store, and the next caller tries again.
func (r *ring) refresh(caller context.Context, now time.Time) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(caller), readTimeout)
	defer cancel()
	var fresh *keys
	err := sdk.Guard(func() (err error) {
		fresh, err = r.read(ctx)
		return err
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reading = false
	if err != nil && errors.Is(caller.Err(), context.Canceled) && ctx.Err() == nil {
		return
	}
	if err != nil {
		r.notUntil = now.Add(retry)
		sdk.Logger(ctx).WarnContext(ctx, "the token broker's keys cannot be read again; it goes on with those that it has", "error", fmt.Sprint(err))
		return
	}
	if old := r.now.signer; old.id != fresh.signer.id {
		if _, known := r.now.byID(fresh.signer.id); !known {
			sdk.Logger(ctx).WarnContext(ctx, "a key signs tokens from now on that was not published before: others may refuse them for as long as they keep published keys. A verification_key block publishes it first", "kid", fresh.signer.id)
		}
		old.sign = nil
		r.retired = append([]retired{{old, now.Add(r.retain + time.Second)}}, r.retired...)
		r.retired = r.retired[:min(len(r.retired), maxRetired)]
	}
	r.now = fresh
}

// withRetired adds the former keys that still verify. It is called with the lock held.
func (r *ring) withRetired(now time.Time) *keys {
	if len(r.retired) == 0 {
		return r.now
	}
	out := *r.now
	out.verifies = append([]key(nil), r.now.verifies...)
	for _, x := range r.retired {
		if now.Before(x.till) {
			out.verifies = union(out.verifies, []key{x.key}) // the settings may name it, too
		}
	}
	return &out
}

// keepUntil is when a secret must be read again.
func keepUntil(s sdk.Secret) time.Time {
	if s.CacheUntil.IsZero() {
		return time.Now().Add(defaultKeep)
	}
	return s.CacheUntil
}

// earlier gives the earlier of two times, of which zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
