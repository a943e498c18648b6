package directory

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"time"

	"github.com/maypok86/otter/v2"
)

// cacheSize bounds each of the two caches, in entries, and cacheLife the time for which an answer is remembered: an end to what
// no epoch shows, such as a store that was replaced by another one with the same counts.
const (
	cacheSize = 16_384
	cacheLife = time.Minute
)

// cache remembers answers of the store, also that something is not there. Each has the epoch that was current before the store
// was asked, so an answer is never used after a change; and while the epochs are stale nothing is used or kept. The epoch is no
// part of the key: what a change made useless is replaced, and takes no room beside what is of use.
type cache struct {
	principals *otter.Cache[principalKey, answer[*Principal]] // nil: there is none
	revoked    *otter.Cache[tokenKey, answer[bool]]
}

type principalKey struct {
	realm string
	byID  bool
	value string
}

type tokenKey struct {
	realm string
	token [sha256.Size]byte
}

// answer is what the store said in an epoch.
type answer[T any] struct {
	value T
	epoch uint64
	until time.Time
}

func newCache() cache {
	return cache{principals: space[principalKey, *Principal](), revoked: space[tokenKey, bool]()}
}

func space[K comparable, T any]() *otter.Cache[K, answer[T]] {
	return otter.Must(&otter.Options[K, answer[T]]{MaximumSize: cacheSize, ExpiryCalculator: otter.ExpiryWriting[K, answer[T]](cacheLife)})
}

// remembered gives the answer to a key that counts, or that of ask, and keeps it.
func remembered[K comparable, T any](d *Directory, in *otter.Cache[K, answer[T]], realm string, k K, ask func() (T, error)) (T, error) {
	epoch, known := d.epoch(realm)
	if !known {
		return ask()
	}
	now := d.now()
	if a, ok := in.GetIfPresent(k); ok && a.epoch == epoch && now.Before(a.until) {
		return a.value, nil
	}
	v, err := ask()
	if err == nil {
		in.Set(k, answer[T]{v, epoch, now.Add(cacheLife)})
	}
	return v, err
}

// lookup finds a principal by id, or by name; nil if there is none. The answer is shared and must not be changed.
func (d *Directory) lookup(ctx context.Context, realm string, byID bool, value string) (*Principal, error) {
	if !possible(realm, value) {
		return nil, nil
	}
	key := principalKey{realm, byID, value}
	return remembered(d, d.cache.principals, realm, key, func() (*Principal, error) { return d.lookupStored(ctx, key) })
}

func (d *Directory) lookupStored(ctx context.Context, key principalKey) (*Principal, error) {
	var by *sql.Stmt
	if by = d.stmt.byName; key.byID {
		by = d.stmt.byID
	}
	r, err := scanRecord(by.QueryRowContext(ctx, key.realm, key.value))
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return &r.Principal, nil
}

func (d *Directory) isRevoked(ctx context.Context, realm, issuer, tokenID string) (bool, error) {
	if !possible(realm) {
		return false, nil
	}
	key := tokenKey{realm, hashToken(issuer, tokenID)}
	return remembered(d, d.cache.revoked, realm, key, func() (bool, error) {
		var n int
		err := d.stmt.revoked.QueryRowContext(ctx, realm, key.token[:]).Scan(&n)
		return n > 0, err
	})
}
