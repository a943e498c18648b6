package custody

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/host/secret"
	"github.com/realmgate/realmgate/sdk"
)

// memory is a secret store whose writes may be slow to come, and whose deletes may fail.
type memory struct {
	mu     sync.Mutex
	values map[string]string
	late   func() // of a write that failed and is done all the same, later
	broken error  // what deleting says
	fails  error  // what writing says
}

func (m *memory) Resolve(context.Context, sdk.SecretRef) (sdk.Secret, error) {
	return sdk.Secret{}, nil
}

func (m *memory) WriteSecret(_ context.Context, ref sdk.SecretRef, value []byte) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fails != nil {
		m.late = func() { m.values[ref.Path()] = string(value) }
		return "", m.fails
	}
	m.values[ref.Path()] = string(value)
	return "", nil
}

func (m *memory) DeleteSecret(_ context.Context, ref sdk.SecretRef) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken == nil {
		delete(m.values, ref.Path())
	}
	return m.broken
}

type world struct {
	dir    *directory.Directory
	store  *memory
	c      *Custody
	clock  time.Time
	log    strings.Builder
	stores *secret.Service
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{store: &memory{values: map[string]string{}}, clock: time.Now(), stores: secret.New(nil)}
	now := func() time.Time { return w.clock }
	var err error
	if w.dir, err = directory.Open(t.Context(), directory.Config{Type: "sqlite", Path: filepath.Join(t.TempDir(), "d.db"), Now: now}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.dir.Close() })
	w.stores.SetStores([]secret.Store{
		{Name: "local", Resolver: w.store, Writer: w.store, Grants: []secret.Grant{{Realm: "r", Prefix: "r/"}}},
		{Name: "fixed", Resolver: w.store, Grants: []secret.Grant{{Realm: "r", Prefix: "r/"}}},
	})
	w.c, err = New(Config{
		Realm: "r", Store: "local", Prefix: "r/", Ledger: w.dir, Secrets: w.stores, Now: now,
		Logger: hclog.New(&hclog.LoggerOptions{Output: &w.log}),
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

var canary = []Value{{"a", sdk.NewSecret([]byte("canary"))}}

const owner = "connections/c"

// keep keeps a connection with its references.
func (w *world) keep(ctx context.Context, refs []sdk.SecretRef) error {
	_, err := w.dir.CreateConnection(ctx, "r", directory.NewConnection{Connection: directory.Connection{Name: "c", Authentication: []byte("{}")}, Keep: refs})
	return err
}

// left gives what is in the store and what is doomed.
func (w *world) left(t *testing.T) (secrets, doomed int) {
	t.Helper()
	list, err := w.dir.DoomedSecrets(t.Context(), "r", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return len(w.store.values), len(list)
}

func (w *world) sweep(t *testing.T, after time.Duration) int {
	t.Helper()
	w.clock = w.clock.Add(after)
	left, err := w.c.Sweep(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return left
}

func TestHold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.c.Hold(t.Context(), owner, canary, w.keep); err != nil || w.store.values["r/a"] != "canary" {
		t.Fatal(err, w.store.values)
	}
	w.sweep(t, time.Hour)
	w.sweep(t, time.Hour)
	if n, doomed := w.left(t); n != 1 || doomed != 0 {
		t.Errorf("what is kept was swept: %d, %d", n, doomed)
	}
	ref, err := w.c.reference("a")
	if err != nil {
		t.Fatal(err)
	}
	if whose, ours, err := w.c.OwnerOf(t.Context(), ref); err != nil || !ours || whose != owner {
		t.Errorf("%s %v %v", whose, ours, err)
	}
	other, _ := sdk.ParseSecretRef("urn:realmgate-secret:local:r/b")
	if _, ours, err := w.c.OwnerOf(t.Context(), other); err != nil || ours {
		t.Errorf("%v %v", ours, err)
	}
}

func TestHoldRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	never := func(context.Context, []sdk.SecretRef) error { t.Error("kept"); return nil }
	for name, tt := range map[string]struct {
		realm, store, prefix string
		want                 error
	}{
		"no store":       {"r", "", "", ErrNoStore},
		"unknown store":  {"r", "nowhere", "r/", secret.ErrNotGranted},
		"another prefix": {"r", "local", "s/", secret.ErrNotGranted},
		"another realm":  {"s", "local", "r/", secret.ErrNotGranted},
		"read only":      {"r", "fixed", "r/", secret.ErrReadOnly},
	} {
		c, err := New(Config{Realm: tt.realm, Store: tt.store, Prefix: tt.prefix, Ledger: w.dir, Secrets: w.stores})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Hold(t.Context(), owner, canary, never); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
		called := false
		if err := c.Hold(t.Context(), owner, nil, func(context.Context, []sdk.SecretRef) error { called = true; return nil }); err != nil || !called {
			t.Errorf("%s: without a secret: %v", name, err)
		}
	}
	if n, doomed := w.left(t); n+doomed != 0 {
		t.Errorf("%d, %d", n, doomed)
	}
	for _, prefix := range []string{"", "r", "a/../b/", "a b/"} {
		if _, err := New(Config{Realm: "r", Store: "local", Prefix: prefix}); err == nil {
			t.Errorf("prefix %q", prefix)
		}
	}
}

// A write that failed may still arrive, after it was undone: the sweep deletes again.
func TestWriteThatComesLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.store.fails = errors.New("time-out")
	if err := w.c.Hold(t.Context(), owner, canary, w.keep); err == nil {
		t.Fatal("no error")
	}
	w.store.late()
	if n, doomed := w.left(t); n != 1 || doomed != 1 {
		t.Fatalf("%d, %d", n, doomed)
	}
	if w.sweep(t, 0); len(w.store.values) != 1 {
		t.Error("swept while it may be on its way")
	}
	w.sweep(t, time.Hour)
	if n, doomed := w.left(t); n+doomed != 0 {
		t.Errorf("%d, %d", n, doomed)
	}
}

// The commit succeeded and its answer was lost: the secret is the owner's, and is not deleted.
func TestAnswerThatIsLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lost := errors.New("lost")
	err := w.c.Hold(t.Context(), owner, canary, func(ctx context.Context, refs []sdk.SecretRef) error {
		if err := w.keep(ctx, refs); err != nil {
			t.Fatal(err)
		}
		return lost
	})
	if !errors.Is(err, lost) {
		t.Fatal(err)
	}
	w.sweep(t, time.Hour)
	w.sweep(t, time.Hour)
	if n, doomed := w.left(t); n != 1 || doomed != 0 {
		t.Errorf("%d, %d", n, doomed)
	}
}

// A caller that goes away in the midst of it leaves nothing.
func TestCallerThatGoesAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := w.c.Hold(ctx, owner, canary, func(ctx context.Context, refs []sdk.SecretRef) error {
		cancel()
		return w.keep(ctx, refs)
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if n, doomed := w.left(t); n+doomed != 0 {
		t.Errorf("%d, %d", n, doomed)
	}
}

// What cannot be deleted is in the log by its reference, and is deleted when the store is back.
func TestStoreThatIsDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.c.Hold(t.Context(), owner, canary, w.keep); err != nil {
		t.Fatal(err)
	}
	w.store.broken = errors.New("down")
	if err := w.dir.DeleteConnection(t.Context(), "r", "c", 0); err != nil {
		t.Fatal(err)
	}
	w.c.Release(t.Context(), owner)
	if left := w.sweep(t, time.Hour); left != 1 || !strings.Contains(w.log.String(), "urn:realmgate-secret:local:r/a") || strings.Contains(w.log.String(), "canary") {
		t.Errorf("%d left, log: %s", left, w.log.String())
	}
	w.store.broken = nil
	if left := w.sweep(t, time.Minute); left != 0 {
		t.Errorf("%d left", left)
	}
	if n, doomed := w.left(t); n+doomed != 0 {
		t.Errorf("%d, %d", n, doomed)
	}
}

// Secrets that cannot be deleted, however many, keep no other one from being deleted, at once or by the sweep; and the log is
// told of them when they come up, and once an hour.
func TestManyThatCannotBeDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const many = 2100 // more than two pages
	var stuck []sdk.SecretRef
	for i := range many {
		ref, err := sdk.ParseSecretRef(fmt.Sprintf("urn:realmgate-secret:gone:r/%d", i))
		if err != nil {
			t.Fatal(err)
		}
		stuck = append(stuck, ref)
	}
	if err := w.dir.PlanSecrets(t.Context(), "r", "connections/old", stuck); err != nil {
		t.Fatal(err)
	}
	if _, err := w.dir.AbandonSecrets(t.Context(), "r", stuck); err != nil {
		t.Fatal(err)
	}
	if err := w.c.Hold(t.Context(), owner, canary, w.keep); err != nil {
		t.Fatal(err)
	}
	w.clock = w.clock.Add(time.Second)
	if err := w.dir.DeleteConnection(t.Context(), "r", "c", 0); err != nil {
		t.Fatal(err)
	}
	w.store.broken = errors.New("down")
	w.c.Release(t.Context(), owner)
	w.store.broken = nil
	w.log.Reset()
	if left := w.sweep(t, time.Hour); left != many || len(w.store.values) != 0 {
		t.Errorf("%d left, in the store %v", left, w.store.values)
	}
	for range 3 {
		w.sweep(t, time.Minute)
	}
	if n := strings.Count(w.log.String(), "cannot be deleted"); n != 1 || strings.Count(w.log.String(), "\n") != 1 {
		t.Errorf("%d lines: %s", n, w.log.String())
	}
	w.sweep(t, time.Hour)
	if n := strings.Count(w.log.String(), "cannot be deleted"); n != 2 {
		t.Errorf("%d lines after an hour", n)
	}

	if err := w.c.Hold(t.Context(), owner, canary, w.keep); err != nil {
		t.Fatal(err)
	}
	if err := w.dir.DeleteConnection(t.Context(), "r", "c", 0); err != nil {
		t.Fatal(err)
	}
	if w.c.Release(t.Context(), owner); len(w.store.values) != 0 {
		t.Errorf("not deleted at once: %v", w.store.values)
	}
}
