package server

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/host/connection"
	"github.com/realmgate/realmgate/host/custody"
	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/sdk"
)

// withConnections gives realm a connections that the role dev may manage.
func (w *world) withConnections(t *testing.T) *world {
	t.Helper()
	d, err := directory.Open(t.Context(), directory.Config{Type: "sqlite", Path: filepath.Join(t.TempDir(), "d.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	custody, err := custody.New(custody.Config{Realm: "a", Ledger: d})
	if err != nil {
		t.Fatal(err)
	}
	w.connections["a"], err = connection.New(connection.Config{
		Realm: "a", ManageRoles: []string{"dev"}, Store: d,
		Granted: func(string, sdk.SecretRef) error { return errors.New("nothing is granted") },
		Custody: custody,
		Vendor:  func(string) (connection.Vendor, error) { return vendor{}, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// vendor vends nothing.
type vendor struct{}

func (vendor) Vend(context.Context, sdk.VendRequest) (sdk.ConnectionCredentials, error) {
	return sdk.ConnectionCredentials{}, errors.New("not asked")
}

func (vendor) Sign(context.Context, sdk.SignRequest) (sdk.SignedRequest, error) {
	return sdk.SignedRequest{}, errors.New("not asked")
}
func (vendor) CanSign() bool { return false }

const body = `{"name":"c","connectionConfigInfo":{"connectionType":"GENERIC_HTTP","uri":"https://203.0.113.7/","authenticationParameters":{"authenticationType":"IMPLICIT"}}}`

// send serves one request to the connections; header is name, value, name, value.
func (w *world) send(t *testing.T, s *Server, l Listener, method, target, text string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(text))
	r.Host = "gate.internal"
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Add(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	s.Handler(l).ServeHTTP(rec, r)
	return rec
}

func TestConnectionsDoor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false).withConnections(t)
	s := w.server(t, Config{})
	for _, tt := range []struct {
		name, target string
		header       []string
		status       int
		reason       string
		asked        int // of the plan of a, so far
	}{
		{"no credential", "/realms/a/v1/connections", nil, 401, "credential_missing", 0},
		{"a signature", "/realms/a/v1/connections", []string{"Authorization", "AWS4-HMAC-SHA256 Credential=x"}, 401, "token_not_recognised", 0},
		{"a password", "/realms/a/v1/connections", []string{"Authorization", "Basic YTpi"}, 401, "token_not_recognised", 0},
		{"two credentials", "/realms/a/v1/connections", []string{"Authorization", "Bearer x", "Authorization", "Bearer y"}, 400, "request_malformed", 0},
		{"no token", "/realms/a/v1/connections", []string{"Authorization", "Bearer a b"}, 401, "token_malformed", 0},
		{"a token", "/realms/a/v1/connections", []string{"Authorization", "Bearer x"}, 200, "", 1},
		{"again", "/realms/a/v1/connections", []string{"Authorization", "Bearer x"}, 200, "", 2}, // nothing is remembered
		{"by host", "/v1/connections", []string{"Authorization", "Bearer x", "Host", "a.example"}, 200, "", 3},
		{"by two hosts", "/realms/a/v1/connections", []string{"Authorization", "Bearer x", "Host", "b.example"}, 400, "realm_ambiguous", 3},
		{"of no realm", "/v1/connections", []string{"Authorization", "Bearer x"}, 400, "realm_missing", 3},
		{"an unknown realm", "/realms/c/v1/connections", []string{"Authorization", "Bearer x"}, 404, "realm_unknown", 3},
		{"a broken realm", "/realms/broken/v1/connections", []string{"Authorization", "Bearer x"}, 503, "unavailable", 3},
		{"a realm without", "/realms/b/v1/connections", []string{"Authorization", "Bearer x"}, 503, "unavailable", 3},
		{"another path", "/realms/a/v1/connectionss", []string{"Authorization", "Bearer x"}, 404, "not_found", 3},
		{"an escaped path", "/realms/a/v1/connections%2fc", []string{"Authorization", "Bearer x"}, 404, "not_found", 3},
		{"a way out", "/realms/b/v1/../../a/v1/connections", []string{"Authorization", "Bearer x"}, 404, "not_found", 3},
	} {
		rec := w.send(t, s, Listener{}, http.MethodGet, tt.target, "", tt.header...)
		if rec.Code != tt.status || rec.Header().Get(reasonHeader) != tt.reason {
			t.Errorf("%s: %d %v %s", tt.name, rec.Code, rec.Header(), rec.Body)
		}
		if n := w.legs["a"].count(); n != tt.asked {
			t.Errorf("%s: the plan was asked %d times, want %d", tt.name, n, tt.asked)
		}
		if strings.Contains(rec.Body.String(), "secret-path") {
			t.Errorf("%s: the answer tells about the inside: %s", tt.name, rec.Body)
		}
		if rec.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: may be cached", tt.name)
		}
	}
}

func TestConnectionsAreServedToTheCallerThatWasDecided(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false).withConnections(t)
	s := w.server(t, Config{})
	post := func(text string) *httptest.ResponseRecorder {
		return w.send(t, s, Listener{}, http.MethodPost, "/realms/a/v1/connections", text, "Authorization", "Bearer x", "Content-Type", "application/json")
	}
	if rec := post(body); rec.Code != http.StatusCreated {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	if rec := post(strings.Replace(body, "IMPLICIT", strings.Repeat("x", maxConnection), 1)); rec.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a large body: %d %.200s", rec.Code, rec.Body)
	}
	for _, tt := range []struct {
		status int
		act    func(context.Context, *sdk.State) error
	}{
		{401, func(context.Context, *sdk.State) error { return sdk.Deny("token_expired", "it is old") }},
		{403, func(context.Context, *sdk.State) error { return sdk.Forbid("principal_disabled", "no") }},
		{503, func(context.Context, *sdk.State) error { return errors.New("down") }},
		{403, func(_ context.Context, st *sdk.State) error { st.Active = []string{"ops"}; return nil }}, // granted, but not active
	} {
		w.legs["a"].act = tt.act
		rec := w.send(t, s, Listener{}, http.MethodDelete, "/realms/a/v1/connections/c", "", "Authorization", "Bearer x")
		if rec.Code != tt.status {
			t.Errorf("%d %s, want %d", rec.Code, rec.Body, tt.status)
		}
	}
	w.legs["a"].act = nil
	if rec := w.send(t, s, Listener{}, http.MethodGet, "/realms/a/v1/connections/c", "", "Authorization", "Bearer x"); rec.Code != http.StatusOK {
		t.Errorf("it was deleted by somebody who may not: %d %s", rec.Code, rec.Body)
	}
}

// What a proxy says about some original request is no word on a request that is for us.
func TestConnectionsDoorBelievesNoProxy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true).withConnections(t)
	s := w.server(t, Config{})
	for _, dialect := range []string{ForwardedX, ForwardedOriginal} {
		prefix := map[string]string{ForwardedX: "X-Forwarded-", ForwardedOriginal: "X-Original-"}[dialect]
		rec := w.send(t, s, speaking(dialect), http.MethodGet, "/realms/a/v1/connections?limit=1", "", "Authorization", "Bearer x",
			prefix+"Method", "POST", prefix+"Uri", "/other", prefix+"Proto", "https")
		m := w.legs["a"].last(t).HTTP
		if rec.Code != http.StatusOK || m == nil || m.Method != http.MethodGet || m.RawTarget != "/realms/a/v1/connections?limit=1" || m.Scheme != "http" || m.Host != "gate.internal" {
			t.Errorf("%s: %d %+v", dialect, rec.Code, m)
		}
	}
}

// failing is an audit log that cannot be written.
type failing struct{}

func (failing) Decided(context.Context, audit.Event) error { return audit.ErrUnwritten }

func TestConnectionsDoorAudits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false).withConnections(t)
	d := w.deps()
	var log bytes.Buffer
	l, err := audit.Open(audit.Config{Path: audit.Stdout, Stdout: &log, Refuse: true})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(a Auditor) *httptest.ResponseRecorder {
		d.Audit = a
		s, err := New(Config{Listeners: []Listener{{Name: "main", Address: "127.0.0.1:0"}}}, d)
		if err != nil {
			t.Fatal(err)
		}
		return w.send(t, s, Listener{}, http.MethodPost, "/realms/a/v1/connections", body, "Authorization", "Bearer x")
	}
	if rec := ask(failing{}); rec.Code != http.StatusServiceUnavailable {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	if rec := ask(l); rec.Code != http.StatusCreated {
		t.Errorf("the request that could not be audited was served: %d %s", rec.Code, rec.Body)
	}
	if text := log.String(); !strings.Contains(text, `"event":"decision"`) || !strings.Contains(text, `"principal":"alice"`) {
		t.Errorf("audit log: %s", text)
	}
}
