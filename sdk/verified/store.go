package verified

import (
	"context"
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

// WithStore attaches the store of a process to a context; the serving side does it for constructors.
func WithStore(ctx context.Context, s *Store) context.Context {
	return context.WithValue(ctx, storeKey{}, s)
}

// StoreOf gives the store of the process in the context of a constructor; elsewhere, e.g. in a test of a part, a new one.
func StoreOf(ctx context.Context) *Store {
	if s, ok := ctx.Value(storeKey{}).(*Store); ok {
		return s
	}
	return NewStore()
}
