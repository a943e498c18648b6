package server

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/token"
	"github.com/realmgate/realmgate/sdk"
)

func TestRoute(t *testing.T) {
	long := strings.Repeat("x", 64)
	tests := []struct {
		path     string
		door     door
		realm    string
		original string
	}{
		{"/realms/a/v1/check", checkDoor, "a", ""},
		{"/realms/A.b_c-1/v1/check", checkDoor, "A.b_c-1", ""},
		{"/realms/" + long + "/v1/check", checkDoor, long, ""},
		{"/v1/check", checkDoor, "", ""},
		{"/realms/a/v1/oauth/tokens", tokenDoor, "a", ""},
		{"/realms/a/v1/token", tokenDoor, "a", ""},
		{"/v1/oauth/tokens", tokenDoor, "", ""},
		{"/v1/token", tokenDoor, "", ""},
		{"/realms/a/v1/oauth/revoke", revokeDoor, "a", ""},
		{"/v1/oauth/introspect", introspectDoor, "", ""},
		{"/realms/a/v1/jwks", keysDoor, "a", ""},
		{"/realms/a/.well-known/openid-configuration", metadataDoor, "a", ""},
		{"/realms/a/.well-known/oauth-authorization-server", metadataDoor, "a", ""},
		{"/.well-known/oauth-authorization-server/realms/a", metadataDoor, "a", ""},
		{"/.well-known/openid-configuration", metadataDoor, "", ""},
		{"/healthz", healthDoor, "", ""},
		{"/readyz", readyDoor, "", ""},
		// what a proxy appends is carried along and leads nowhere else
		{"/realms/a/v1/check/", checkDoor, "a", "/"},
		{"/realms/a/v1/check/x/y", checkDoor, "a", "/x/y"},
		{"/realms/a/v1/check/../../../b/v1/check", checkDoor, "a", "/../../../b/v1/check"},
		{"/realms/a/v1/check/realms/b/v1/check", checkDoor, "a", "/realms/b/v1/check"},
		{"/realms/a/v1/check//realms/b/v1/check", checkDoor, "a", "//realms/b/v1/check"},
		{"/v1/check/realms/b/v1/check", checkDoor, "", "/realms/b/v1/check"},
		// and these are nothing
		{"", noDoor, "", ""},
		{"/", noDoor, "", ""},
		{"*", noDoor, "", ""},
		{"//realms/a/v1/check", noDoor, "", ""},
		{"/realms//v1/check", noDoor, "", ""},
		{"/realms/v1/check", noDoor, "", ""},
		{"/realms/a//v1/check", noDoor, "", ""},
		{"/realms/a/v1//check", noDoor, "", ""},
		{"/realms/a/../b/v1/check", noDoor, "", ""},
		{"/realms/../v1/check", noDoor, "", ""},
		{"/realms/./v1/check", noDoor, "", ""},
		{"/realms/%61/v1/check", noDoor, "", ""},
		{"/realms/a%2fv1/check", noDoor, "", ""},
		{"/realms/a%2f..%2fb/v1/check", noDoor, "", ""},
		{"/realms/a/v1%2fcheck", noDoor, "", ""},
		{"/realms/a/v1/%63heck", noDoor, "", ""},
		{"/realms/a;b/v1/check", noDoor, "", ""},
		{"/realms/a\\b/v1/check", noDoor, "", ""},
		{"/realms/é/v1/check", noDoor, "", ""},
		{"/realms/" + long + "x/v1/check", noDoor, "", ""},
		{"/Realms/a/v1/check", noDoor, "", ""},
		{"/realms/a/v1/checker", noDoor, "", ""},
		{"/realms/a/v1/token/", noDoor, "", ""},
		{"/.well-known/oauth-authorization-server/realms/", noDoor, "", ""},
		{"/.well-known/oauth-authorization-server/realms/a/", noDoor, "", ""},
		{"/.well-known/oauth-authorization-server/realms/../b", noDoor, "", ""},
		{"/.well-known/oauth-authorization-server/realms/%61", noDoor, "", ""},
		{"/realms/b/.well-known/oauth-authorization-server/realms/a", noDoor, "", ""},
		{"/realms/a/v1/oauth/revoke/", noDoor, "", ""},
		{"/realms/a/v1/jwks.json", noDoor, "", ""},
		{"/realms/a/healthz", noDoor, "", ""},
		{"/x/../healthz", noDoor, "", ""},
		{"/healthz/", noDoor, "", ""},
	}
	for _, tt := range tests {
		if d, realm, original := route(tt.path); d != tt.door || realm != tt.realm || original != tt.original {
			t.Errorf("%s: %v %q %q, want %v %q %q", tt.path, d, realm, original, tt.door, tt.realm, tt.original)
		}
	}
}

func FuzzRoute(f *testing.F) {
	for _, p := range []string{"/realms/a/v1/check/x", "/realms/a/../b/v1/token", "/realms/a%2f/v1/check", "//v1/check"} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, path string) {
		d, realm, original := route(path)
		if realm != "" && !strings.HasPrefix(path, "/realms/"+realm+"/v1/") && !strings.HasPrefix(path, "/realms/"+realm+"/.well-known/") && path != oauthMetadata+"/realms/"+realm {
			t.Errorf("%q leads to realm %q", path, realm)
		}
		if original != "" && (d != checkDoor || !strings.HasSuffix(path, "/v1/check"+original)) {
			t.Errorf("%q has the original path %q", path, original)
		}
	})
}

func TestRealmSelection(t *testing.T) {
	header := Listener{RealmHeader: "X-Realm"}
	both := trusted
	both.RealmHeader = "X-Realm"
	tests := []struct {
		name   string
		l      Listener
		path   string
		header []string
		status int
		want   string // realm or reason
	}{
		{"path", Listener{}, check, nil, 200, "a"},
		{"host", Listener{}, "/v1/check", []string{"Host", "a.example"}, 200, "a"},
		{"host in capitals, with port and dot", Listener{}, "/v1/check", []string{"Host", "B.EXAMPLE.:8443"}, 200, "b"},
		{"host with a letter that lowers to ASCII", Listener{}, "/v1/check", []string{"Host", "a.e\u212aample"}, 400, "realm_missing"},
		{"IPv6", Listener{}, "/v1/check", []string{"Host", "[::1]"}, 200, "b"},
		{"IPv6 with port", Listener{}, "/v1/check", []string{"Host", "[::1]:8443"}, 200, "b"},
		{"IPv6 in its long form", Listener{}, "/v1/check", []string{"Host", "[0:0:0:0:0:0:0:1]"}, 200, "b"},
		{"IPv6 in a header", trusted, "/v1/check", []string{"X-Forwarded-Host", "::1"}, 200, "b"},
		{"another IPv6", Listener{}, "/v1/check", []string{"Host", "[::1:8443]"}, 400, "realm_missing"},
		{"part of a host", Listener{}, "/v1/check", []string{"Host", "x.a.example"}, 400, "realm_missing"},
		{"path and its own host", Listener{}, check, []string{"Host", "a.example"}, 200, "a"},
		{"path and another's host", Listener{}, check, []string{"Host", "b.example"}, 400, "realm_ambiguous"},
		{"none", Listener{}, "/v1/check", nil, 400, "realm_missing"},
		{"unknown", Listener{}, "/realms/c/v1/check", nil, 404, "realm_unknown"},
		{"case of a realm counts", Listener{}, "/realms/A/v1/check", nil, 404, "realm_unknown"},
		{"broken", Listener{}, "/realms/broken/v1/check", nil, 503, "unavailable"},

		{"header", header, "/v1/check", []string{"X-Realm", "b"}, 200, "b"},
		{"header not enabled", Listener{}, "/v1/check", []string{"X-Realm", "b"}, 400, "realm_missing"},
		{"header not enabled beside a path", Listener{}, check, []string{"X-Realm", "b"}, 200, "a"},
		{"header of another spelling", header, "/v1/check", []string{"X_Realm", "b"}, 400, "realm_missing"},
		{"header and path differ", header, check, []string{"X-Realm", "b"}, 400, "realm_ambiguous"},
		{"header twice", header, "/v1/check", []string{"X-Realm", "b", "X-Realm", "a"}, 400, "realm_ambiguous"},
		{"header twice the same", header, "/v1/check", []string{"X-Realm", "b", "X-Realm", "b"}, 200, "b"},
		{"empty header", header, "/v1/check", []string{"X-Realm", ""}, 404, "realm_unknown"},
		{"header with a list", header, "/v1/check", []string{"X-Realm", "a,b"}, 404, "realm_unknown"},
		{"header with a path", header, "/v1/check", []string{"X-Realm", "../b"}, 404, "realm_unknown"},
		{"header and host differ", header, "/v1/check", []string{"X-Realm", "b", "Host", "a.example"}, 400, "realm_ambiguous"},

		{"forwarded host", trusted, "/v1/check", []string{"X-Forwarded-Host", "A.example:443"}, 200, "a"},
		{"forged forwarded host", Listener{}, "/v1/check", []string{"X-Forwarded-Host", "a.example"}, 400, "realm_missing"},
		{"forged forwarded host beside host", Listener{}, "/v1/check", []string{"X-Forwarded-Host", "a.example", "Host", "b.example"}, 200, "b"},
		{"forwarded host and host differ", trusted, "/v1/check", []string{"X-Forwarded-Host", "a.example", "Host", "b.example"}, 400, "realm_ambiguous"},
		{"list of forwarded hosts", trusted, "/v1/check", []string{"X-Forwarded-Host", "a.example, b.example"}, 400, "request_malformed"},
		{"two forwarded hosts", trusted, check, []string{"X-Forwarded-Host", "a.example", "X-Forwarded-Host", "a.example"}, 400, "request_malformed"},
		{"empty forwarded host", trusted, check, []string{"X-Forwarded-Host", ""}, 400, "request_malformed"},
		{"forwarded host that no proxy says", speaking(ForwardedOriginal), check, []string{"X-Forwarded-Host", "b.example"}, 200, "a"},
		{"original host does not choose", speaking(ForwardedOriginal), check, []string{"X-Original-Host", "b.example"}, 200, "a"},
		{"forwarded host where none counts", speaking(ForwardedNone), check, []string{"X-Forwarded-Host", "b.example"}, 200, "a"},
		{"forwarded host and path differ", trusted, check, []string{"X-Forwarded-Host", "b.example"}, 400, "realm_ambiguous"},
		{"forwarded host and header differ", both, "/v1/check", []string{"X-Forwarded-Host", "b.example", "X-Realm", "a"}, 400, "realm_ambiguous"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, false)
			rec := w.ask(t, tt.l, tt.path, append([]string{"Authorization", "Bearer x"}, tt.header...)...)
			got := rec.Header().Get(realmHeaderName)
			if rec.Code != 200 {
				got = rec.Header().Get(reasonHeader)
			}
			if rec.Code != tt.status || got != tt.want {
				t.Errorf("%d %s, want %d %s", rec.Code, got, tt.status, tt.want)
			}
			if strings.Contains(rec.Body.String(), "secret-path") {
				t.Error("the answer says why the realm is broken")
			}
			for realm, l := range w.legs {
				if asked := l.count() > 0; asked != (tt.status == 200 && realm == tt.want) {
					t.Errorf("realm %s was asked: %v", realm, asked)
				}
			}
		})
	}
}

func TestRequestID(t *testing.T) {
	for _, tt := range []struct {
		l    Listener
		ids  []string
		kept bool
	}{
		{trusted, []string{"abc-123.x:y_z"}, true},
		{Listener{}, []string{"abc-123.x:y_z"}, false},
		{trusted, []string{"short"}, false},
		{trusted, []string{"with space and more"}, false},
		{trusted, []string{strings.Repeat("x", 129)}, false},
		{trusted, []string{"abcdefgh", "ijklmnop"}, false},
		{trusted, nil, false},
	} {
		var header []string
		for _, id := range tt.ids {
			header = append(header, "X-Request-Id", id)
		}
		got := newWorld(t, false).ask(t, tt.l, check, header...).Header()["X-Request-Id"]
		if len(got) != 1 || tt.kept != (len(tt.ids) > 0 && got[0] == tt.ids[0]) || !tt.kept && len(got[0]) != 32 {
			t.Errorf("%q: %q, kept wanted: %v", tt.ids, got, tt.kept)
		}
	}
}

// The trace of a request reaches the stages that decide it, if a proxy says so that is trusted.
func TestTrace(t *testing.T) {
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for _, tt := range []struct {
		l      Listener
		traces []string
		want   string
	}{
		{trusted, []string{trace}, trace}, {Listener{}, []string{trace}, ""}, {trusted, []string{trace, trace}, ""}, {trusted, []string{"00-x"}, ""}, {trusted, nil, ""},
	} {
		w, got := newWorld(t, false), "not asked"
		w.legs["a"].act = func(ctx context.Context, _ *sdk.State) error {
			got = sdk.TraceParent(ctx)
			return nil
		}
		header := []string{"Authorization", "Bearer x"}
		for _, x := range tt.traces {
			header = append(header, "Traceparent", x)
		}
		if w.ask(t, tt.l, check, header...); got != tt.want {
			t.Errorf("%q of a peer that is trusted or not: %q, want %q", tt.traces, got, tt.want)
		}
	}
}

func TestTrust(t *testing.T) {
	for peer, want := range map[string]bool{
		"192.0.2.9:1": true, "[::ffff:192.0.2.9]:1": true, "192.0.3.9:1": false, "[::1]:1": false, "@": false, "": false, "192.0.2.9": false,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = peer
		if trusted.trusts(r) != want {
			t.Errorf("%q is trusted: %v", peer, !want)
		}
	}
}

func TestHealthAndReadiness(t *testing.T) {
	w := newWorld(t, false)
	if rec := w.ask(t, Listener{}, "/healthz"); rec.Code != 200 {
		t.Errorf("healthz: %d", rec.Code)
	}
	if rec := w.ask(t, Listener{}, "/readyz"); rec.Code != 200 || !strings.Contains(rec.Body.String(), `"served":2,"not_served":1`) {
		t.Errorf("readyz: %d %s", rec.Code, rec.Body)
	}
	for name, spoil := range map[string]func(*world){
		"directory down":  func(w *world) { w.ping = http.ErrServerClosed },
		"no realm served": func(w *world) { w.realms = w.realms[2:] },
	} {
		w := newWorld(t, false)
		spoil(w)
		if rec := w.ask(t, Listener{}, "/readyz"); rec.Code != 503 || strings.Contains(rec.Body.String(), "broken") {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
	}
	rec := httptest.NewRecorder()
	w.server(t, Config{}).Handler(Listener{}).ServeHTTP(rec, httptest.NewRequest("POST", "/healthz", nil))
	if rec.Code != 405 || rec.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d %v", rec.Code, rec.Header())
	}
}

func TestBeforeTheFirstGeneration(t *testing.T) {
	w := newWorld(t, false)
	d := w.deps()
	d.Enter = func() (Snapshot, func()) { return nil, func() {} }
	s, err := New(Config{Listeners: []Listener{{Name: "x"}}}, d)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{check, "/realms/a/v1/token", "/readyz"} {
		rec := httptest.NewRecorder()
		s.Handler(Listener{}).ServeHTTP(rec, httptest.NewRequest("GET", path, nil))
		if rec.Code != 503 {
			t.Errorf("%s: %d", path, rec.Code)
		}
	}
}

// oauthShape makes sure that an error of the token endpoint is a string, as clients expect.
func oauthShape(t *testing.T, rec *httptest.ResponseRecorder) {
	t.Helper()
	var b struct{ Error string }
	if err := json.Unmarshal(rec.Body.Bytes(), &b); err != nil || rec.Code == 503 && b.Error != "" {
		t.Errorf("%d %s: %v", rec.Code, rec.Body, err)
	}
	if challenge := rec.Header().Get("WWW-Authenticate"); (rec.Code == 401) != strings.HasPrefix(challenge, "Basic ") {
		t.Errorf("%d with the challenge %q", rec.Code, challenge)
	}
}

// A panic is answered in the shape of the door that it was at.
func TestPanicAtTheTokenEndpoint(t *testing.T) {
	d := newWorld(t, false).deps()
	d.Enter = func() (Snapshot, func()) { panic("a generation") }
	s, err := New(Config{Listeners: []Listener{{Name: "x"}}}, d)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/realms/a/v1/token": `{"reason":"unavailable"`, check: `{"error":{"reason":"unavailable"`} {
		rec := httptest.NewRecorder()
		s.Handler(Listener{}).ServeHTTP(rec, httptest.NewRequest("POST", path, nil))
		if rec.Code != 503 || !strings.HasPrefix(rec.Body.String(), want) || rec.Header().Get(reasonHeader) != reasonUnavailable {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
		}
	}
}

func TestTokenEndpoint(t *testing.T) {
	w := newWorld(t, false)
	svc, err := token.New(token.Config{Realm: "a", Issuer: "i", Audience: []string{"x"}, URL: "https://gate/realms/a", Directory: noClients{}, Broker: noClients{}, Plan: w.plans["a"], Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	w.tokens["a"] = svc
	h := w.server(t, Config{}).Handler(Listener{RealmHeader: "X-Realm"})
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"x"}, "client_secret": {"y"}}.Encode()
	for _, tt := range []struct {
		method, path, host string
		status             int
		body               string
	}{
		{"POST", "/realms/a/v1/oauth/tokens", "", 401, `"error":"invalid_client"`},
		{"POST", "/realms/a/v1/token", "", 401, `"error":"invalid_client"`},
		{"POST", "/v1/oauth/tokens", "a.example", 401, `"error":"invalid_client"`},
		{"POST", "/v1/token", "a.example", 401, `"error":"invalid_client"`},
		{"GET", "/realms/a/v1/token", "", 405, `"error":"invalid_request"`},
		{"POST", "/realms/b/v1/token", "", 501, `"error":"unsupported_grant_type"`},
		{"POST", "/realms/c/v1/token", "", 404, `"error":"invalid_request"`},
		{"POST", "/realms/broken/v1/token", "", 503, `"reason":"unavailable"`},
		{"POST", "/v1/token", "", 400, `"error":"invalid_request"`},
		{"POST", "/realms/a/v1/token", "b.example", 400, `"error":"invalid_request"`},
		{"POST", "/realms/a/v1/oauth/revoke", "", 400, `"error_description":"token is missing"`},
		{"POST", "/realms/a/v1/oauth/introspect", "", 400, `"error_description":"token is missing"`},
		{"POST", "/realms/b/v1/oauth/revoke", "", 501, `"error":"unsupported_grant_type"`},
		{"POST", "/realms/c/v1/oauth/introspect", "", 404, `"error":"invalid_request"`},
		{"GET", "/realms/a/v1/jwks", "", 404, `"reason":"no_keys"`},
		{"GET", "/realms/b/v1/jwks", "", 404, `"reason":"token_service_disabled"`},
		{"POST", "/realms/a/v1/jwks", "", 405, `"reason":"method_not_allowed"`},
		{"GET", "/realms/a/.well-known/openid-configuration", "", 200, `"token_endpoint":"https://gate/realms/a/v1/oauth/tokens"`},
		{"GET", "/.well-known/oauth-authorization-server/realms/a", "", 200, `"issuer":"i"`},
		{"GET", "/.well-known/oauth-authorization-server/realms/a", "b.example", 400, `"reason":"realm_ambiguous"`},
		{"GET", "/.well-known/openid-configuration", "a.example", 200, `"issuer":"i"`},
		{"GET", "/.well-known/openid-configuration", "", 400, `"reason":"realm_missing"`},
		{"GET", "/realms/b/.well-known/openid-configuration", "", 404, `"reason":"token_service_disabled"`},
		{"GET", "/realms/c/.well-known/openid-configuration", "", 404, `"reason":"realm_unknown"`},
		{"GET", "/realms/broken/.well-known/openid-configuration", "", 503, `"reason":"unavailable"`},
	} {
		r := httptest.NewRequest(tt.method, tt.path, strings.NewReader(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if r.Host = "gate.internal"; tt.host != "" {
			r.Host = tt.host
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if rec.Code != tt.status || !strings.Contains(rec.Body.String(), tt.body) || rec.Header().Get("X-Request-Id") == "" {
			t.Errorf("%s %s%s: %d %s, want %d %s", tt.method, tt.host, tt.path, rec.Code, rec.Body, tt.status, tt.body)
		}
		if rec.Code == 501 && rec.Header().Get(reasonHeader) != "token_service_disabled" {
			t.Errorf("%v", rec.Header())
		}
		if tt.method == "POST" && !strings.HasSuffix(tt.path, "/jwks") { // the others are no OAuth endpoints
			oauthShape(t, rec)
		}
	}
}
