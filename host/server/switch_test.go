package server

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Whatever becomes of a request, it leaves the generation that it entered, once.
func TestEveryRequestLeaves(t *testing.T) {
	w := newWorld(t, false)
	d := w.deps()
	inside, entered := 0, 0
	d.Enter = func() (Snapshot, func()) {
		inside, entered = inside+1, entered+1
		return w, func() { inside-- }
	}
	s, err := New(Config{Listeners: []Listener{{Name: "x"}}}, d)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		check, "/realms/nowhere/v1/check", "/realms/broken/v1/check", "/realms/a/v1/token", "/realms/nowhere/v1/token", "/realms/a/v1/connections", "/realms/broken/v1/connections",
		"/readyz", "/realms/a/jwks", "/v1/check",
	} {
		for _, token := range []string{"", "Bearer x", "Bearer bad"} {
			before := entered
			req := httptest.NewRequest("GET", path, nil)
			if token != "" {
				req.Header.Set("Authorization", token)
			}
			s.Handler(Listener{}).ServeHTTP(httptest.NewRecorder(), req)
			if inside != 0 || entered > before+1 {
				t.Errorf("%s: entered %d times, %d still inside", path, entered-before, inside)
			}
		}
	}
	if entered == 0 {
		t.Error("no request entered a generation")
	}
}

// New connections get the certificates of the moment, and a session that was made under other rules is not resumed: who may
// no longer connect does not get in by it.
func TestSetTLS(t *testing.T) {
	ca, caKey := certificate(t, "ca", nil, nil)
	other, _ := certificate(t, "other", nil, nil)
	first, firstKey := certificate(t, "127.0.0.1", ca, caKey)
	second, secondKey := certificate(t, "127.0.0.1", ca, caKey)
	mine, mineKey := certificate(t, "client", ca, caKey)
	pool := func(c *x509.Certificate) *x509.CertPool { p := x509.NewCertPool(); p.AddCert(c); return p }
	config := func(raw []byte, key any, clients *x509.CertPool) *tls.Config {
		return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: key}}, ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert}
	}
	s := newWorld(t, true).server(t, Config{Listeners: []Listener{
		{Name: "tls", Address: "127.0.0.1:0", TLS: config(first.Raw, firstKey, pool(ca))}, {Name: "plain", Address: "127.0.0.1:0"},
	}})
	run(t, s)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		if err := s.SetTLS("tls", config(first.Raw, firstKey, pool(ca))); err != nil {
			t.Fatal(err)
		}
		client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
			MinVersion: tls.VersionTLS12, MaxVersion: version, RootCAs: pool(ca), Certificates: []tls.Certificate{{Certificate: [][]byte{mine.Raw}, PrivateKey: mineKey}},
			ClientSessionCache: tls.NewLRUClientSessionCache(8),
		}}}
		ask := func() (*tls.ConnectionState, error) {
			resp, err := client.Get("https://" + s.Addr("tls").String() + "/healthz")
			if err != nil {
				return nil, err
			}
			return resp.TLS, resp.Body.Close()
		}
		for _, resumed := range []bool{false, true} {
			if state, err := ask(); err != nil || state.DidResume != resumed || !state.PeerCertificates[0].Equal(first) {
				t.Fatalf("%v %+v", err, state)
			}
		}
		if err := s.SetTLS("tls", config(second.Raw, secondKey, pool(ca))); err != nil {
			t.Fatal(err)
		}
		if state, err := ask(); err != nil || state.DidResume || !state.PeerCertificates[0].Equal(second) {
			t.Errorf("after the switch: %v %+v", err, state)
		}
		if err := s.SetTLS("tls", config(second.Raw, secondKey, pool(other))); err != nil {
			t.Fatal(err)
		}
		if _, err := ask(); err == nil {
			t.Error("a client whose authority is no longer trusted gets in")
		}
	}
	if err := s.SetTLS("plain", config(first.Raw, firstKey, nil)); err == nil || !strings.Contains(err.Error(), `"plain"`) {
		t.Errorf("plain HTTP became TLS: %v", err)
	}
}
