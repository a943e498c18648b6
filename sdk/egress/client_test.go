package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
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

func get(t *testing.T, c *http.Client, at string) (*http.Response, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := c.Do(r)
	if err == nil {
		t.Cleanup(func() { _ = answer.Body.Close() })
	}
	return answer, err
}

func TestClientFollowsNoRedirect(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	}))
	defer s.Close()
	answer, err := get(t, NewClient(Options{Deny: Default()}), s.URL)
	if err != nil || answer.StatusCode != http.StatusFound || asked.Load() != 1 {
		t.Errorf("%v, %v, %d requests", answer, err, asked.Load())
	}
}

func TestClientChecksTheAddressItDials(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer s.Close()
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	c := NewClient(Options{Deny: list(t, "127.0.0.0/8", "::1")})
	for _, at := range []string{s.URL, "http://localhost:" + port, "http://0.0.0.0:" + port, "http://[::ffff:127.0.0.1]:" + port} {
		if _, err := get(t, c, at); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v, want a refusal", at, err)
		}
	}
	if asked.Load() != 0 {
		t.Errorf("%d requests arrived", asked.Load())
	}
}

// Options that nobody filled in are those of a client that minds what callers name, and reads no answer without an end.
func TestZeroOptionsAreSafe(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range defaultMaxBody/1024 + 1 {
			_, _ = w.Write(make([]byte, 1024))
		}
	}))
	t.Cleanup(s.Close) // behind the bodies
	for _, at := range []string{"http://169.254.169.254/", "http://[fe80::1]/", "http://0.0.0.0:1/", "http://100.100.100.200/"} {
		for _, c := range []*http.Client{NewClient(Options{}), {Transport: NewTransport(Options{})}} {
			if _, err := get(t, c, at); !errors.Is(err, ErrRefused) {
				t.Errorf("%s: %v, want a refusal", at, err)
			}
		}
	}
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	if _, err := get(t, NewClient(Options{Deny: AllowAll()}), "http://0.0.0.0:"+port); errors.Is(err, ErrRefused) {
		t.Errorf("all addresses are allowed: %v", err)
	}
	for _, c := range []struct {
		o    Options
		read int64
	}{{Options{}, -1}, {Options{MaxBody: 1024}, -1}, {Options{MaxBody: 8 << 20}, defaultMaxBody + 1024}} {
		answer, err := get(t, NewClient(c.o), s.URL)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, answer.Body)
		if c.read < 0 && !errors.Is(err, ErrTooLong) || c.read >= 0 && (err != nil || n != c.read) {
			t.Errorf("bound to %d: %d bytes, %v", c.o.MaxBody, n, err)
		}
	}
}

// A name that leads to an allowed address when it is checked, and to a refused one when it is used.
func TestRebinding(t *testing.T) {
	t.Parallel()
	deny := list(t, "127.0.0.0/8")
	if err := deny.CheckHost("rebinding.example"); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	d := deny.Dialer()
	d.Resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) { return rebindingDNS(ctx, t) }}
	if _, err := d.DialContext(t.Context(), "tcp", net.JoinHostPort("rebinding.example.", port)); !errors.Is(err, ErrRefused) {
		t.Errorf("%v, want a refusal", err)
	}
}

// rebindingDNS is one end of a connection at whose other end every A question is answered with 127.0.0.1, any other with nothing.
func rebindingDNS(ctx context.Context, t *testing.T) (net.Conn, error) {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = server.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := server.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = server.WriteTo(dnsAnswer(buf[:n]), from)
		}
	}()
	var d net.Dialer
	return d.DialContext(ctx, "udp", server.LocalAddr().String())
}

// dnsAnswer answers one question (RFC 1035 section 4.1).
func dnsAnswer(q []byte) []byte {
	end := 12
	for q[end] != 0 {
		end += int(q[end]) + 1
	}
	end += 5
	isA := q[end-3] == 1
	a := append([]byte(nil), q[:end]...)
	a[2], a[3] = 0x84, 0 // an authoritative answer
	copy(a[4:12], []byte{0, 1, 0, 0, 0, 0, 0, 0})
	if isA {
		a[7] = 1
		a = append(a, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 1)
	}
	return a
}

func TestClientIsBounded(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			<-gate
		case "/header":
			w.Header().Set("X", strings.Repeat("x", 2*maxHeader))
		case "/body":
			_, _ = w.Write(make([]byte, 1001))
		}
	}))
	defer s.Close()
	defer close(gate)
	if _, err := get(t, NewClient(Options{Timeout: 50 * time.Millisecond}), s.URL+"/slow"); err == nil || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a slow server: %v", err)
	}
	c := NewClient(Options{})
	if _, err := get(t, c, s.URL+"/header"); err == nil {
		t.Error("a header without a bound was read")
	}
	answer, err := get(t, c, s.URL+"/body")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := ReadAll(answer.Body, 1000); !errors.Is(err, ErrTooLong) || b != nil {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if answer, err = get(t, c, s.URL+"/body"); err != nil {
		t.Fatal(err)
	}
	if b, err := ReadAll(answer.Body, 1001); err != nil || len(b) != 1001 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	for limit, fits := range map[int64]bool{1000: false, 1001: true} { // for who reads without a bound
		c := &http.Client{Transport: Bound(NewTransport(Options{}), limit)}
		if answer, err = get(t, c, s.URL+"/body"); err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(answer.Body); fits != (err == nil) || !fits && !errors.Is(err, ErrTooLong) || int64(len(b)) > limit {
			t.Errorf("bound to %d: %d bytes, %v", limit, len(b), err)
		}
	}
}

func TestClientRefusesOldTLS(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	s.StartTLS()
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	if _, err := get(t, NewClient(Options{RootCAs: roots}), s.URL); err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("TLS 1.1: %v", err)
	}
}

func TestProxyIsAskedFor(t *testing.T) {
	var asked atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer proxy.Close()
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("NO_PROXY", "")
	c := NewClient(Options{Deny: list(t, "192.0.2.0/24")})
	if _, err := get(t, c, "http://192.0.2.1/"); !errors.Is(err, ErrRefused) || asked.Load() != 0 {
		t.Errorf("%v, and the proxy was asked %d times", err, asked.Load())
	}
	if _, err := get(t, NewClient(Options{EnvironmentProxy: true}), "http://192.0.2.1/"); err != nil || asked.Load() != 1 {
		t.Errorf("%v, and the proxy was asked %d times", err, asked.Load())
	}
}
