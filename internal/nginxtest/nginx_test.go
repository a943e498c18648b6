package nginxtest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
)

func TestAuthRequest(t *testing.T) {
	t.Parallel()
	asked := make(chan http.Header, 8)
	auth := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Header.Clone()
		switch r.Header.Get("Authorization") {
		case "Bearer good":
			w.Header().Set("X-Auth-Principal", "alice")
		case "Bearer unavailable":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "Bearer forbidden":
			w.WriteHeader(http.StatusForbidden)
		default:
			w.Header().Set("WWW-Authenticate", `Bearer realm="demo"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(auth.Close)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, strings.Join(r.Header.Values("X-Auth-Principal"), ",")+" "+r.RequestURI+" "+string(body))
	}))
	t.Cleanup(upstream.Close)
	s := Start(t, AuthRequest{Auth: auth.URL + "/auth", Upstream: upstream.URL, Headers: []string{"X-Auth-Principal"}}.Config())

	for _, c := range []struct {
		token, body, challenge string
		status                 int
	}{
		{"good", "alice /a/%2e%2e/b%2fc?x=y hello", "", http.StatusOK},
		{"", "", `Bearer realm="demo"`, http.StatusUnauthorized},
		{"forbidden", "", "", http.StatusForbidden},
		{"unavailable", "", "", http.StatusInternalServerError},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL("proxy")+"/a/%2e%2e/b%2fc?x=y", strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Auth-Principal", "mallory")
		if c.token != "" {
			req.Header.Set("Authorization", "Bearer "+c.token)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != c.status || c.body != "" && string(body) != c.body {
			t.Errorf("%q: got %d %q, want %d %q", c.token, resp.StatusCode, body, c.status, c.body)
		}
		if got := resp.Header.Get("WWW-Authenticate"); got != c.challenge {
			t.Errorf("%q: challenge %q, want %q", c.token, got, c.challenge)
		}
		h := <-asked
		for name, want := range map[string]string{
			"X-Forwarded-Method": "PUT", "X-Forwarded-Proto": "http", "X-Forwarded-Host": s.Addr("proxy"),
			"X-Forwarded-Uri": "/a/%2e%2e/b%2fc?x=y", "X-Forwarded-For": "127.0.0.1", "Content-Length": "",
		} {
			if got := h.Get(name); got != want {
				t.Errorf("%q: the endpoint got %s %q, want %q", c.token, name, got, want)
			}
		}
	}
}

func TestListenersByName(t *testing.T) {
	t.Parallel()
	s := Start(t, `
	server { listen {{listen "a"}}; return 200 "a knows {{listen "b"}}"; }
	server { listen {{listen "b"}}; return 200 b; }`)
	for name, want := range map[string]string{"a": "a knows " + s.Addr("b"), "b": "b"} {
		resp, err := http.Get(s.URL(name))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if string(body) != want {
			t.Errorf("%s: got %q, want %q", name, body, want)
		}
	}
}

// fatal is a testing.TB that notes a failure; its clean-ups run when the test calls end.
type fatal struct {
	testing.TB
	message strings.Builder
	cleanup []func()
}

func (f *fatal) Helper()           {}
func (f *fatal) Cleanup(fn func()) { f.cleanup = append(f.cleanup, fn) }
func (f *fatal) Failed() bool      { return false }
func (f *fatal) end(t *testing.T) {
	t.Helper()
	for _, fn := range f.cleanup {
		fn()
	}
}
func (f *fatal) Fatalf(format string, args ...any) {
	for _, a := range args {
		if s, ok := a.(interface{ String() string }); ok {
			f.message.WriteString(s.String())
		}
	}
	f.message.WriteString(format)
	runtime.Goexit()
}

func TestBrokenConfiguration(t *testing.T) {
	t.Parallel()
	Start(t, "") // skips where there is no nginx
	f := &fatal{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		Start(f, "no_such_directive on;")
	}()
	<-done
	f.end(t)
	if got := f.message.String(); !strings.Contains(got, "does not start") || !strings.Contains(got, `unknown directive "no_such_directive"`) {
		t.Errorf("got %q", got)
	}
}

func TestStopsWithTheTest(t *testing.T) {
	t.Parallel()
	var url string
	t.Run("run", func(t *testing.T) { url = Start(t, `server { listen {{listen "a"}}; return 204; }`).URL("a") })
	if url == "" {
		t.Skip("no nginx")
	}
	if resp, err := http.Get(url); err == nil {
		_ = resp.Body.Close()
		t.Error("nginx outlives its test")
	}
}
