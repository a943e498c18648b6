package secret

import (
	"sync"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/sync/singleflight"

	"github.com/realmgate/realmgate/sdk"
)

// maxKept bounds what is kept of secrets, in bytes, each reckoned as its value, what names it, and keptOverhead.
const (
	maxKept      = 16 << 20
	keptOverhead = 256
)

// table is the stores of one configuration with what is remembered of them: a new configuration starts afresh.
type table struct {
	now    func() time.Time
	stores map[string]Store
	kept   *otter.Cache[at, kept] // until their ends
	flight singleflight.Group

	mu    sync.Mutex
	reads map[string]*reads // by place; of places that nobody reads now there is nothing
}

// at is where a whole secret is.
type at struct{ place, version string }

func atOf(ref sdk.SecretRef) at { return at{place(ref), ref.Version()} }

// kept is a whole secret. A field is taken out of it when it is asked for: two fields that are given while it is kept belong
// together.
type kept struct {
	secret sdk.Secret
	until  time.Time
}

// reads are those of one place that are under way.
type reads struct {
	now     int    // how many
	changes uint64 // how often the place was written or deleted since the first of them began
}

func newTable(stores []Store, now func() time.Time) *table {
	t := &table{now: now, stores: make(map[string]Store, len(stores)), reads: map[string]*reads{}}
	for _, st := range stores {
		t.stores[st.Name] = st
	}
	t.kept = otter.Must(&otter.Options[at, kept]{
		MaximumWeight: maxKept,
		Weigher: func(x at, k kept) uint32 {
			return uint32(min(len(k.secret.Reveal())+len(x.place)+len(x.version)+keptOverhead, maxKept))
		},
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[at, kept]) time.Duration { return e.Value.until.Sub(now()) }),
	})
	return t
}

// place names what a write changes: every version and field of a path.
func place(ref sdk.SecretRef) string { return ref.Store() + ":" + ref.Path() }

// begin begins a read, which end ends. It tells which changes the read knows.
func (t *table) begin(ref sdk.SecretRef) (since uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.reads[place(ref)]
	if r == nil {
		r = &reads{}
		t.reads[place(ref)] = r
	}
	r.now++
	return r.changes
}

func (t *table) end(ref sdk.SecretRef) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r := t.reads[place(ref)]; r.now > 1 {
		r.now--
		return
	}
	delete(t.reads, place(ref))
}

// keep remembers a value of a read that has not ended, unless what it was read from has changed since it began.
func (t *table) keep(ref sdk.SecretRef, since uint64, k kept) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.reads[place(ref)].changes == since && t.now().Before(k.until) {
		t.kept.Set(atOf(ref), k)
	}
}

// remembered gives a value whose time is not over.
func (t *table) remembered(ref sdk.SecretRef) (sdk.Secret, bool) {
	k, ok := t.kept.GetIfPresent(atOf(ref))
	if !ok || !t.now().Before(k.until) {
		return sdk.Secret{}, false
	}
	return k.secret, true
}

// forget drops every version of a path; reads that are under way are not remembered.
func (t *table) forget(ref sdk.SecretRef) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r := t.reads[place(ref)]; r != nil {
		r.changes++
	}
	for x := range t.kept.Keys() {
		if x.place == place(ref) {
			t.kept.Invalidate(x)
		}
	}
}
