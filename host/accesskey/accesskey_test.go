package accesskey

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/host/custody"
	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/host/secret"
	"github.com/realmgate/realmgate/sdk"
)

// memory is a secret store in memory.
type memory struct {
	mu     sync.Mutex
	values map[string]string
}

func (m *memory) Resolve(_ context.Context, ref sdk.SecretRef) (sdk.Secret, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return sdk.NewSecret([]byte(m.values[ref.Path()])), nil
}

func (m *memory) WriteSecret(_ context.Context, ref sdk.SecretRef, value []byte) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[ref.Path()] = string(value)
	return "", nil
}

func (m *memory) DeleteSecret(_ context.Context, ref sdk.SecretRef) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.values, ref.Path())
	return nil
}

func (m *memory) paths() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.values))
}

// service gives the service of realm r, in which there is alice.
func service(t *testing.T, log *audit.Log) (*Service, *directory.Directory, *memory) {
	t.Helper()
	d, err := directory.Open(t.Context(), directory.Config{Type: "sqlite", Path: filepath.Join(t.TempDir(), "d.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	if _, _, err := d.CreatePrincipal(t.Context(), "r", directory.NewPrincipal{Name: "alice"}); err != nil {
		t.Fatal(err)
	}
	m := &memory{values: map[string]string{}}
	secrets := secret.New(nil)
	secrets.SetStores([]secret.Store{{Name: "local", Resolver: m, Writer: m, Grants: []secret.Grant{{Realm: "r", Prefix: "r/"}}}})
	c, err := custody.New(custody.Config{Realm: "r", Store: "local", Prefix: "r/", Ledger: d, Secrets: secrets})
	if err != nil {
		t.Fatal(err)
	}
	return New(Config{Realm: "r", Store: d, Custody: c, Audit: log}), d, m
}

// TestBound: however many ask at once, a principal has no more keys than it may, and each has its secret.
func TestBound(t *testing.T) {
	t.Parallel()
	s, _, m := service(t, nil)
	var mu sync.Mutex
	var ids []string
	var wg sync.WaitGroup
	for range 3 * directory.MaxAccessKeys {
		wg.Go(func() {
			k, err := s.Create(t.Context(), "alice")
			if err != nil {
				if !errors.Is(err, directory.ErrInvalid) {
					t.Error(err)
				}
				return
			}
			mu.Lock()
			defer mu.Unlock()
			ids = append(ids, "r/access-keys/"+k.ID)
		})
	}
	wg.Wait()
	slices.Sort(ids)
	if got := m.paths(); len(ids) != directory.MaxAccessKeys || !slices.Equal(got, ids) {
		t.Errorf("keys %v, secrets %v", ids, got)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestUnaudited(t *testing.T) {
	t.Parallel()
	log, err := audit.Open(audit.Config{Path: audit.Stdout, Stdout: fullDisk{}, Refuse: true})
	if err != nil {
		t.Fatal(err)
	}
	s, d, m := service(t, log)
	if k, err := s.Create(t.Context(), "alice"); !errors.Is(err, audit.ErrUnwritten) || k.Value.Reveal() != nil || len(m.paths()) != 0 {
		t.Errorf("%v, secrets %v", err, m.paths())
	}
	s.c.Audit = nil
	k, err := s.Create(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	s.c.Audit = log
	if err := s.Delete(t.Context(), "alice", k.ID); !errors.Is(err, audit.ErrUnwritten) || len(m.paths()) != 1 {
		t.Errorf("%v, secrets %v", err, m.paths())
	}
	if _, err := d.FindAccessKey(t.Context(), "r", k.ID); err != nil {
		t.Error(err)
	}
}

func TestDraw(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		id, value := draw()
		v := string(value.Reveal())
		if len(id) != 20 || strings.Trim(strings.TrimPrefix(id, Prefix), "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" || len(v) != 40 || seen[id] || seen[v] {
			t.Fatalf("%s, %d characters", id, len(v))
		}
		seen[id], seen[v] = true, true
	}
}
