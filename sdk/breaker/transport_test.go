package breaker

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// client gives a client with breakers, and its clock.
func client(t *testing.T, fault func(error) bool) (*http.Client, *clock) {
	t.Helper()
	c := &clock{time.Unix(1_800_000_000, 0)}
	o := NewOutbound(Config{Failures: 3, Now: c.now}, nil)
	o.fair = 0
	tr := o.Transport("test", &http.Transport{}, fault)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}, c
}

func get(t *testing.T, c *http.Client, url string, within time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := c.Do(r)
	if err == nil {
		_, err = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
	}
	return err
}

// What fails by the host's fault closes the way to it, and to no other host; what does not, does not.
func TestTransport(t *testing.T) {
	status, asked := atomic.Int64{}, atomic.Int64{}
	answers := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(int(status.Load()))
	}))
	defer answers.Close()
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // without which a server does not see that a caller leaves
		<-r.Context().Done()
	}))
	defer hangs.Close()
	stops := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	defer stops.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := "http://" + l.Addr().String()
	_ = l.Close()
	for name, tt := range map[string]struct {
		url    string
		status int
		within time.Duration
		open   bool
	}{
		"refuses":            {url: answers.URL, status: 400, within: time.Minute},
		"fails by itself":    {url: answers.URL, status: 500, within: time.Minute},
		"is not there":       {url: answers.URL, status: 503, within: time.Minute, open: true},
		"cannot be reached":  {url: gone, within: time.Minute, open: true},
		"does not answer":    {url: hangs.URL, within: 50 * time.Millisecond, open: true},
		"stops in the midst": {url: stops.URL, within: 50 * time.Millisecond, open: true},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := client(t, nil)
			status.Store(int64(tt.status))
			for range 3 {
				_ = get(t, c, tt.url, tt.within)
			}
			before := asked.Load()
			if err := get(t, c, tt.url, tt.within); errors.Is(err, ErrOpen) != tt.open {
				t.Errorf("%v", err)
			}
			if tt.open && asked.Load() != before {
				t.Error("it was asked")
			}
			status.Store(200)
			if other := strings.Replace(answers.URL, "127.0.0.1", "localhost", 1); get(t, c, other, time.Minute) != nil {
				t.Error("another host is not asked")
			}
		})
	}
}

// TestTimeoutOfAClient: the time-out of the client itself is one, however the client says so.
func TestTimeoutOfAClient(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer s.Close()
	for range 20 {
		o := NewOutbound(Config{Failures: 1}, nil)
		o.fair = 0
		c := &http.Client{Timeout: 20 * time.Millisecond, Transport: o.Transport("test", &http.Transport{}, nil)}
		if answer, err := c.Get(s.URL); err == nil { //nolint:noctx // it is about the client's own time-out
			_ = answer.Body.Close()
			t.Fatal("no error")
		}
		if r, _ := o.Report(); len(r.Parts) != 1 || r.Parts[0].Servers[0].Why != "does not answer in time" {
			t.Errorf("%+v", r)
		}
		c.CloseIdleConnections()
	}
}

// Who stops reading has been answered, and who forgets a body keeps nobody from trying for longer than their own time.
func TestBodies(t *testing.T) {
	status := atomic.Int64{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(int(status.Load()))
		_, _ = io.WriteString(w, strings.Repeat("x", 1<<20))
	}))
	defer s.Close()
	c, clock := client(t, nil)
	send := func(ctx context.Context) (*http.Response, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		return c.Do(r)
	}
	status.Store(200)
	for range 5 {
		answer, err := send(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = answer.Body.Read(make([]byte, 10))
		_ = answer.Body.Close()
	}
	status.Store(503)
	for range 3 {
		if answer, err := send(t.Context()); err != nil {
			t.Fatalf("who did not read to the end opened it: %v", err)
		} else {
			_ = answer.Body.Close()
		}
	}
	status.Store(200)
	clock.pass(time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	forgotten, err := send(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer forgotten.Body.Close()
	if _, err := send(t.Context()); !errors.Is(err, ErrOpen) {
		t.Errorf("beside one that is being tried: %v", err)
	}
	cancel()
	for {
		answer, err := send(t.Context())
		if err == nil {
			_ = answer.Body.Close()
			break
		}
		if t.Context().Err() != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
}

// A host that is well again is found by one request.
func TestTransportTriesAgain(t *testing.T) {
	status := atomic.Int64{}
	status.Store(503)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(status.Load())) }))
	defer s.Close()
	c, time := client(t, nil)
	for range 3 {
		_ = get(t, c, s.URL, 1e10)
	}
	status.Store(200)
	time.pass(1e10)
	for n := range 3 {
		if err := get(t, c, s.URL, 1e10); err != nil {
			t.Errorf("request %d after the rest: %v", n, err)
		}
	}
}

// TestHurry: who has less time than a server can be expected to need says nothing of it.
func TestHurry(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // without which a server does not see that a caller leaves
		<-r.Context().Done()
	}))
	defer s.Close()
	o := NewOutbound(Config{Failures: 1}, nil)
	o.fair = time.Hour
	tr := o.Transport("test", &http.Transport{DisableKeepAlives: true}, nil)
	for range 3 {
		if err := get(t, &http.Client{Transport: tr}, s.URL, 20*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	}
	if r, _ := o.Report(); r.Changes != 0 {
		t.Errorf("%+v", r)
	}
}

func TestTransportFault(t *testing.T) {
	c, _ := client(t, func(error) bool { return false })
	for range 10 {
		if err := get(t, c, "http://127.0.0.1:1", time.Minute); errors.Is(err, ErrOpen) {
			t.Fatal("an error that is nobody's fault opened it")
		}
	}
}
