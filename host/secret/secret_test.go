package secret

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// memory is a store in memory that counts its fetches.
type memory struct {
	mu      sync.Mutex
	values  map[string]string
	until   time.Time
	fetches atomic.Int64
	gate    chan struct{}
}

func (m *memory) Resolve(ctx context.Context, ref sdk.SecretRef) (sdk.Secret, error) {
	m.fetches.Add(1)
	if m.gate != nil {
		<-m.gate
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.values[ref.Path()]
	if !ok {
		return sdk.Secret{}, fmt.Errorf("nothing at %s", ref.Path())
	}
	s := sdk.NewSecret([]byte(v))
	s.CacheUntil = m.until
	return s, nil
}

func (m *memory) WriteSecret(_ context.Context, ref sdk.SecretRef, value []byte) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[ref.Path()] = string(value)
	return "1", nil
}

func (m *memory) DeleteSecret(_ context.Context, ref sdk.SecretRef) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.values, ref.Path())
	return nil
}

func ref(t *testing.T, text string) sdk.SecretRef {
	t.Helper()
	r, err := sdk.ParseSecretRef(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestGrants(t *testing.T) {
	m := &memory{values: map[string]string{"kv/a/x": "ax", "kv/b/x": "bx", "kv/ab": "ab", "one": "1", "one/below": "2"}}
	s := New(nil)
	s.SetStores([]Store{
		{Name: "vault", Resolver: m, Grants: []Grant{{"a", "kv/a/"}, {"b", "kv/b/"}, {"a", "one"}}},
		{Name: "files", OperatorOnly: true, Resolver: m, Grants: []Grant{{"a", "kv/a/"}}},
		{Name: "vars", OperatorOnly: true, Resolver: m, Grants: []Grant{{"a", "kv/a/"}}},
	})
	tests := []struct {
		realm, ref string
		ok         bool
	}{
		{"a", "urn:realmgate-secret:vault:kv/a/x", true},
		{"a", "urn:polaris-secret:vault:kv/a/x", true},
		{"a", "urn:realmgate-secret:vault:kv/b/x", false},
		{"a", "urn:realmgate-secret:vault:kv/ab", false},
		{"a", "urn:realmgate-secret:vault:kv/a", false},
		{"a", "urn:realmgate-secret:vault:one", true},
		{"a", "urn:realmgate-secret:vault:one/below", true},
		{"a", "urn:realmgate-secret:vault:onetwo", false},
		{"b", "urn:realmgate-secret:vault:kv/a/x", false},
		{"A", "urn:realmgate-secret:vault:kv/a/x", false},
		{"", "urn:realmgate-secret:vault:kv/a/x", false},
		{"a", "urn:realmgate-secret:files:kv/a/x", false},
		{"a", "urn:realmgate-secret:vars:kv/a/x", false},
		{"a", "urn:realmgate-secret:nowhere:kv/a/x", false},
	}
	for _, tt := range tests {
		_, err := s.ResolveGranted(t.Context(), tt.realm, ref(t, tt.ref))
		if tt.ok != (err == nil) || err != nil && !errors.Is(err, ErrNotGranted) {
			t.Errorf("%s %s: %v", tt.realm, tt.ref, err)
		}
		if err := s.Granted(tt.realm, ref(t, tt.ref)); tt.ok != (err == nil) || err != nil && !errors.Is(err, ErrNotGranted) {
			t.Errorf("%s %s may be resolved: %v", tt.realm, tt.ref, err)
		}
	}
	s.SetStores([]Store{
		{Name: "vault", Resolver: m, Grants: []Grant{{"a", "kv/a/"}}},
		{Name: "vars", OperatorOnly: true, Resolver: m, Writer: m, Grants: []Grant{{"a", "kv/a/"}}},
		{Name: "local", Resolver: m, Writer: m, Grants: []Grant{{"a", "kv/a/"}}},
	})
	for text, want := range map[string]error{
		"urn:realmgate-secret:local:kv/a/x": nil, "urn:realmgate-secret:local:kv/b/x": ErrNotGranted, "urn:realmgate-secret:local:kv/a/x#f": ErrPinned,
		"urn:realmgate-secret:vault:kv/a/x": ErrReadOnly, "urn:realmgate-secret:vars:kv/a/x": ErrNotGranted,
	} {
		if err := s.Writable("a", ref(t, text)); !errors.Is(err, want) {
			t.Errorf("%s may be written: %v, want %v", text, err, want)
		}
	}
	for _, bad := range []string{"kv/a/../b/x", "kv/a/%2e%2e/b/x", "kv/a//x", "/kv/a/x", "kv/a/./x", "kv/a/x%00", `kv\a\x`} {
		if _, err := sdk.ParseSecretRef("urn:realmgate-secret:vault:" + bad); err == nil {
			t.Errorf("%s parses", bad)
		}
	}
	if _, err := s.Resolve(t.Context(), ref(t, "urn:realmgate-secret:vars:kv/b/x")); err != nil {
		t.Errorf("the operator's own reference: %v", err)
	}
	if _, err := s.Resolve(t.Context(), ref(t, "urn:realmgate-secret:nowhere:x")); !errors.Is(err, ErrUnknownStore) {
		t.Error(err)
	}
}

func TestCachingAndSingleFlight(t *testing.T) {
	clock := time.Unix(1000, 0)
	m := &memory{values: map[string]string{"x": "1"}, gate: make(chan struct{})}
	s := New(func() time.Time { return clock })
	s.SetStores([]Store{{Name: "m", Resolver: m}})
	r := ref(t, "urn:realmgate-secret:m:x")
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if v, err := s.Resolve(t.Context(), r); err != nil || string(v.Reveal()) != "1" {
				t.Errorf("%v %v", v, err)
			}
		})
	}
	close(m.gate)
	wg.Wait()
	if n := m.fetches.Load(); n != 1 {
		t.Errorf("%d fetches for one reference", n)
	}
	clock = clock.Add(defaultLife + time.Second)
	_, _ = s.Resolve(t.Context(), r)
	if n := m.fetches.Load(); n != 2 {
		t.Errorf("%d fetches after the life of the value", n)
	}
	m.until = clock.Add(time.Hour)
	clock = clock.Add(defaultLife + time.Second)
	_, _ = s.Resolve(t.Context(), r)
	clock = clock.Add(maxLife + time.Second)
	_, _ = s.Resolve(t.Context(), r)
	if n := m.fetches.Load(); n != 4 {
		t.Errorf("%d fetches: a store cannot make us keep a value for ever", n)
	}
	s.SetStores([]Store{{Name: "m", Resolver: m}})
	_, _ = s.Resolve(t.Context(), r)
	if n := m.fetches.Load(); n != 5 {
		t.Errorf("%d fetches after a new configuration", n)
	}
}

func TestCallerThatGivesUpDoesNotTakeOthersDown(t *testing.T) {
	m := &memory{values: map[string]string{"x": "1"}, gate: make(chan struct{})}
	s := New(nil)
	s.SetStores([]Store{{Name: "m", Resolver: m}})
	r := ref(t, "urn:realmgate-secret:m:x")
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() { _, err := s.Resolve(ctx, r); first <- err }()
	for m.fetches.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	second := make(chan error, 1)
	go func() { _, err := s.Resolve(t.Context(), r); second <- err }()
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	close(m.gate)
	if err := <-second; err != nil {
		t.Error(err)
	}
}

func TestWriteAndDelete(t *testing.T) {
	m := &memory{values: map[string]string{"x": `{"f":"1"}`}}
	s := New(nil)
	s.SetStores([]Store{{Name: "m", Resolver: m, Writer: m}, {Name: "ro", Resolver: m}})
	r := ref(t, "urn:realmgate-secret:m:x#f")
	if v, _ := s.Resolve(t.Context(), r); string(v.Reveal()) != "1" {
		t.Fatal(v)
	}
	if _, err := s.Write(t.Context(), ref(t, "urn:realmgate-secret:m:x"), []byte(`{"f":"2"}`)); err != nil {
		t.Fatal(err)
	}
	if v, _ := s.Resolve(t.Context(), r); string(v.Reveal()) != "2" {
		t.Error("the old value is still answered after a write")
	}
	if err := s.Delete(t.Context(), ref(t, "urn:realmgate-secret:m:x")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Resolve(t.Context(), r); err == nil {
		t.Error("a deleted secret is still answered")
	}
	if _, err := s.Write(t.Context(), ref(t, "urn:realmgate-secret:ro:x"), nil); !errors.Is(err, ErrReadOnly) {
		t.Error(err)
	}
}

// What a fetch read before a write is not remembered after it.
func TestWriteDuringAFetch(t *testing.T) {
	m := &memory{values: map[string]string{"x": "old"}, gate: make(chan struct{})}
	s := New(nil)
	s.SetStores([]Store{{Name: "m", Resolver: stale{m, "old"}, Writer: m}})
	r := ref(t, "urn:realmgate-secret:m:x")
	done := make(chan string, 1)
	go func() { v, _ := s.Resolve(t.Context(), r); done <- string(v.Reveal()) }()
	for m.fetches.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	if _, err := s.Write(t.Context(), r, []byte("new")); err != nil {
		t.Fatal(err)
	}
	close(m.gate)
	if got := <-done; got != "old" {
		t.Fatalf("the fetch that was under way gave %q", got)
	}
	before := m.fetches.Load()
	if _, err := s.Resolve(t.Context(), r); err != nil || m.fetches.Load() == before {
		t.Errorf("the old value was remembered: %v", err)
	}
}

// Writing leaves nothing behind in memory, however many paths there are, nor do reads that have ended.
func TestNothingIsKeptOfWrites(t *testing.T) {
	m := &memory{values: map[string]string{"x": `{"a":"1","b":"2"}`}}
	s := New(nil)
	s.SetStores([]Store{{Name: "m", Resolver: m, Writer: m}})
	for i := range 100 {
		r := ref(t, fmt.Sprintf("urn:realmgate-secret:m:%d", i))
		if _, err := s.Write(t.Context(), r, []byte("1")); err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		for _, field := range []string{"", "#a", "#b", "?=version=1"} {
			if _, err := s.Resolve(t.Context(), ref(t, "urn:realmgate-secret:m:x"+field)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := m.fetches.Load(); n != 2 {
		t.Errorf("%d fetches: each version is remembered, and all of its fields", n)
	}
	table := s.table.Load()
	table.mu.Lock()
	defer table.mu.Unlock()
	if len(table.reads) != 0 || table.kept.EstimatedSize() != 2 {
		t.Errorf("%d reads are under way, %d secrets are kept", len(table.reads), table.kept.EstimatedSize())
	}
}

// stale answers what it read before it was held up.
type stale struct {
	*memory
	value string
}

func (s stale) Resolve(ctx context.Context, ref sdk.SecretRef) (sdk.Secret, error) {
	if _, err := s.memory.Resolve(ctx, ref); err != nil {
		return sdk.Secret{}, err
	}
	return sdk.NewSecret([]byte(s.value)), nil
}
