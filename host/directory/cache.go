package directory

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"

	"github.com/maypok86/otter/v2"
)

// cacheSize bounds each of the two caches, in entries.
const cacheSize = 16_384

// cache remembers answers of the store, also that something is not there. Its keys carry the epoch that was current
// before the store was asked, so an answer is never used after a change; and while the epochs are stale nothing is used or kept.
type cache struct {
	principals *otter.Cache[principalKey, *Principal] // nil: there is none
	revoked    *otter.Cache[tokenKey, bool]
}

type principalKey struct {
	realm string
	epoch uint64
	byID  bool
	value string
}

type tokenKey struct {
	realm string
	epoch uint64
	token [sha256.Size]byte
}

func newCache() cache {
	return cache{
		principals: otter.Must(&otter.Options[principalKey, *Principal]{MaximumSize: cacheSize}),
		revoked:    otter.Must(&otter.Options[tokenKey, bool]{MaximumSize: cacheSize}),
	}
}

// lookup finds a principal by id, or by name; nil if there is none. The answer is shared and must not be changed.
func (d *Directory) lookup(ctx context.Context, realm string, byID bool, value string) (*Principal, error) {
	if !possible(realm, value) {
		return nil, nil
	}
	epoch, known := d.epoch(realm)
	key := principalKey{realm, epoch, byID, value}
	if !known {
		return d.lookupStored(ctx, key)
	}
	if p, ok := d.cache.principals.GetIfPresent(key); ok {
		return p, nil
	}
	p, err := d.lookupStored(ctx, key)
	if err != nil {
		return nil, err
	}
	d.cache.principals.Set(key, p)
	return p, nil
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
	epoch, known := d.epoch(realm)
	key := tokenKey{realm, epoch, hashToken(issuer, tokenID)}
	if revoked, ok := d.cache.revoked.GetIfPresent(key); ok && known {
		return revoked, nil
	}
	var n int
	if err := d.stmt.revoked.QueryRowContext(ctx, realm, key.token[:]).Scan(&n); err != nil {
		return false, err
	}
	if known {
		d.cache.revoked.Set(key, n > 0)
	}
	return n > 0, nil
}
