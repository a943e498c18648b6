package oauth

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/realmgate/realmgate/plugins/default/vendors/bearer"
	"github.com/realmgate/realmgate/sdk"
)

// What is sent, to the letter: RFC 6749 sections 2.3.1 and 4.4.2.
func TestRequest(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var form url.Values
	var header http.Header
	e := newEndpoint(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		_ = r.ParseForm()
		form, header = r.PostForm, r.Header
		tokenFor(60)(w, r)
	})
	for method, want := range map[string]url.Values{
		methodBasic: {"grant_type": {"client_credentials"}, "scope": {"a b"}},
		methodPost:  {"grant_type": {"client_credentials"}, "scope": {"a b"}, "client_id": {"cli:ent"}, "client_secret": {theSecret}},
	} {
		x := newRig(t, map[string]any{"auth_method": method})
		if _, err := x.vend(t, sdk.VendRequest{Connection: connectionOf(e.URL+"/token?x=y", "cli:ent", "a", "b")}); err != nil {
			t.Fatal(err)
		}
		basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("cli%3Aent:hunter2%2B%2F%25%3A+x"))
		if method == methodPost {
			basic = ""
		}
		if form.Encode() != want.Encode() || header.Get("Authorization") != basic || header.Get("Content-Type") != "application/x-www-form-urlencoded" {
			t.Errorf("%s: %v, %v", method, form, header)
		}
	}
}

func TestIcebergEndpoint(t *testing.T) {
	t.Parallel()
	var path string
	e := newEndpoint(t, func(w http.ResponseWriter, r *http.Request) { path = r.URL.Path; tokenFor(60)(w, r) })
	x := newRig(t, nil)
	c := connection("")
	c.URI = e.URL + "/api/catalog/"
	if _, err := x.vend(t, sdk.VendRequest{Connection: c}); err != nil || path != "/api/catalog/v1/oauth/tokens" {
		t.Errorf("%s was asked, %v", path, err)
	}
	c.Type = "GENERIC_HTTP"
	if _, err := x.vend(t, sdk.VendRequest{Connection: c}); sdk.AsDenial(err) == nil || !strings.Contains(err.Error(), "tokenUri") {
		t.Errorf("another type of connection: %v", err)
	}
}

func TestConnectionsThatCannotBeRight(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, tokenFor(60))
	with := func(at string) func(*sdk.VendRequest) {
		return func(r *sdk.VendRequest) { r.Connection = connection(at) }
	}
	tests := map[string]struct {
		change func(*sdk.VendRequest)
		reason string
		detail string
	}{
		"another type": {func(r *sdk.VendRequest) { r.Connection.AuthenticationType = "BEARER" }, bearer.ReasonConnection, "authenticationParameters"},
		"no JSON":      {func(r *sdk.VendRequest) { r.Connection.Authentication = nil }, bearer.ReasonConnection, "authenticationParameters"},
		"no client":    {func(r *sdk.VendRequest) { r.Connection = connectionOf(e.URL, "") }, bearer.ReasonConnection, "clientId"},
		"no secret":    {func(r *sdk.VendRequest) { r.Connection.Authentication = []byte(`{"clientId":"c"}`) }, bearer.ReasonConnection, "clientSecret"},
		"the secret itself": {func(r *sdk.VendRequest) {
			r.Connection.Authentication = []byte(`{"clientId":"c","clientSecret":"hunter2"}`)
		}, bearer.ReasonConnection, "authenticationParameters"},
		"plain http":            {with("http://example.com/token"), bearer.ReasonConnection, "tokenUri: https"},
		"no URL":                {with("https://[hunter2"), bearer.ReasonConnection, "tokenUri: it is not a URL"},
		"another scheme":        {with("ftp://example.com"), bearer.ReasonConnection, "tokenUri"},
		"a user":                {with("https://u:hunter2@example.com"), bearer.ReasonConnection, "a user"},
		"a fragment":            {with("https://example.com/#x"), bearer.ReasonConnection, "a fragment"},
		"metadata":              {with("http://169.254.169.254/latest"), bearer.ReasonConnection, "169.254.0.0/16"},
		"metadata, mapped":      {with("https://[::ffff:a9fe:a9fe]/"), bearer.ReasonConnection, "169.254.0.0/16"},
		"metadata, as a number": {with("https://2852039166/"), bearer.ReasonConnection, "unusual spelling"},
		"narrowed":              {func(r *sdk.VendRequest) { r.NarrowTo = []string{"s3://x"} }, bearer.ReasonNarrowing, "narrowTo"},
		"a life of its own":     {func(r *sdk.VendRequest) { r.MinLifetime = time.Hour }, bearer.ReasonLifetime, "live for 1m0s"},
	}
	x := newRig(t, nil)
	for name, tt := range tests {
		r := sdk.VendRequest{Connection: connection(e.URL)}
		tt.change(&r)
		_, err := x.vend(t, r)
		if d := sdk.AsDenial(err); d == nil || d.Reason != tt.reason || !strings.Contains(err.Error(), tt.detail) {
			t.Errorf("%s: %v, want %s %q", name, err, tt.reason, tt.detail)
		}
	}
	if e.asked.Load() != 1 { // for the life, which nobody knows before
		t.Errorf("%d requests", e.asked.Load())
	}
	if _, err := x.vend(t, sdk.VendRequest{Connection: connection(e.URL), MinLifetime: time.Hour}); sdk.AsDenial(err) == nil || e.asked.Load() != 1 {
		t.Errorf("the endpoint is asked again for what it cannot give: %v", err)
	}
}

// Whatever an endpoint answers, it is no caller's fault, and nothing of it is repeated.
func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	evil := `"error":"evil","error_description":"hunter2+/%: x"`
	tests := map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://evil.example/", http.StatusTemporaryRedirect)
		}, "answers 307, and redirects are not followed"},
		"invalid_client": {status(401, `{"error":"invalid_client","error_description":"hunter2+/%: x"}`), "invalid_client: it does not accept the connection's clientId and clientSecret"},
		"reflected":      {status(400, `{`+evil+`}`), "answers the status 400"},
		"reflected as text": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(500)
			_, _ = w.Write([]byte(r.Header.Get("Authorization") + " hunter2 evil"))
		}, "answers the status 500"},
		"unavailable":         {status(503, ""), "answers the status 503"},
		"not JSON":            {text("evil hunter2"), "the JSON object"},
		"an error with 200":   {text(`{` + evil + `}`), "token_type"},
		"no token":            {text(`{"token_type":"bearer"}`), "the token is empty"},
		"no type":             {text(`{"access_token":"evil"}`), "token_type"},
		"another type":        {text(`{"access_token":"evil","token_type":"mac"}`), "token_type"},
		"a header break":      {text(`{"access_token":"evil\r\nX: y","token_type":"bearer"}`), "no header can carry"},
		"a token too long":    {text(`{"access_token":"` + strings.Repeat("x", 20<<10) + `","token_type":"bearer"}`), "longer than"},
		"expired":             {text(`{"access_token":"evil","token_type":"bearer","expires_in":0}`), "expires_in"},
		"a negative life":     {text(`{"access_token":"evil","token_type":"bearer","expires_in":-5}`), "expires_in"},
		"a life that is none": {text(`{"access_token":"evil","token_type":"bearer","expires_in":"evil"}`), "expires_in"},
		"a huge body":         {text(`{"access_token":"` + strings.Repeat("x", maxAnswer) + `"}`), "more than 65536 bytes"},
		"a huge header": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Evil", strings.Repeat("evil", 64<<10))
		}, "as it should"},
		"no HTTP": {func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				fmt.Fprint(conn, "evil hunter2\r\n\r\n")
				_ = conn.Close()
			}
		}, "as it should"},
		"hangs up": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "as it should"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEndpoint(t, tt.answer)
			x := newRig(t, nil)
			x.wantFailure(t, e.URL+"/token?key=hunter2", tt.want)
			if e.asked.Load() != 1 {
				t.Errorf("%d requests", e.asked.Load())
			}
			x.wantFailure(t, e.URL+"/token?key=hunter2", "it is asked again at")
			if e.asked.Load() != 1 {
				t.Errorf("it is asked again at once")
			}
		})
	}
}

func TestSlowEndpoint(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	e := newEndpoint(t, func(http.ResponseWriter, *http.Request) { <-gate })
	defer close(gate)
	newRig(t, map[string]any{"timeout": "100ms"}).wantFailure(t, e.URL, "does not answer in time")
	x := newRig(t, nil)
	ctx, cancel := context.WithCancel(sdk.WithHost(t.Context(), x.host))
	done := make(chan error, 1)
	go func() { _, err := x.Vend(ctx, sdk.VendRequest{Connection: connection(e.URL)}); done <- err }()
	for e.asked.Load() < 2 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-done; err == nil || sdk.AsDenial(err) != nil {
		t.Errorf("a caller who gives up: %v", err)
	}
}

// Connections to a host that is not there are told so at once after some of them have found out, and those to other hosts go on.
func TestAbsentHostIsLeftAlone(t *testing.T) {
	t.Parallel()
	down, up := newEndpoint(t, status(http.StatusServiceUnavailable, "")), newEndpoint(t, tokenFor(60))
	x := newRig(t, nil)
	vend := func(at, client string) error {
		_, err := x.vend(t, sdk.VendRequest{Connection: connectionOf(at, client)})
		return err
	}
	for n := range 5 {
		if err := vend(down.URL, fmt.Sprint("client", n)); err == nil || !strings.Contains(err.Error(), "answers the status 503") {
			t.Fatal(err)
		}
	}
	if err := vend(down.URL, "another"); err == nil || sdk.AsDenial(err) != nil || !strings.Contains(err.Error(), "is left alone for a while") || down.asked.Load() != 5 {
		t.Errorf("%v, asked %d times", err, down.asked.Load())
	}
	if err := vend(up.URL, "another"); err != nil {
		t.Error(err)
	}
	if err := vend(down.URL+"/elsewhere", "another"); err == nil || !strings.Contains(err.Error(), "answers the status 503") {
		t.Errorf("another endpoint of the host is judged by what this one answers: %v", err)
	}
	down.answer.Store(tokenFor(60))
	x.advance(time.Minute)
	if err := vend(down.URL, "another"); err != nil {
		t.Errorf("it is back: %v", err)
	}
}

// A connection that the endpoint closed while nobody used it is no reason to fail.
func TestKeptConnectionIsClosed(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, tokenFor(60))
	x := newRig(t, nil)
	for n := range int64(100) {
		c := connection(e.URL)
		c.Version = n
		if _, err := x.vend(t, sdk.VendRequest{Connection: c}); err != nil {
			t.Fatalf("request %d: %v", n, err)
		}
		e.CloseClientConnections()
	}
}

// The address that a name leads to is looked at when it is connected to.
func TestDeniedAddresses(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, tokenFor(60))
	_, port, err := net.SplitHostPort(e.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	byName := "http://localhost:" + port + "/"
	newRig(t, map[string]any{"deny_addresses": []string{"127.0.0.0/8", "::1"}}).wantFailure(t, byName, "deny_addresses")
	if e.asked.Load() != 0 {
		t.Errorf("%d requests", e.asked.Load())
	}
	for _, settings := range []map[string]any{nil, {"deny_addresses": []string{}}, {"deny_addresses": []string{"10.0.0.0/8"}}} {
		newRig(t, settings).token(t, byName)
	}
	everything := newRig(t, map[string]any{"deny_addresses": []string{}, "timeout": "50ms", "allow_http": true})
	if _, err := everything.vend(t, sdk.VendRequest{Connection: connection("http://169.254.169.254:1/")}); err == nil || sdk.AsDenial(err) != nil {
		t.Errorf("an empty list refuses: %v", err)
	}
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer(tokenFor(60))
	defer s.Close()
	newRig(t, nil).wantFailure(t, s.URL, "not trusted, see ca_file")
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	newRig(t, map[string]any{"ca_file": ca}).token(t, s.URL)
	newRig(t, nil).wantFailure(t, "https://realmgate.invalid/", "cannot be resolved")
}

func TestStoreIsDown(t *testing.T) {
	t.Parallel()
	x := newRig(t, nil)
	x.host.set("")
	x.wantFailure(t, "http://127.0.0.1:1/", "clientSecret: the store is down")
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for path, settings := range map[string]string{
		"/auth_method":    `{"auth_method":"none"}`,
		"/timeout":        `{"timeout":"PT2M"}`,
		"/refresh_before": `{"refresh_before":"PT2H"}`,
		"/max_tokens":     `{"max_tokens":0}`,
		"/deny_addresses": `{"deny_addresses":["localhost"]}`,
		"/ca_file":        `{"ca_file":"/nonexistent"}`,
	} {
		var s Settings
		if err := sdk.Decode([]byte(settings), &s); err != nil {
			t.Fatal(err)
		}
		_, err := NewVendor(t.Context(), sdk.Setup{}, s)
		if problems := sdk.Problems(err); len(problems) != 1 || problems[0].Path != path {
			t.Errorf("%s: %v", settings, err)
		}
	}
}
