package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/admin"
	"github.com/realmgate/realmgate/sdk"
)

func get(t *testing.T, c *http.Client, url string) (*http.Response, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer x")
	resp, err := c.Do(r)
	if err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	return resp, err
}

// What net/http itself does to a request must not open a way either.
func TestOnTheWire(t *testing.T) {
	w := newWorld(t, false)
	s := w.server(t, Config{})
	run(t, s)
	const auth = "Authorization: Bearer x\r\nConnection: close\r\n\r\n"
	for _, tt := range []struct{ name, request, want string }{
		{"good", "GET /realms/a/v1/check HTTP/1.1\r\nHost: x\r\n" + auth, "HTTP/1.1 200 "},
		{"absolute form", "GET http://x/realms/a/v1/check HTTP/1.1\r\nHost: x\r\n" + auth, "HTTP/1.1 200 "},
		{"dots", "GET /realms/b/../a/v1/check HTTP/1.1\r\nHost: x\r\n" + auth, "HTTP/1.1 404 "},
		{"doubled slash", "GET //realms/a/v1/check HTTP/1.1\r\nHost: x\r\n" + auth, "HTTP/1.1 404 "},
		{"escaped slash", "GET /realms/a%2fv1/check HTTP/1.1\r\nHost: x\r\n" + auth, "HTTP/1.1 404 "},
		{"escaped letter", "GET /realms/%61/v1/check HTTP/1.1\r\nHost: x\r\n" + auth, "HTTP/1.1 404 "},
		{"two hosts", "GET /v1/check HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n" + auth, "HTTP/1.1 400 "},
		{"absolute form of a host beside another", "GET http://a.example/v1/check HTTP/1.1\r\nHost: b.example\r\n" + auth, "HTTP/1.1 200 "}, // RFC 9112 section 3.2.2: the target counts
		{"folded header", "GET /realms/a/v1/check HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer\r\n x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 "},
		{"oversized header", "GET /realms/a/v1/check HTTP/1.1\r\nHost: x\r\nX-Big: " + strings.Repeat("x", 128<<10) + "\r\n" + auth, "HTTP/1.1 431 "},
		{"a token of a megabyte", "GET /realms/a/v1/check HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + strings.Repeat(".", 1<<20) + "\r\n\r\n", "HTTP/1.1 431 "},
	} {
		before := w.legs["a"].count() + w.legs["b"].count()
		got := raw(t, s.Addr("main"), tt.request)
		if got == "" && strings.Contains(tt.want, " 431 ") {
			continue // the answer was lost to the reset of a connection that was still being written to
		}
		if !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %.100q, want %s", tt.name, got, tt.want)
		}
		if asked := w.legs["a"].count() + w.legs["b"].count() - before; (asked == 1) != strings.Contains(tt.want, "200") {
			t.Errorf("%s: %d plans were asked", tt.name, asked)
		}
	}
	if w.legs["b"].count() != 0 {
		t.Error("realm b was asked")
	}
}

// A caller that sends its header byte by byte loses its connection.
func TestSlowCallersAreBounded(t *testing.T) {
	s := newWorld(t, false).server(t, Config{})
	h := s.httpServer(http.NotFoundHandler())
	if h.ReadHeaderTimeout <= 0 || h.ReadTimeout <= 0 || h.WriteTimeout <= 0 || h.IdleTimeout <= 0 || h.MaxHeaderBytes != maxHeader {
		t.Fatalf("unbounded: %+v", h)
	}
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, b := range s.bound {
		b.http.ReadHeaderTimeout = 50 * time.Millisecond
	}
	run(t, s)
	conn, err := net.Dial("tcp", s.Addr("main").String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	b, err := io.ReadAll(conn)
	if err != nil || strings.Contains(string(b), "200 OK") {
		t.Errorf("still open: %q %v", b, err)
	}
}

func TestDrain(t *testing.T) {
	w := newWorld(t, false)
	entered, release := make(chan struct{}), make(chan struct{})
	w.legs["a"].act = func(context.Context, *sdk.State) error {
		close(entered)
		<-release
		return nil
	}
	s := w.server(t, Config{Grace: 20 * time.Second})
	stop := run(t, s)
	addr := s.Addr("main").String()
	status := make(chan int, 1)
	go func() {
		resp, err := get(t, &http.Client{}, "http://"+addr+check)
		if err != nil {
			status <- 0
			return
		}
		status <- resp.StatusCode
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	for { // the listener closes soon
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			break
		}
		_ = conn.Close()
	}
	if _, err := get(t, &http.Client{}, "http://"+addr+"/readyz"); err == nil {
		t.Error("readyz still answers")
	}
	select {
	case err := <-stopped:
		t.Fatalf("the server did not wait for the request in flight: %v", err)
	default:
	}
	close(release)
	if got := <-status; got != 200 {
		t.Errorf("the request in flight got %d", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// Without a grace what is in flight is cut off, and what is not is no error.
func TestNoGrace(t *testing.T) {
	w := newWorld(t, false)
	s := w.server(t, Config{})
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	idle := make(chan struct{}, 1)
	s.bound[0].http.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateIdle {
			select {
			case idle <- struct{}{}:
			default:
			}
		}
	}
	stop := run(t, s)
	if _, err := get(t, &http.Client{}, "http://"+s.Addr("main").String()+check); err != nil {
		t.Fatal(err)
	}
	<-idle // the answer is there before the server is done with the request
	if err := stop(); err != nil {
		t.Errorf("nothing was in flight: %v", err)
	}
	entered := make(chan struct{})
	w.legs["a"].act = func(ctx context.Context, _ *sdk.State) error {
		close(entered)
		<-ctx.Done()
		return ctx.Err()
	}
	s = w.server(t, Config{})
	stop = run(t, s)
	go func() { _, _ = get(t, &http.Client{}, "http://"+s.Addr("main").String()+check) }()
	<-entered
	start := time.Now()
	if err := stop(); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

func TestDrainEndsAfterTheGrace(t *testing.T) {
	w := newWorld(t, false)
	entered := make(chan struct{})
	w.legs["a"].act = func(ctx context.Context, _ *sdk.State) error {
		close(entered)
		<-ctx.Done() // until the connection is cut
		return ctx.Err()
	}
	s := w.server(t, Config{Grace: time.Millisecond})
	stop := run(t, s)
	go func() { _, _ = get(t, &http.Client{}, "http://"+s.Addr("main").String()+check) }()
	<-entered
	if err := stop(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

func TestTLSWithClientCertificate(t *testing.T) {
	ca, caKey := certificate(t, "ca", nil, nil)
	serverCert, serverKey := certificate(t, "127.0.0.1", ca, caKey)
	clientCert, clientKey := certificate(t, "client", ca, caKey)
	strangerCert, strangerKey := certificate(t, "stranger", nil, nil)
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	pair := func(c *x509.Certificate, k *ecdsa.PrivateKey) tls.Certificate {
		return tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: k}
	}
	w := newWorld(t, true)
	s := w.server(t, Config{Listeners: []Listener{{Name: "tls", Address: "127.0.0.1:0", TLS: &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair(serverCert, serverKey)}, ClientCAs: roots, ClientAuth: tls.VerifyClientCertIfGiven,
	}}}})
	run(t, s)
	url := "https://" + s.Addr("tls").String() + check
	client := func(certs ...tls.Certificate) *http.Client {
		return &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, DisableKeepAlives: true, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, Certificates: certs}}}
	}
	resp, err := get(t, client(), url)
	if err != nil || resp.StatusCode != 200 || resp.ProtoMajor != 2 {
		t.Fatalf("%+v %v", resp, err)
	}
	if req := w.legs["a"].last(t); req.PeerCertificate != nil || req.HTTP.Scheme != "https" {
		t.Errorf("%+v", req)
	}
	if resp, err = get(t, client(pair(clientCert, clientKey)), url); err != nil || resp.StatusCode != 200 {
		t.Fatalf("%+v %v", resp, err)
	}
	if req := w.legs["a"].last(t); string(req.PeerCertificate) != string(clientCert.Raw) {
		t.Error("the client's certificate is not passed on")
	}
	before := w.legs["a"].count()
	if resp, err = get(t, client(pair(strangerCert, strangerKey)), url); err == nil && resp.StatusCode == 200 && w.legs["a"].last(t).PeerCertificate != nil {
		t.Error("a certificate that nobody vouches for is passed on")
	}
	if n := w.legs["a"].count() - before; n > 1 {
		t.Errorf("%d decisions", n)
	}
}

func certificate(t *testing.T, name string, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: parent == nil, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	if parent == nil {
		parent, parentKey = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	c, err = x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c, key
}

func TestAdminSocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "rg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	at := filepath.Join(dir, "s")
	w := newWorld(t, false)
	d := w.deps()
	d.Admin = admin.Handler(admin.Deps{Realms: d.Realms, Plugins: func() []admin.Plugin { return nil }})
	s, err := New(Config{Listeners: []Listener{{Name: "main", Address: "127.0.0.1:0"}}, AdminSocket: at, Grace: 20 * time.Second}, d)
	if err != nil {
		t.Fatal(err)
	}
	stop := run(t, s)
	c := admin.NewClient(at)
	if realms, err := c.Realms(t.Context()); err != nil || len(realms) != 3 {
		t.Errorf("%v %v", realms, err)
	}
	c.Close()
	resp, err := get(t, &http.Client{}, "http://"+s.Addr("main").String()+"/v1/realms")
	if err != nil || resp.StatusCode != 404 {
		t.Errorf("the admin API is reached from the network: %+v %v", resp, err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(at); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket stays: %v", err)
	}
}

func TestListenOpensAllOrNone(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	s := newWorld(t, false).server(t, Config{Listeners: []Listener{{Name: "one", Address: "127.0.0.1:0"}, {Name: "two", Address: taken.Addr().String()}}})
	if err := s.Serve(t.Context()); err == nil || !strings.Contains(err.Error(), `listener "two"`) {
		t.Errorf("%v", err)
	}
	if s.Addr("one") != nil {
		t.Error("the first listener stays open")
	}
}

func TestNewRefuses(t *testing.T) {
	w := newWorld(t, false)
	one := []Listener{{Name: "x"}}
	for name, tt := range map[string]struct {
		c Config
		d Deps
	}{
		"no deps":              {Config{Listeners: one}, Deps{}},
		"a negative grace":     {Config{Listeners: one, Grace: -1}, w.deps()},
		"no listener":          {Config{}, w.deps()},
		"two of a name":        {Config{Listeners: []Listener{{Name: "x"}, {Name: "x"}}}, w.deps()},
		"an unknown dialect":   {Config{Listeners: []Listener{{Name: "x", Forwarded: "forwarded"}}}, w.deps()},
		"a socket without API": {Config{Listeners: one, AdminSocket: "/x"}, w.deps()},
	} {
		if _, err := New(tt.c, tt.d); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
