package secrets

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/realmgate/realmgate/plugins/vault/login"
	"github.com/realmgate/realmgate/sdk"
)

// fake is a server that shows faults and moments which a real one cannot be made to show. It knows the mounts of engines by their
// types, makes leases for whatever is read of one that is no key-value engine, and gives the tokens t1, t2 and so on.
type fake struct {
	*httptest.Server

	mu       sync.Mutex
	mounts   map[string]string           // type and version by path, e.g. "kv 2"
	answers  map[string]http.HandlerFunc // by method and path, instead of its own
	asked    map[string][]time.Time      // by method and path
	life     int                         // of leases, in seconds
	logins   int
	leases   int
	standing map[string]bool
	most     int // leases that stood at a time
}

func newFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{
		mounts: map[string]string{"kv/": "kv 1", "kv2/": "kv 2", "db/": "database"}, answers: map[string]http.HandlerFunc{}, asked: map[string][]time.Time{},
		life: 3600, standing: map[string]bool{},
	}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at := r.Method + " " + strings.TrimPrefix(r.URL.Path, "/v1/")
		f.mu.Lock()
		f.asked[at] = append(f.asked[at], time.Now())
		h := f.answers[at]
		f.mu.Unlock()
		if h == nil {
			h = f.answer
		}
		h(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *fake) answer(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/v1/")
	var body struct {
		LeaseID string `json:"lease_id"`
	}
	raw, _ := io.ReadAll(r.Body)
	_ = json.Unmarshal(raw, &body)
	switch rest, isMount := strings.CutPrefix(path, "sys/internal/ui/mounts/"); {
	case isMount:
		f.describe(w, rest)
	case strings.HasSuffix(path, "/login"):
		f.logins++
		fmt.Fprintf(w, `{"request_id":"r","auth":{"client_token":"t%d","lease_duration":3600,"renewable":true,"policies":["default"]}}`, f.logins)
	case path == "sys/leases/revoke":
		delete(f.standing, body.LeaseID)
		w.WriteHeader(http.StatusNoContent)
	case path == "sys/leases/renew":
		fmt.Fprintf(w, `{"request_id":"r","lease_id":%q,"renewable":true,"lease_duration":%d}`, body.LeaseID, f.life)
	case strings.HasPrefix(path, "db/"):
		f.leases++
		id := fmt.Sprint("lease", f.leases)
		f.standing[id] = true
		f.most = max(f.most, len(f.standing))
		fmt.Fprintf(w, `{"request_id":"r","lease_id":%q,"renewable":true,"lease_duration":%d,"data":{"username":"u%d"}}`, id, f.life, f.leases)
	case r.Method != http.MethodGet && !strings.HasPrefix(path, "auth/") && !strings.HasPrefix(path, "sys/"):
		w.WriteHeader(http.StatusNoContent)
	default:
		fmt.Fprint(w, `{"request_id":"r","data":{"x":"1","ttl":0}}`)
	}
}

// describe tells of the mount that has a path.
func (f *fake) describe(w http.ResponseWriter, path string) {
	for at, what := range f.mounts {
		if typ, version, _ := strings.Cut(what, " "); strings.HasPrefix(path, at) {
			fmt.Fprintf(w, `{"request_id":"r","data":{"path":%q,"type":%q,"options":{"version":%q}}}`, at, typ, version)
			return
		}
	}
	w.WriteHeader(http.StatusForbidden)
	fmt.Fprint(w, `{"errors":["preflight capability check returned 403, please ensure client's policies grant access to path"]}`)
}

// on has a question answered in another way; nil: as by default.
func (f *fake) on(at string, h http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[at] = h
}

func (f *fake) mount(at, what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mounts[at] = what
}

func (f *fake) times(at string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.asked[at])
}

// last says when a question came last.
func (f *fake) last(at string) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := len(f.asked[at]); n > 0 {
		return f.asked[at][n-1]
	}
	return time.Time{}
}

func says(status int, words ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"errors": append([]string{}, words...)})
	}
}

func gives(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }
}

// open gives a store that is closed with the test.
func (f *fake) open(t *testing.T, settings map[string]any) *Store {
	t.Helper()
	all := map[string]any{"address": f.URL, "max_retries": 0, "approle": map[string]any{"role_id": "r"}}
	maps.Copy(all, settings)
	raw, _ := json.Marshal(all)
	var s Settings
	if err := sdk.Decode(raw, &s); err != nil {
		t.Fatal(err)
	}
	st, err := New(&login.Pool{})(t.Context(), sdk.Setup{Store: "s"}, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return st
}

func ref(text string) sdk.SecretRef {
	r, err := sdk.ParseSecretRef("urn:realmgate-secret:s:" + text)
	if err != nil {
		panic(err)
	}
	return r
}

func must(t *testing.T, st *Store, path string) sdk.Secret {
	t.Helper()
	s, err := st.Resolve(t.Context(), ref(path))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not in time", what)
		}
	}
}
