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
// before the store was asked, so an answer is never used after a change; and nothing is used once the epochs are stale.
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
	key := principalKey{realm, d.Epoch(realm), byID, value}
	if p, ok := d.cache.principals.GetIfPresent(key); ok && !d.stale() {
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
	key := tokenKey{realm, d.Epoch(realm), hashToken(issuer, tokenID)}
	if revoked, ok := d.cache.revoked.GetIfPresent(key); ok && !d.stale() {
		return revoked, nil
	}
	var n int
	if err := d.stmt.revoked.QueryRowContext(ctx, realm, key.token[:]).Scan(&n); err != nil {
		return false, err
	}
	d.cache.revoked.Set(key, n > 0)
	return n > 0, nil
}
