package vault

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

// between stands before a server, and sees what is asked.
type between struct {
	URL string

	mu    sync.Mutex
	asked []question
	holds map[string]*heldAnswer // by method and path
}

// question is what was asked. Its path is without /v1/.
type question struct{ method, path, namespace string }

// heldAnswer is an answer of the server that is kept back.
type heldAnswer struct{ came, release chan struct{} }

// newBetween stands before w's server. rest gives the part of a path that the server behind is asked for.
func newBetween(t *testing.T, w *world, rest func(path string) string) *between {
	t.Helper()
	target, err := url.Parse(w.URL)
	if err != nil {
		t.Fatal(err)
	}
	b := &between{holds: map[string]*heldAnswer{}}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			path := strings.TrimPrefix(r.In.URL.Path, "/v1/")
			b.mu.Lock()
			b.asked = append(b.asked, question{r.In.Method, path, r.In.Header.Get("X-Vault-Namespace")})
			b.mu.Unlock()
			r.SetURL(target)
			r.Out.Header.Del("X-Vault-Namespace")
			if rest != nil {
				r.Out.URL.Path = "/v1/" + rest(path)
			}
		},
		ModifyResponse: func(r *http.Response) error {
			at := r.Request.Method + " " + strings.TrimPrefix(r.Request.URL.Path, "/v1/")
			b.mu.Lock()
			h := b.holds[at]
			delete(b.holds, at)
			b.mu.Unlock()
			if h != nil {
				close(h.came)
				select {
				case <-h.release:
				case <-r.Request.Context().Done():
				}
			}
			return nil
		},
	}
	s := httptest.NewServer(proxy)
	t.Cleanup(s.Close)
	b.URL = s.URL
	return b
}

// hold keeps the next answer to a question back until its release is closed.
func (b *between) hold(method, path string) *heldAnswer {
	h := &heldAnswer{came: make(chan struct{}), release: make(chan struct{})}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.holds[method+" "+path] = h
	return h
}

func (b *between) questions() []question {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.asked)
}

// count says how often a path was asked for.
func (b *between) count(path string) int {
	n := 0
	for _, q := range b.questions() {
		if q.path == path {
			n++
		}
	}
	return n
}
