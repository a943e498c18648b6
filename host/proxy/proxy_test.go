package proxy

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/realmgate/realmgate/host/admin"
	"github.com/realmgate/realmgate/host/connection"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/egress"
)

// lying is a daemon that answers what no daemon does.
type lying struct {
	mu    sync.Mutex
	uri   string // of the connection
	auth  string // its authentication; empty: BEARER
	sign  func(q admin.SignQuery) (connection.Signed, error)
	asked []admin.SignQuery
}

func (l *lying) Connection(context.Context, string, string) (connection.Connection, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return connection.Connection{Name: "c", Info: connection.Info{URI: l.uri, Authentication: connection.Authentication{Type: cmp.Or(l.auth, connection.AuthBearer)}}}, nil
}

func (l *lying) SignForConnection(_ context.Context, _, _ string, q admin.SignQuery) (connection.Signed, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, q)
	return l.sign(q)
}

// serve runs a proxy for the connection c, and gives its address.
func serve(t *testing.T, d Daemon) string { return serveAs(t, Config{Daemon: d}, "") }

func serveAs(t *testing.T, c Config, token string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	c.Realm, c.Deny = "r", egress.Default()
	p := New(c)
	go func() {
		ended <- p.Serve(ctx, []Door{{Connection: "c", Listener: l, Token: sdk.NewSecret([]byte(token))}}, nil)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// A signature for something else than was asked about is not sent anywhere.
func TestSignatureForAnotherURL(t *testing.T) {
	t.Parallel()
	reached := 0
	up := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }))
	t.Cleanup(up.Close)
	d := &lying{uri: up.URL}
	at := serve(t, d)
	for what, change := range map[string]func(string) string{
		"another host":    func(string) string { return "http://127.0.0.1:1/a?b" },
		"another scheme":  func(u string) string { return strings.Replace(u, "http:", "https:", 1) },
		"another path":    func(u string) string { return strings.Replace(u, "/a", "/b", 1) },
		"an encoded path": func(u string) string { return strings.Replace(u, "/a", "/%61", 1) },
		"a user":          func(u string) string { return strings.Replace(u, "http://", "http://x@", 1) },
		"a fragment":      func(u string) string { return u + "#x" },
		"a second line":   func(u string) string { return u + " HTTP/1.1" },
		"nothing":         func(string) string { return "" },
	} {
		d.mu.Lock()
		d.sign = func(q admin.SignQuery) (connection.Signed, error) { return connection.Signed{URI: change(q.URI)}, nil }
		d.mu.Unlock()
		if status, text := get(t, at+"/a?b"); status != http.StatusBadGateway || !strings.Contains(text, codeAnswer) {
			t.Errorf("%s: %d %s", what, status, text)
		}
	}
	if reached != 0 {
		t.Errorf("%d requests went out", reached)
	}
	d.mu.Lock()
	d.sign = func(q admin.SignQuery) (connection.Signed, error) {
		return connection.Signed{URI: strings.Replace(q.URI, "+", "%20", 1), Headers: map[string][]string{"host": {"elsewhere"}, "content-length": {"9"}}}, nil
	}
	d.mu.Unlock()
	if status, text := get(t, at+"/a?b+c"); status != http.StatusOK || reached != 1 { // a query may be written anew
		t.Errorf("%d %s, %d requests", status, text, reached)
	}
}

// Each request is signed for itself, and where the connection leads to now is asked once the daemon refuses the former host.
func TestNothingIsKept(t *testing.T) {
	t.Parallel()
	var hosts []string
	up := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { hosts = append(hosts, r.Host) }))
	t.Cleanup(up.Close)
	other := "http://localhost:" + up.URL[strings.LastIndex(up.URL, ":")+1:]
	d := &lying{uri: up.URL}
	d.sign = func(q admin.SignQuery) (connection.Signed, error) {
		if !strings.HasPrefix(q.URI, d.uri) {
			return connection.Signed{}, &admin.Error{Status: http.StatusForbidden, Code: connection.CodeHostRefused, Message: "leads to another host"}
		}
		return connection.Signed{URI: q.URI}, nil
	}
	at := serve(t, d)
	for range 3 {
		if status, text := get(t, at+"/x"); status != http.StatusOK {
			t.Errorf("%d %s", status, text)
		}
	}
	d.mu.Lock()
	d.uri = other
	d.mu.Unlock()
	if status, text := get(t, at+"/x"); status != http.StatusBadGateway || !strings.Contains(text, codeRefused) {
		t.Errorf("%d %s", status, text)
	}
	if status, text := get(t, at+"/x"); status != http.StatusOK {
		t.Errorf("once it is asked again: %d %s", status, text)
	}
	if len(d.asked) != 5 || len(hosts) != 4 || hosts[3] != strings.TrimPrefix(other, "http://") {
		t.Errorf("%d signatures, sent to %v", len(d.asked), hosts)
	}
}

func TestFaultsOfTheDaemon(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err    error
		status int
		code   string
	}{
		{errors.New("nobody listens"), 503, codeUnavailable},
		{&admin.Error{Status: 503, Code: "unavailable"}, 503, codeUnavailable},
		{&admin.Error{Status: 500, Code: "internal"}, 503, codeUnavailable},
		{&admin.Error{Status: 429, Code: "too_many_requests"}, 503, codeUnavailable},
		{&admin.Error{Status: 400, Code: "invalid", Field: "uri"}, 400, codeRequest},
		{&admin.Error{Status: 403, Code: "request_invalid"}, 400, codeRequest},
		{&admin.Error{Status: 403, Code: "forbidden"}, 502, codeRefused},
		{&admin.Error{Status: 403, Code: "role_denied"}, 502, codeRefused},
		{&admin.Error{Status: 404, Code: "not_found"}, 502, codeRefused},
		{&admin.Error{Status: 401, Code: "token_expired"}, 502, codeRefused},
		{&admin.Error{Status: 501, Code: "unsupported"}, 501, codeUnsupported},
	} {
		if f := unsigned(tt.err); f.status != tt.status || f.code != tt.code {
			t.Errorf("%+v: %d %s", tt.err, f.status, f.code)
		}
	}
}

func TestTargetOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		uri, auth, service string
		signPayload        bool
		want               target
	}{
		{"https://S3.example.com:443/x", "SIGV4", "s3", false, target{"https", "s3.example.com", true, true}},
		{"https://s3.example.com", "SIGV4", "s3", true, target{"https", "s3.example.com", true, false}},
		{"http://s3.example.com:80", "SIGV4", "s3", false, target{"http", "s3.example.com", true, false}},
		{"http://s3.example.com:443", "SIGV4", "s3-object-lambda", false, target{"http", "s3.example.com:443", true, false}},
		{"https://x.example.com", "SIGV4", "s3tables", false, target{"https", "x.example.com", true, false}},
		{"https://x.example.com", "SIGV4", "execute-api", false, target{"https", "x.example.com", true, false}},
		{"https://x.example.com:8443", "OAUTH", "", false, target{"https", "x.example.com:8443", false, false}},
	} {
		p := New(Config{SignPayload: tt.signPayload})
		got, err := p.targetOf(connection.Connection{Info: connection.Info{URI: tt.uri, Authentication: connection.Authentication{Type: tt.auth, SigningName: tt.service}}})
		if err != nil || got != tt.want {
			t.Errorf("%s %s: %+v %v", tt.uri, tt.service, got, err)
		}
	}
}
