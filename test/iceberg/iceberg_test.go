package iceberg

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/apache/iceberg-go/catalog/rest"
)

// catalog is a stub of an Iceberg REST catalog with one namespace. It asks the daemon about every request.
type catalog struct {
	*httptest.Server
	mu      sync.Mutex
	allowed []string // paths of requests that the daemon let through
	bearers []string
}

func newCatalog(t *testing.T, g gate) *catalog {
	t.Helper()
	c := &catalog{}
	answers := map[string]string{
		"/v1/config":     `{"defaults": {}, "overrides": {}}`,
		"/v1/namespaces": `{"namespaces": [["accounting"]]}`,
	}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		status, err := check(r, g)
		if err != nil || status != http.StatusOK {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		c.allowed = append(c.allowed, r.URL.Path)
		c.bearers = append(c.bearers, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, answers[r.URL.Path])
	}))
	t.Cleanup(c.Close)
	return c
}

// check asks the daemon about a request as a service does that has the token in hand.
func check(r *http.Request, g gate) (int, error) {
	ask, err := http.NewRequestWithContext(r.Context(), http.MethodGet, g.realmURL+"/v1/check", nil)
	if err != nil {
		return 0, err
	}
	if a := r.Header.Get("Authorization"); a != "" {
		ask.Header.Set("Authorization", a)
	}
	resp, err := http.DefaultClient.Do(ask)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

func TestClient(t *testing.T) {
	g := start(t)
	tokens, err := url.Parse(g.realmURL + "/v1/oauth/tokens")
	if err != nil {
		t.Fatal(err)
	}

	t.Run("the credential opens the catalog", func(t *testing.T) {
		c := newCatalog(t, g)
		client, err := rest.NewCatalog(t.Context(), "demo", c.URL, rest.WithCredential(g.credential), rest.WithAuthURI(tokens))
		if err != nil {
			t.Fatal(err)
		}
		namespaces, err := client.ListNamespaces(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(namespaces) != 1 || !slices.Equal(namespaces[0], []string{"accounting"}) {
			t.Errorf("namespaces: %v", namespaces)
		}
		if want := []string{"/v1/config", "/v1/namespaces"}; !slices.Equal(c.allowed, want) {
			t.Errorf("the catalog served %v, want %v", c.allowed, want)
		}
		for _, b := range c.bearers {
			if b == "" || strings.Contains(g.credential, b) {
				t.Errorf("not a token: %q", b)
			}
		}
	})

	t.Run("a wrong secret does not", func(t *testing.T) {
		c := newCatalog(t, g)
		id, _, _ := strings.Cut(g.credential, ":")
		_, err := rest.NewCatalog(t.Context(), "demo", c.URL, rest.WithCredential(id+":wrong"), rest.WithAuthURI(tokens))
		if err == nil || !strings.Contains(err.Error(), "invalid_client") {
			t.Errorf("got %v, want invalid_client", err)
		}
		if len(c.allowed) != 0 {
			t.Errorf("the catalog served %v", c.allowed)
		}
	})

	t.Run("no credential does not", func(t *testing.T) {
		c := newCatalog(t, g)
		if _, err := rest.NewCatalog(t.Context(), "demo", c.URL); err == nil {
			t.Error("the catalog is open without a token")
		}
	})
}
