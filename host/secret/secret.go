package secret

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// Errors that callers tell apart; they come wrapped, with the store's name and never with a value.
var (
	ErrUnknownStore = errors.New("no such secret store")
	ErrNotGranted   = errors.New("the reference is not granted to the realm")
	ErrReadOnly     = errors.New("the secret store cannot be written")
	ErrPinned       = errors.New("a single version or field of a secret can be neither written nor deleted")
)

// Limits of what is kept.
const (
	defaultLife = 30 * time.Second // where the resolver names no time
	maxLife     = 5 * time.Minute
	fetchLimit  = 10 * time.Second // of one fetch, which may serve several callers
)

// Grant gives the paths below Prefix to a realm. A prefix that ends with "/" covers what is below it, any other one also
// itself.
type Grant struct{ Realm, Prefix string }

func (g Grant) covers(realm, path string) bool {
	if g.Realm != realm || realm == "" || g.Prefix == "" {
		return false
	}
	if strings.HasSuffix(g.Prefix, "/") {
		return strings.HasPrefix(path, g.Prefix)
	}
	return path == g.Prefix || strings.HasPrefix(path, g.Prefix+"/")
}

// Store is one configured secret store.
type Store struct {
	Name     string
	Resolver sdk.SecretResolver
	Writer   sdk.SecretWriter // nil: read only
	Grants   []Grant
	// OperatorOnly marks a store that reaches into the machine that the daemon runs on: only the operator's configuration
	// may name it, whatever was granted.
	OperatorOnly bool
}

// Service resolves references. It has no stores until SetStores gives it some. It is safe for concurrent use.
type Service struct {
	now    func() time.Time
	table  atomic.Pointer[table]
	counts *Counts // nil: nobody counts
}

// New gives a service without stores. now may be nil for the clock of the machine.
func New(now func() time.Time) *Service {
	if now == nil {
		now = time.Now
	}
	s := &Service{now: now}
	s.SetStores(nil)
	return s
}

// SetStores replaces all stores and forgets every value.
func (s *Service) SetStores(stores []Store) {
	s.table.Store(newTable(stores, s.now))
}

// Resolve gives the value of a reference of the operator's configuration.
func (s *Service) Resolve(ctx context.Context, ref sdk.SecretRef) (sdk.Secret, error) {
	t := s.table.Load()
	st, err := t.store(ref)
	if err != nil {
		return sdk.Secret{}, err
	}
	return s.value(ctx, t, st, ref)
}

// ResolveGranted gives the value of a reference that came in with a call for a realm. Without a grant that covers it the
// error is ErrNotGranted, also for a store that does not exist: a caller cannot find out which stores there are.
func (s *Service) ResolveGranted(ctx context.Context, realm string, ref sdk.SecretRef) (sdk.Secret, error) {
	t := s.table.Load()
	st, err := t.granted(realm, ref)
	if err != nil {
		return sdk.Secret{}, err
	}
	return s.value(ctx, t, st, ref)
}

func (t *table) store(ref sdk.SecretRef) (Store, error) {
	st, ok := t.stores[ref.Store()]
	if !ok {
		return Store{}, fmt.Errorf("secret store %q: %w", ref.Store(), ErrUnknownStore)
	}
	return st, nil
}

// granted gives the store of a reference that came in with a call for a realm.
func (t *table) granted(realm string, ref sdk.SecretRef) (Store, error) {
	st, ok := t.stores[ref.Store()]
	covers := func(g Grant) bool { return g.covers(realm, ref.Path()) }
	if !ok || st.OperatorOnly || !slices.ContainsFunc(st.Grants, covers) {
		return Store{}, fmt.Errorf("secret store %s, realm %s: %w", ref.Store(), realm, ErrNotGranted)
	}
	return st, nil
}

// value gives what a reference names of the secret that it is in.
func (s *Service) value(ctx context.Context, t *table, st Store, ref sdk.SecretRef) (sdk.Secret, error) {
	whole, err := together(ctx, t, ref.Whole(), func() (sdk.Secret, error) { return s.fetch(ctx, t, st, ref.Whole()) })
	if err != nil {
		return sdk.Secret{}, st.fault(ref, err)
	}
	v, err := whole.Field(ref.Field())
	if err != nil {
		return sdk.Secret{}, st.fault(ref, err)
	}
	return v, nil
}

// fault names the store and the reference as it was given, once: a resolver does not see the field, and names neither.
func (s Store) fault(ref sdk.SecretRef, err error) error {
	return fmt.Errorf("secret store %s: %s: %w", s.Name, ref, err)
}

// fetch gives a whole secret, of those that are kept or from the store.
func (s *Service) fetch(ctx context.Context, t *table, st Store, ref sdk.SecretRef) (sdk.Secret, error) {
	if v, ok := t.remembered(ref); ok {
		s.counts.remember()
		return v, nil
	}
	// The fetch serves all who wait, so it must not end with the caller that happened to be first.
	since := t.begin(ref)
	defer t.end(ref)
	ch := t.flight.DoChan(ref.String()+"@"+strconv.FormatUint(since, 10), func() (any, error) {
		since := t.begin(ref) // whoever waits may have gone by the time that it ends
		defer t.end(ref)
		if v, ok := t.remembered(ref); ok { // by a fetch that ended since we looked
			return v, nil
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchLimit)
		defer cancel()
		s.counts.ask()
		var v sdk.Secret
		err := sdk.Guard(func() (err error) { // the flight would end the daemon with it
			v, err = st.Resolver.Resolve(ctx, ref)
			return err
		})
		if err != nil {
			return nil, err
		}
		t.keep(ref, since, kept{v, s.keepUntil(v)})
		return v, nil
	})
	select {
	case r := <-ch:
		if r.Err != nil {
			return sdk.Secret{}, r.Err
		}
		return r.Val.(sdk.Secret), nil
	case <-ctx.Done():
		return sdk.Secret{}, ctx.Err()
	}
}

func (s *Service) keepUntil(v sdk.Secret) time.Time {
	now := s.now()
	if v.CacheUntil.IsZero() {
		return now.Add(defaultLife)
	}
	if latest := now.Add(maxLife); v.CacheUntil.After(latest) {
		return latest
	}
	return v.CacheUntil
}
