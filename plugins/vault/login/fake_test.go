package login

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/realmgate/realmgate/plugins/vault/client"
	"github.com/realmgate/realmgate/sdk"
)

// fake is a server that shows faults which a real one cannot be made to show. It gives the tokens t1, t2 and so on.
type fake struct {
	*httptest.Server

	mu      sync.Mutex
	answers map[string]http.HandlerFunc // by path, instead of its own
	asked   map[string][]string         // by path: the tokens that it was asked with
	logins  int
}

func newFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{answers: map[string]http.HandlerFunc{}, asked: map[string][]string{}}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.TrimPrefix(r.URL.Path, "/v1/")
		f.mu.Lock()
		f.asked[path] = append(f.asked[path], r.Header.Get("X-Vault-Token"))
		h := f.answers[path]
		f.mu.Unlock()
		switch {
		case h != nil:
			h(w, r)
		case strings.HasSuffix(path, "/login"):
			f.logIn(w, 3600)
		default:
			fmt.Fprint(w, `{"request_id":"r","data":{"x":"1","ttl":0}}`)
		}
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *fake) logIn(w http.ResponseWriter, ttl int) {
	f.mu.Lock()
	f.logins++
	n := f.logins
	f.mu.Unlock()
	fmt.Fprintf(w, `{"request_id":"r","auth":{"client_token":"t%d","lease_duration":%d,"renewable":true,"policies":["default"]}}`, n, ttl)
}

// on has a path answered in another way.
func (f *fake) on(path string, h http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[path] = h
}

func (f *fake) askedAt(path string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.asked[path])
}

func says(status int, words string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"errors": []string{words}})
	}
}

const (
	roleLogin = "auth/approle/login"
	renewal   = "auth/token/renew-self"
	lookup    = "auth/token/lookup-self"
	revoking  = "auth/token/revoke-self"
)

// open gives a session of its own; by default the AppRole r without a secret id.
func (f *fake) open(t *testing.T, settings map[string]any) *Session {
	t.Helper()
	return f.openIn(t.Context(), t, settings)
}

// openIn is given the context of the constructor.
func (f *fake) openIn(ctx context.Context, t *testing.T, settings map[string]any) *Session {
	t.Helper()
	all := map[string]any{"address": f.URL, "max_retries": 0}
	if settings == nil {
		settings = map[string]any{"approle": map[string]any{"role_id": "r"}}
	}
	maps.Copy(all, settings)
	raw, _ := json.Marshal(all)
	var s struct {
		client.Server
		Choice
	}
	if err := sdk.Decode(raw, &s); err != nil {
		t.Fatal(err)
	}
	l, err := new(Pool).Open(ctx, s.Server, s.Choice)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l.Session
}

func ask1(ctx context.Context, s *Session) error {
	_, err := s.Do(ctx, client.Request{Method: http.MethodGet, Path: "kv/x"})
	return err
}

func must(t *testing.T, s *Session) {
	t.Helper()
	if err := ask1(t.Context(), s); err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not in time", what)
		}
	}
}
