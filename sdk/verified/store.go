package verified

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/realmgate/realmgate/sdk/mac"
)

// maxTokens is how many tokens a process remembers, those that were shown last: less than 20 MB.
const maxTokens = 80_000

// Store has what the memories of a process know, so that the process is bounded however many instances it serves. It is safe for
// concurrent use.
type Store struct {
	start    time.Time
	hasher   *mac.Hasher
	known    *lru.Cache[mac.Sum, good]
	memories atomic.Uint64 // that were made
}

// good is what is known of a token whose signature is. Of each token there is one, whatever the epoch: a former epoch's would never
// be asked for again, and take the room of others.
type good struct {
	epoch uint64
	until time.Duration // since the store's start
}

// NewStore makes an empty store.
func NewStore() *Store {
	known, _ := lru.New[mac.Sum, good](maxTokens) // it fails without any room only
	return &Store{start: time.Now(), hasher: mac.New(), known: known}
}

type storeKey struct{}

// attached is a store in a context.
type attached struct {
	*Store
	call bool
}

// WithStore attaches the store of a process to a context; the serving side does it for constructors.
func WithStore(ctx context.Context, s *Store) context.Context {
	return context.WithValue(ctx, storeKey{}, attached{Store: s})
}

// WithStoreOfCalls attaches it to the context of calls, in which [New] makes no memory; the serving side does it.
func WithStoreOfCalls(ctx context.Context, s *Store) context.Context {
	return context.WithValue(ctx, storeKey{}, attached{s, true})
}

// StoreOf gives the store of the process in the context of a constructor or of a call; elsewhere, e.g. in a test of a part, a new
// one.
func StoreOf(ctx context.Context) *Store {
	if a, ok := ctx.Value(storeKey{}).(attached); ok {
		return a.Store
	}
	return NewStore()
}

// errInCall is New's: nothing that a memory of one call remembered would ever be found.
var errInCall = errors.New("verified: a memory is made in the constructor, not in a call: it would know of one call only")

// forNew gives the store that a new memory is in.
func forNew(ctx context.Context) (*Store, error) {
	if a, _ := ctx.Value(storeKey{}).(attached); a.call {
		return nil, errInCall
	}
	return StoreOf(ctx), nil
}
