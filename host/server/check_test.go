package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/sdk"
)

const check = "/realms/a/v1/check"

func TestAllow(t *testing.T) {
	w := newWorld(t, false)
	rec := w.ask(t, Listener{}, check, "Authorization", "bEaReR tok.en")
	want := map[string]string{principalHeader: "alice", principalIDHeader: "1", rolesHeaderName: "dev,ops", realmHeaderName: "a"}
	for k, v := range want {
		if got := rec.Header()[k]; len(got) != 1 || got[0] != v {
			t.Errorf("%s: %q, want %q", k, got, v)
		}
	}
	var body map[string]any
	_ = json.Unmarshal(rec.Body.Bytes(), &body)
	if rec.Code != 200 || body["realm"] != "a" || body["tenant"] != "idp" || body["source"] != "external" || body["expires_at"] == nil ||
		body["request_id"] != rec.Header().Get("X-Request-Id") || !reflect.DeepEqual(body["roles"], []any{"dev", "ops"}) {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	req := w.legs["a"].last(t)
	if req.Realm != "a" || req.Scheme != "bearer" || req.Token != "tok.en" || req.Peer != "192.0.2.1:1234" || req.HTTP != nil || req.PeerCertificate != nil {
		t.Errorf("the plan was asked %+v", req)
	}
}

// No name can end a header, forge another one, or be taken for a list.
func TestNamesCannotForge(t *testing.T) {
	w := newWorld(t, false)
	w.legs["a"].act = func(_ context.Context, s *sdk.State) error {
		s.Principal.Name, s.Principal.ID = "a\r\nX-Evil: 1", "é/%2C,\x00"
		s.Principal.Roles = []string{"a,b", "c\r\nRealmgate-Realm: b", "Z"}
		s.Active = s.Principal.Roles
		return nil
	}
	rec := w.ask(t, Listener{}, check, "Authorization", "Bearer x",
		principalHeader, "mallory", "Realmgate_Principal", "mallory", "X_Auth_Principal", "mallory", "realmgate-roles", "admin")
	want := map[string]string{
		principalHeader: "a%0D%0AX-Evil%3A%201", principalIDHeader: "%C3%A9%2F%252C%2C%00", realmHeaderName: "a",
		rolesHeaderName: "Z,a%2Cb,c%0D%0ARealmgate-Realm%3A%20b",
	}
	for k, v := range want {
		if got := rec.Header()[k]; len(got) != 1 || got[0] != v {
			t.Errorf("%s: %q, want %q", k, got, v)
		}
	}
	for k, v := range rec.Header() {
		if strings.Contains(strings.Join(v, ""), "mallory") {
			t.Errorf("%s reflects the request: %q", k, v)
		}
	}
}

// A name stands in the body as it is, not as a web page would have it.
func TestNoHTMLEscapes(t *testing.T) {
	w := newWorld(t, false)
	w.legs["a"].act = func(_ context.Context, s *sdk.State) error {
		s.Principal.Name = "<a&b>"
		return nil
	}
	if rec := w.ask(t, Listener{}, check, "Authorization", "Bearer x"); !strings.Contains(rec.Body.String(), `"<a&b>"`) {
		t.Errorf("%s", rec.Body)
	}
}

func TestEmptyRolesAreStillSet(t *testing.T) {
	w := newWorld(t, false)
	w.legs["a"].act = func(_ context.Context, s *sdk.State) error {
		s.Active, s.Principal.Name = []string{}, ""
		return nil
	}
	rec := w.ask(t, Listener{}, check, "Authorization", "Bearer x")
	for _, k := range []string{principalHeader, rolesHeaderName} {
		if got, ok := rec.Header()[k]; !ok || len(got) != 1 || got[0] != "" {
			t.Errorf("%s is not set: %q", k, rec.Header())
		}
	}
}

func TestCredential(t *testing.T) {
	long := strings.Repeat("x", maxToken)
	tests := []struct {
		name    string
		headers []string
		status  int
		reason  string
		asked   bool
	}{
		{"none", nil, 401, "credential_missing", false},
		{"two", []string{"Bearer x", "Bearer x"}, 400, "request_malformed", false},
		{"empty", []string{""}, 401, "token_malformed", false},
		{"scheme only", []string{"Bearer"}, 401, "token_malformed", false},
		{"no token", []string{"Bearer  "}, 401, "token_malformed", false},
		{"inner space", []string{"Bearer a b"}, 401, "token_malformed", false},
		{"quotes", []string{`Bearer "a"`}, 401, "token_malformed", false},
		{"equals first", []string{`Bearer =a`}, 401, "token_malformed", false},
		{"only equals", []string{`Bearer ===`}, 401, "token_malformed", false},
		{"not ASCII", []string{"Bearer é"}, 401, "token_malformed", false},
		{"list", []string{"Bearer a,Bearer b"}, 401, "token_malformed", false},
		{"odd scheme", []string{"Bea/rer a"}, 401, "token_malformed", false},
		{"as long as may be", []string{"Bearer " + long}, 200, "", true},
		{"too long", []string{"Bearer " + long + "x"}, 401, "token_too_large", false},
		{"padding", []string{"Bearer a=="}, 200, "", true},
		{"spaces before the token", []string{"Bearer   a"}, 200, "", true},
		{"a megabyte of dots", []string{"Bearer " + strings.Repeat(".", 1<<20)}, 401, "token_too_large", false},
		{"parameters of another scheme", []string{"AWS4-HMAC-SHA256 Credential=a/b, Signature=c"}, 200, "", true},
		{"a scheme that the realm does not take", []string{"Basic YTpi"}, 401, "token_not_recognised", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, false)
			var header []string
			for _, h := range tt.headers {
				header = append(header, "Authorization", h)
			}
			rec := w.ask(t, Listener{}, check, header...)
			if rec.Code != tt.status || rec.Header().Get(reasonHeader) != tt.reason {
				t.Errorf("%d %q, want %d %q", rec.Code, rec.Header().Get(reasonHeader), tt.status, tt.reason)
			}
			if asked := w.legs["a"].count() > 0; asked != tt.asked {
				t.Errorf("the plan was asked: %v", asked)
			}
			if rec.Code != 200 && rec.Header().Get(principalHeader) != "" {
				t.Error("a refusal names a principal")
			}
		})
	}
}

func TestDenials(t *testing.T) {
	evil := &sdk.Denial{Reason: "Evil\r\n\"reason", Detail: "x\r\nSet-Cookie: y\x00" + strings.Repeat("é", 300), Challenge: []sdk.Header{
		{Name: "WWW-Authenticate", Value: "DPoP algs=\"ES256\""}, {Name: "www-authenticate", Value: "a\r\nX-Evil: 1"},
		{Name: principalHeader, Value: "root"}, {Name: "Set-Cookie", Value: "a=b"}, {Name: "www-authenticate", Value: strings.Repeat("x", maxChallenge+1)},
	}}
	tests := []struct {
		name      string
		err       error
		status    int
		reason    string
		challenge []string
	}{
		{"401", sdk.Deny("token_expired", "the token has expired"), 401, "token_expired",
			[]string{`Bearer realm="a", error="invalid_token", error_description="token_expired"`}},
		{"403", sdk.Forbid("principal_disabled", "no"), 403, "principal_disabled", nil},
		{"role", sdk.Forbid("role_not_granted", "no"), 403, "role_not_granted",
			[]string{`Bearer realm="a", error="insufficient_scope", error_description="role_not_granted"`}},
		{"an evil plugin", evil, 401, "vilreason",
			[]string{`Bearer realm="a", error="invalid_token", error_description="vilreason"`, `DPoP algs="ES256"`}},
		{"no reason", &sdk.Denial{Reason: "\x00", Forbidden: true}, 403, "denied", nil},
		{"fault", errors.New("dial tcp 10.0.0.7: refused"), 503, "unavailable", nil},
		{"panic", nil, 503, "unavailable", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, false)
			w.legs["a"].act = func(context.Context, *sdk.State) error {
				if tt.err == nil {
					panic("a leg")
				}
				return tt.err
			}
			rec := w.ask(t, Listener{}, check, "Authorization", "Bearer x")
			if rec.Code != tt.status || rec.Header().Get(reasonHeader) != tt.reason || !reflect.DeepEqual(rec.Header()["Www-Authenticate"], tt.challenge) {
				t.Errorf("%d %v", rec.Code, rec.Header())
			}
			var b refusalBody
			if err := json.Unmarshal(rec.Body.Bytes(), &b); err != nil || b.Error.Reason != tt.reason || b.Error.RequestID == "" || len(b.Error.Message) > maxDetail || strings.ContainsAny(b.Error.Message, "\r\n\x00\ufffd") {
				t.Errorf("%s", rec.Body)
			}
			if tt.status == 503 && (rec.Header().Get("Retry-After") != "1" || strings.Contains(rec.Body.String(), "10.0.0.7")) {
				t.Errorf("%v %s", rec.Header(), rec.Body)
			}
			for _, k := range []string{"Set-Cookie", "X-Evil", principalHeader} {
				if rec.Header().Get(k) != "" {
					t.Errorf("a plugin set %s", k)
				}
			}
		})
	}
}

func TestTooManyRolesForAHeader(t *testing.T) {
	w := newWorld(t, false)
	w.legs["a"].act = func(_ context.Context, s *sdk.State) error {
		s.Active = []string{strings.Repeat("x", maxRolesHeader+1)}
		s.Principal.Roles = s.Active
		return nil
	}
	if rec := w.ask(t, Listener{}, check, "Authorization", "Bearer x"); rec.Code != 503 {
		t.Errorf("%d", rec.Code)
	}
}

func TestForeignDecisionIsNotAnswered(t *testing.T) {
	if d := sane("a", pipeline.Decision{Verdict: pipeline.Allowed, Realm: "b"}); d.Verdict != pipeline.Unavailable || d.Err == nil {
		t.Errorf("%+v", d)
	}
}

func TestAnyMethod(t *testing.T) {
	w := newWorld(t, false)
	h := w.server(t, Config{}).Handler(Listener{})
	for _, m := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"} {
		r := httptest.NewRequest(m, check, strings.NewReader("body"))
		r.Header.Set("Authorization", "Bearer x")
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if rec.Code != http.StatusOK {
			t.Errorf("%s: %d", m, rec.Code)
		}
	}
}

// A realm whose stages read the request itself is asked without an Authorization header, too: the proof may stand elsewhere.
func TestNoHeaderButNeedsHTTP(t *testing.T) {
	w := newWorld(t, true)
	if rec := w.ask(t, Listener{}, check+"?X-Amz-Signature=1"); rec.Code != 200 || w.legs["a"].last(t).Scheme != "" {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	w.legs["a"].act = func(context.Context, *sdk.State) error { return sdk.NotMine() }
	if rec := w.ask(t, Listener{}, check); rec.Header().Get(reasonHeader) != "credential_missing" {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}
