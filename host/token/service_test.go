package token

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/sdk"
)

const (
	testID     = "client 1%/é" // needs every encoding on its way
	testSecret = "s:e+c r&t"
)

var now = time.Unix(1_800_000_000, 0)

// clients is a directory of one client, alice, and of the principal 8, who is bob and has no secret to present.
type clients struct {
	err     error
	revoked *[]string
	moved   *[]string // realms whose epoch was moved
}

func (c clients) MoveEpoch(_ context.Context, realm string) error {
	if c.err == nil && c.moved != nil {
		*c.moved = append(*c.moved, realm)
	}
	return c.err
}

// alice's newest secret has the version 3.
func (c clients) GetPrincipalByID(_ context.Context, _, id string) (directory.Principal, error) {
	switch {
	case c.err != nil:
		return directory.Principal{}, c.err
	case id == "7":
		return directory.Principal{Realm: "r", ID: "7", Name: "alice", ClientID: testID, SecretVersions: []string{"2", "3"}}, nil
	case id == "8":
		return directory.Principal{Realm: "r", ID: "8", Name: "bob", ClientID: "bob", SecretVersions: []string{"4"}}, nil
	}
	return directory.Principal{}, directory.ErrNotFound
}

func (c clients) RevokeToken(_ context.Context, realm, issuer, tokenID string, until time.Time) error {
	if c.err == nil && c.revoked != nil {
		*c.revoked = append(*c.revoked, fmt.Sprint(realm, " ", issuer, " ", tokenID, " ", until.Unix()))
	}
	return c.err
}

func (c clients) IsRevoked(_ context.Context, realm, issuer, tokenID string) (bool, error) {
	has := func(r string) bool { return strings.HasPrefix(r, fmt.Sprint(realm, " ", issuer, " ", tokenID, " ")) }
	return c.revoked != nil && slices.ContainsFunc(*c.revoked, has), c.err
}

func (c clients) Authenticate(_ context.Context, realm, id, secret string) (directory.Principal, string, error) {
	if c.err != nil {
		return directory.Principal{}, "", c.err
	}
	if realm != "r" || id != testID || secret != testSecret {
		return directory.Principal{}, "", directory.ErrBadCredentials
	}
	return directory.Principal{Realm: realm, ID: "7", Name: "alice", ClientID: testID, SecretVersions: []string{"2", "3"}}, "3", nil
}

// broker issues what change makes of the honest token, and remembers the grant.
type broker struct {
	asked  int
	grant  sdk.Grant
	change func(*sdk.Token)
	err    error
}

func (b *broker) Issue(_ context.Context, g sdk.Grant) (sdk.Token, error) {
	b.grant = g
	b.asked++
	t := sdk.Token{Value: "a.b.c", ID: g.TokenID, Type: "Bearer", Expires: now.Add(time.Hour)}
	if b.change != nil {
		b.change(&t)
	}
	return t, b.err
}

// admit is a plan. It admits with one decision and remembers the credential; tokens it knows by their text.
type admit struct {
	decision pipeline.Decision
	asked    sdk.Credential
	tokens   map[string]pipeline.Decision
}

func (a *admit) DecideOwn(_ context.Context, r sdk.Request) pipeline.Decision {
	if d, ok := a.tokens[r.Token]; ok && r.Scheme == "bearer" {
		return d
	}
	return pipeline.Decision{Verdict: pipeline.Denied, Denial: &sdk.Denial{Reason: "token_not_recognised"}}
}

func (a *admit) Verify(ctx context.Context, r sdk.Request) (sdk.Credential, error) {
	switch d := a.DecideOwn(ctx, r); {
	case d.Credential != nil: // also of a token that is denied
		return *d.Credential, nil
	case d.Denial != nil:
		return sdk.Credential{}, d.Denial
	default:
		return sdk.Credential{}, errors.New("the broker is down")
	}
}

func (a *admit) Admit(_ context.Context, c sdk.Credential) pipeline.Decision {
	a.asked = c
	return a.decision
}

type fixture struct {
	Config
	broker *broker
	admit  *admit
}

func newFixture() *fixture {
	f := &fixture{broker: &broker{}, admit: &admit{decision: pipeline.Decision{Verdict: pipeline.Allowed}}}
	f.Config = Config{
		Realm: "r", Issuer: "https://gate/realms/r", Audience: []string{"aud"}, RolePrefix: "PRINCIPAL_ROLE:",
		ScopeAliases: map[string]string{"catalog": "PRINCIPAL_ROLE:ALL"}, Directory: clients{}, Broker: f.broker, Plan: f.admit, URL: "https://gate/realms/r",
		Now: func() time.Time { return now },
	}
	return f
}

func (f *fixture) service(t *testing.T) *Service {
	t.Helper()
	s, err := New(f.Config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
}

func goodForm() url.Values {
	return url.Values{"grant_type": {"client_credentials"}, "scope": {"PRINCIPAL_ROLE:dev"}, "client_id": {testID}, "client_secret": {testSecret}}
}

func post(body string, header ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/v1/oauth/tokens", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

// do serves one request and checks what every answer has in common.
func do(t *testing.T, s *Service, r *http.Request) (*httptest.ResponseRecorder, map[string]any) {
	t.Helper()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	var body map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatalf("not JSON: %q", w.Body)
	}
	h := w.Header()
	if h.Get("Cache-Control") != "no-store" || h.Get("Pragma") != "no-cache" || h.Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", h)
	}
	return w, body
}

func TestIssue(t *testing.T) {
	f := newFixture()
	s := f.service(t)
	w, body := do(t, s, post(goodForm().Encode()))
	want := map[string]any{"access_token": "a.b.c", "token_type": "Bearer", "expires_in": 3600.0, "scope": "PRINCIPAL_ROLE:dev", "issued_token_type": accessTokenType}
	if w.Code != http.StatusOK || len(body) != len(want) {
		t.Fatalf("%d %v", w.Code, body)
	}
	for k, v := range want {
		if body[k] != v {
			t.Errorf("%s is %v, want %v", k, body[k], v)
		}
	}
	g := f.broker.grant
	if g.Principal != (sdk.PrincipalRef{ID: "7", Name: "alice"}) || g.ClientID != testID || g.Realm != "r" || g.Issuer != "https://gate/realms/r" ||
		!slices.Equal(g.Audience, []string{"aud"}) || len(g.TokenID) != 32 || !g.AuthTime.Equal(now) || g.SecretVersion != "3" {
		t.Errorf("grant %+v", g)
	}
	c := f.admit.asked
	if c.Realm != "r" || c.Source != sdk.SourceInternal || c.Principal != g.Principal || c.SecretVersion != "3" || c.TokenID != g.TokenID ||
		!slices.Equal(c.RequestedRoles, []string{"PRINCIPAL_ROLE:dev"}) || c.Issuer != g.Issuer || !c.Expires.After(now) {
		t.Errorf("admitted %+v", c)
	}
	if _, _ = do(t, s, post(goodForm().Encode())); f.broker.grant.TokenID == g.TokenID {
		t.Error("two tokens have one id")
	}
}

func TestRequests(t *testing.T) {
	without := func(keys ...string) string {
		v := goodForm()
		for _, k := range keys {
			v.Del(k)
		}
		return v.Encode()
	}
	with := func(k, v string) string {
		f := goodForm()
		f.Set(k, v)
		return f.Encode()
	}
	noCredentials := without("client_id", "client_secret")
	good := basic(testID, testSecret)
	tests := []struct {
		name   string
		r      *http.Request
		status int
		code   string // error code, empty for success
	}{
		{"body", post(goodForm().Encode()), 200, ""},
		{"basic", post(noCredentials, "Authorization", good), 200, ""},
		{"basic scheme in another case", post(noCredentials, "Authorization", "bAsIc"+good[5:]), 200, ""},
		{"basic and the same client_id", post(without("client_secret"), "Authorization", good), 200, ""},
		{"a bearer token beside credentials in the body", post(goodForm().Encode(), "Authorization", "Bearer x"), 200, ""},
		{"charset", func() *http.Request {
			r := post(goodForm().Encode())
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
			return r
		}(), 200, ""},
		{"unknown parameters are ignored", post(with("extra", "1")), 200, ""},

		{"basic and body", post(goodForm().Encode(), "Authorization", good), 400, CodeInvalidRequest},
		{"basic and another client_id", post("grant_type=client_credentials&client_id=x", "Authorization", good), 400, CodeInvalidRequest},
		{"two headers", post(noCredentials, "Authorization", good, "Authorization", good), 400, CodeInvalidRequest},
		{"basic not percent-encoded", post(noCredentials, "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(testID+":"+testSecret))), 401, CodeInvalidClient},
		{"basic not base64", post(noCredentials, "Authorization", "Basic ???"), 401, CodeInvalidClient},
		{"basic without colon", post(noCredentials, "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("x"))), 401, CodeInvalidClient},
		{"basic wrong secret", post(noCredentials, "Authorization", basic(testID, "x")), 401, CodeInvalidClient},
		{"bearer only", post(noCredentials, "Authorization", "Bearer x"), 401, CodeInvalidClient},
		{"no credentials", post(noCredentials), 401, CodeInvalidClient},
		{"credential without a colon", post(without("client_id")), 400, CodeInvalidRequest},
		{"empty client_id is none", post(with("client_id", "")), 400, CodeInvalidRequest},
		{"no secret", post(without("client_secret")), 401, CodeInvalidClient},
		{"wrong secret", post(with("client_secret", "x")), 401, CodeInvalidClient},
		{"unknown client", post(with("client_id", "x")), 401, CodeInvalidClient},

		{"no grant type", post(without("grant_type")), 400, CodeInvalidRequest},
		{"another grant type", post(with("grant_type", "password")), 400, CodeUnsupportedGrantType},
		{"a parameter twice", post(goodForm().Encode() + "&scope=x"), 400, CodeInvalidRequest},
		{"not UTF-8", post(goodForm().Encode() + "&x=%ff"), 400, CodeInvalidRequest},
		{"not a form", post("%zz"), 400, CodeInvalidRequest},
		{"semicolons", post("grant_type=client_credentials;scope=x"), 400, CodeInvalidRequest},
		{"too large", post(with("extra", strings.Repeat("x", maxForm))), 400, CodeInvalidRequest},
		{"query", func() *http.Request {
			r := post(goodForm().Encode())
			r.URL.RawQuery = "scope=x"
			return r
		}(), 400, CodeInvalidRequest},
		{"JSON", func() *http.Request { r := post(`{}`); r.Header.Set("Content-Type", "application/json"); return r }(), 400, CodeInvalidRequest},
		{"compressed", post(goodForm().Encode(), "Content-Encoding", "gzip"), 400, CodeInvalidRequest},
		{"GET", httptest.NewRequest(http.MethodGet, "/", nil), 405, CodeInvalidRequest},

		{"no scope", post(without("scope")), 400, CodeInvalidScope},
		{"alias", post(with("scope", "catalog")), 200, ""},
		{"scope without prefix", post(with("scope", "dev")), 400, CodeInvalidScope},
		{"scope with a bare prefix", post(with("scope", "PRINCIPAL_ROLE:")), 400, CodeInvalidScope},
		{"one bad item", post(with("scope", "PRINCIPAL_ROLE:dev openid")), 400, CodeInvalidScope},
		{"a quote in the scope", post(with("scope", `PRINCIPAL_ROLE:"x`)), 400, CodeInvalidScope},
		{"a tab in the scope", post(with("scope", "PRINCIPAL_ROLE:a\tPRINCIPAL_ROLE:b")), 400, CodeInvalidScope},
		{"scope too long", post(with("scope", "PRINCIPAL_ROLE:"+strings.Repeat("x", maxScope))), 400, CodeInvalidScope},
	}
	s := newFixture().service(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, body := do(t, s, tt.r)
			got, _ := body["error"].(string)
			if w.Code != tt.status || got != tt.code {
				t.Errorf("%d %v, want %d %q", w.Code, body, tt.status, tt.code)
			}
			challenge := w.Header().Get("WWW-Authenticate")
			if want := `Basic realm="r", charset="UTF-8"`; tt.status == 401 && challenge != want || tt.status != 401 && challenge != "" {
				t.Errorf("challenge %q", challenge)
			}
			if strings.Contains(w.Body.String(), testSecret) {
				t.Error("the answer repeats the secret")
			}
			if w.Code == 405 && w.Header().Get("Allow") != http.MethodPost {
				t.Error("405 without Allow")
			}
		})
	}
}

// Neither text nor status tells an unknown client from a wrong secret or a principal that may not enter.
func TestBadClientsLookAlike(t *testing.T) {
	f := newFixture()
	seen := map[string]bool{}
	for _, change := range []func(url.Values){
		func(v url.Values) { v.Set("client_id", "nobody") },
		func(v url.Values) { v.Set("client_secret", "wrong") },
		func(url.Values) {
			f.admit.decision = pipeline.Decision{Verdict: pipeline.Denied, Denial: &sdk.Denial{Reason: "principal_disabled", Forbidden: true}}
		},
		func(url.Values) {
			f.admit.decision = pipeline.Decision{Verdict: pipeline.Denied, Denial: &sdk.Denial{Reason: "token_revoked"}}
		},
	} {
		v := goodForm()
		change(v)
		w, _ := do(t, f.service(t), post(v.Encode()))
		seen[w.Result().Status+w.Body.String()] = true
	}
	if len(seen) != 1 {
		t.Errorf("the answers differ: %v", seen)
	}
}

func TestScope(t *testing.T) {
	f := newFixture()
	f.DefaultScope = "catalog PRINCIPAL_ROLE:dev"
	f.ScopeAliases["both"] = "PRINCIPAL_ROLE:a PRINCIPAL_ROLE:b"
	s := f.service(t)
	for scope, want := range map[string]string{
		"":  "PRINCIPAL_ROLE:ALL PRINCIPAL_ROLE:dev",
		" ": "PRINCIPAL_ROLE:ALL PRINCIPAL_ROLE:dev",
		"PRINCIPAL_ROLE:b both  PRINCIPAL_ROLE:b": "PRINCIPAL_ROLE:b PRINCIPAL_ROLE:a",
	} {
		v := goodForm()
		v.Set("scope", scope)
		if _, body := do(t, s, post(v.Encode())); body["scope"] != want || strings.Join(f.broker.grant.Scope, " ") != want {
			t.Errorf("%q: %v, want %q", scope, body, want)
		}
	}
}

// A scope stands in the answer as it is, not as a web page would have it.
func TestNoHTMLEscapes(t *testing.T) {
	v := goodForm()
	v.Set("scope", "PRINCIPAL_ROLE:r&d")
	if w, _ := do(t, newFixture().service(t), post(v.Encode())); !strings.Contains(w.Body.String(), `"PRINCIPAL_ROLE:r&d"`) {
		t.Errorf("%s", w.Body)
	}
}

func TestVerdicts(t *testing.T) {
	fault := errors.New("key file /etc/key is gone")
	tests := []struct {
		name   string
		change func(*fixture)
		status int
		code   string
	}{
		{"role not granted", func(f *fixture) {
			f.admit.decision = pipeline.Decision{Verdict: pipeline.Denied, Denial: &sdk.Denial{Reason: "role_not_granted", Forbidden: true}}
		}, 400, CodeInvalidScope},
		{"another no", func(f *fixture) {
			f.admit.decision = pipeline.Decision{Verdict: pipeline.Denied, Denial: &sdk.Denial{Reason: "outside_hours", Forbidden: true}}
		}, 400, CodeUnauthorizedClient},
		{"plan is down", func(f *fixture) { f.admit.decision = pipeline.Decision{Err: fault} }, 503, ""},
		{"plan gives no reason", func(f *fixture) { f.admit.decision = pipeline.Decision{} }, 503, ""},
		{"directory is down", func(f *fixture) { f.Directory = clients{err: fault} }, 503, ""},
		{"broker is down", func(f *fixture) { f.broker.err = fault }, 503, ""},
		{"empty token", func(f *fixture) { f.broker.change = func(t *sdk.Token) { t.Value = "" } }, 503, ""},
		{"token with a line break", func(f *fixture) { f.broker.change = func(t *sdk.Token) { t.Value = "a\r\nb" } }, 503, ""},
		{"token of another id", func(f *fixture) { f.broker.change = func(t *sdk.Token) { t.ID = "other" } }, 503, ""},
		{"expired token", func(f *fixture) { f.broker.change = func(t *sdk.Token) { t.Expires = now } }, 503, ""},
		{"eternal token", func(f *fixture) { f.broker.change = func(t *sdk.Token) { t.Expires = time.Time{} } }, 503, ""},
		{"longer than asked", func(f *fixture) { f.MaxSession = 30 * time.Minute }, 503, ""},
		{"longer than the session", func(f *fixture) { f.MaxSession = 30 * time.Minute }, 503, ""},
		{"shorter than asked", func(f *fixture) { f.MaxSession = 2 * time.Hour }, 200, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture()
			tt.change(f)
			w, body := do(t, f.service(t), post(goodForm().Encode()))
			got, _ := body["error"].(string)
			if w.Code != tt.status || got != tt.code {
				t.Fatalf("%d %v, want %d %q", w.Code, body, tt.status, tt.code)
			}
			if tt.status == 503 && (w.Header().Get("Retry-After") == "" || strings.Contains(w.Body.String(), "etc")) {
				t.Errorf("%v %s", w.Header(), w.Body)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no URL":                func(c *Config) { c.URL = "" },
		"no plan":               func(c *Config) { c.Plan = nil },
		"negative session":      func(c *Config) { c.MaxSession = -1 },
		"no realm":              func(c *Config) { c.Realm = "" },
		"no audience":           func(c *Config) { c.Audience = nil },
		"no broker":             func(c *Config) { c.Broker = nil },
		"a prefix with a space": func(c *Config) { c.RolePrefix = "a b" },
		"default not a role":    func(c *Config) { c.DefaultScope = "openid" },
		"alias not to a role":   func(c *Config) { c.ScopeAliases = map[string]string{"x": "openid"} },
		"alias to an alias":     func(c *Config) { c.ScopeAliases = map[string]string{"x": "y", "y": "PRINCIPAL_ROLE:z"} },
		"alias to nothing":      func(c *Config) { c.ScopeAliases = map[string]string{"x": " "} },
		"alias with a space":    func(c *Config) { c.ScopeAliases = map[string]string{"x y": "PRINCIPAL_ROLE:z"} },
	} {
		c := newFixture().Config
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A client that others wrote: it tries Basic first, or is told to use the body.
func TestRealClient(t *testing.T) {
	f := newFixture()
	f.Now, f.broker.change = time.Now, func(t *sdk.Token) { t.Expires = time.Now().Add(time.Hour) }
	srv := httptest.NewServer(f.service(t))
	defer srv.Close()
	for _, style := range []oauth2.AuthStyle{oauth2.AuthStyleAutoDetect, oauth2.AuthStyleInHeader, oauth2.AuthStyleInParams} {
		c := clientcredentials.Config{ClientID: testID, ClientSecret: testSecret, TokenURL: srv.URL, Scopes: []string{"PRINCIPAL_ROLE:a", "PRINCIPAL_ROLE:b"}, AuthStyle: style}
		tok, err := c.Token(t.Context())
		if err != nil || !tok.Valid() || tok.AccessToken != "a.b.c" || tok.Extra("scope") != "PRINCIPAL_ROLE:a PRINCIPAL_ROLE:b" {
			t.Errorf("style %v: %v %v", style, tok, err)
		}
		c.ClientSecret = "wrong"
		_, err = c.Token(t.Context())
		var re *oauth2.RetrieveError
		if !errors.As(err, &re) || re.ErrorCode != CodeInvalidClient {
			t.Errorf("style %v with a wrong secret: %v", style, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(goodForm().Encode(), basic("a", "b"))
	f.Add("grant_type=client_credentials", "Basic Og==")
	f.Fuzz(func(t *testing.T, body, authorization string) {
		r := &http.Request{URL: &url.URL{}, Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Authorization": {authorization}}, Body: io.NopCloser(strings.NewReader(body))}
		got, fault := parse(r)
		exchange := got.grantType == grantTokenExchange && got.subjectToken != "" && (got.client.hasSecret() || got.client.bearer != "")
		if fault == nil && !exchange && (!got.client.hasSecret() || got.grantType != grantClientCredentials) {
			t.Errorf("accepted %+v", got)
		}
	})
}

// A client is named in the log once it is known; until then what was sent as its id may be a secret.
func TestLoggedClient(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*fixture, url.Values)
		want   string
	}{
		{"issued", func(*fixture, url.Values) {}, "client_id=\"client 1%/?\""},
		{"known, without a scope", func(_ *fixture, v url.Values) { v.Del("scope") }, "client_id=\"client 1%/?\""},
		{"known, broker down", func(f *fixture, _ url.Values) { f.broker.err = errors.New("down") }, "client_id=\"client 1%/?\""},
		{"wrong secret", func(_ *fixture, v url.Values) { v.Set("client_secret", "x") }, "client_id=[other]"},
		{"directory down", func(f *fixture, _ url.Values) { f.Directory = clients{err: errors.New("down")} }, "client_id=[other]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			f, v := newFixture(), goodForm()
			f.Logger = hclog.New(&hclog.LoggerOptions{Output: &log})
			tt.change(f, v)
			do(t, f.service(t), post(v.Encode()))
			if !strings.Contains(log.String(), tt.want) {
				t.Errorf("%s: no %s", &log, tt.want)
			}
		})
	}
}
