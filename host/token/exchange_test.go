package token

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/sdk"
)

// session is that of alice's tokens.
const session = "0123456789abcdef0123456789abcdef"

// held is a decision on a token of alice's that she got an hour ago, changed by what a test wants.
func held(change func(*pipeline.Decision)) pipeline.Decision {
	d := pipeline.Decision{
		Verdict: pipeline.Allowed, Realm: "r", Source: sdk.SourceInternal, Principal: sdk.Principal{Realm: "r", ID: "7", Name: "alice"},
		Credential: &sdk.Credential{
			Realm: "r", Issuer: "https://gate/realms/r", Audience: []string{"aud"}, TokenID: session + "." + session, Principal: sdk.PrincipalRef{ID: "7", Name: "alice"},
			RequestedRoles: []string{"PRINCIPAL_ROLE:a", "PRINCIPAL_ROLE:b"}, SecretVersion: "3", AuthTime: now.Add(-time.Hour), Expires: now.Add(time.Minute),
		},
	}
	if change != nil {
		change(&d)
	}
	return d
}

func denied(reason string) pipeline.Decision {
	return pipeline.Decision{Verdict: pipeline.Denied, Denial: &sdk.Denial{Reason: reason}}
}

// newExchange knows the tokens that the tests present.
func newExchange() *fixture {
	f := newFixture()
	scope := func(items ...string) pipeline.Decision {
		return held(func(d *pipeline.Decision) { d.Credential.RequestedRoles = items })
	}
	auth := func(t time.Time) pipeline.Decision {
		return held(func(d *pipeline.Decision) { d.Credential.AuthTime = t })
	}
	version := func(v string) pipeline.Decision {
		return held(func(d *pipeline.Decision) { d.Credential.SecretVersion = v })
	}
	f.admit.tokens = map[string]pipeline.Decision{
		"good": held(nil), "all": scope("PRINCIPAL_ROLE:ALL"), "bare": scope(), "other": held(nil),
		"rotated": version("2"), "unversioned": version(""),
		"ending": auth(now.Add(-12*time.Hour + 90*time.Second)), "over": auth(now.Add(-12 * time.Hour)), "nearly": auth(now.Add(-12*time.Hour + time.Second)),
		"timeless": auth(time.Time{}), "ahead": auth(now.Add(time.Minute)),
		"bobs": held(func(d *pipeline.Decision) {
			d.Principal.ID, d.Principal.Name, d.Credential.SecretVersion = "8", "bob", "4"
		}),
		"bobs-over": held(func(d *pipeline.Decision) { d.Principal.ID, d.Credential.AuthTime = "8", now.Add(-13*time.Hour) }),
		"gone":      held(func(d *pipeline.Decision) { d.Principal.ID = "9" }),
		"down":      {Err: errors.New("plugin /etc/key is down")}, "lying": held(func(d *pipeline.Decision) { d.Credential = nil }),
		"expired": denied("token_expired"), "revoked": denied("token_revoked"), "unreasoned": denied(""),
		"disabled": {Verdict: pipeline.Denied, Denial: &sdk.Denial{Reason: "principal_disabled", Forbidden: true}},
	}
	return f
}

func exchangeForm(subject string, more ...string) url.Values {
	v := url.Values{"grant_type": {grantTokenExchange}, "subject_token": {subject}, "subject_token_type": {accessTokenType}}
	for i := 0; i < len(more); i += 2 {
		if v.Set(more[i], more[i+1]); more[i+1] == "" {
			v.Del(more[i])
		}
	}
	return v
}

func withMany(v url.Values) url.Values {
	v["resource"], v["audience"] = []string{"https://a", "https://b"}, []string{"a", "b"}
	return v
}

func withEmpty(v url.Values) url.Values {
	for _, name := range []string{"actor_token", "actor_token_type", "client_id", "client_secret", "scope", "requested_token_type"} {
		v[name] = []string{""}
	}
	return v
}

func TestExchange(t *testing.T) {
	f := newExchange()
	w, body := do(t, f.service(t), post(exchangeForm("good").Encode(), "Authorization", "Bearer good"))
	if w.Code != http.StatusOK || body["issued_token_type"] != accessTokenType || body["token_type"] != "Bearer" || body["scope"] != "PRINCIPAL_ROLE:a PRINCIPAL_ROLE:b" || body["expires_in"] != 3600.0 {
		t.Fatalf("%d %v", w.Code, body)
	}
	g := f.broker.grant
	if g.Principal != (sdk.PrincipalRef{ID: "7", Name: "alice"}) || g.ClientID != testID || g.Realm != "r" || g.SecretVersion != "3" || !g.AuthTime.Equal(now.Add(-time.Hour)) ||
		g.Lifetime != 11*time.Hour-brokersTime || !strings.HasPrefix(g.TokenID, session+".") || len(g.TokenID) != 65 || !slices.Equal(g.Scope, []string{"PRINCIPAL_ROLE:a", "PRINCIPAL_ROLE:b"}) {
		t.Errorf("grant %+v", g)
	}
	if c := f.admit.asked; c.SecretVersion != "3" || !c.AuthTime.Equal(g.AuthTime) || c.Principal != g.Principal || !slices.Equal(c.RequestedRoles, g.Scope) {
		t.Errorf("admitted %+v", c)
	}
}

func TestExchangeRequests(t *testing.T) {
	good, wrong := basic(testID, testSecret), basic(testID, "x")
	bearer := func(token string) []string { return []string{"Authorization", "Bearer " + token} }
	tests := []struct {
		name      string
		form      url.Values
		header    []string
		status    int
		code      string
		challenge string // its scheme
	}{
		{"bearer", exchangeForm("good"), bearer("good"), 200, "", ""},
		{"bearer, another token of the principal", exchangeForm("good"), bearer("other"), 200, "", ""},
		{"bearer, its own client_id", exchangeForm("good", "client_id", testID), bearer("good"), 200, "", ""},
		{"basic", exchangeForm("good"), []string{"Authorization", good}, 200, "", ""},
		{"body", exchangeForm("good", "client_id", testID, "client_secret", testSecret), nil, 200, "", ""},
		{"body beside bearer", exchangeForm("good", "client_id", testID, "client_secret", testSecret), bearer("junk"), 200, "", ""},
		{"requested type", exchangeForm("good", "requested_token_type", accessTokenType), bearer("good"), 200, "", ""},
		{"basic, expired", exchangeForm("expired", "scope", "PRINCIPAL_ROLE:a"), []string{"Authorization", good}, 200, "", ""},
		{"basic, expired, no scope", exchangeForm("expired"), []string{"Authorization", good}, 400, CodeInvalidScope, ""},
		{"basic, session over, wider", exchangeForm("over", "scope", "PRINCIPAL_ROLE:c"), []string{"Authorization", good}, 400, CodeInvalidScope, ""},
		{"basic, session over", exchangeForm("over", "scope", "PRINCIPAL_ROLE:a"), []string{"Authorization", good}, 200, "", ""},

		{"resources and audiences", withMany(exchangeForm("good")), bearer("good"), 200, "", ""},
		{"parameters without a value", withEmpty(exchangeForm("good")), bearer("good"), 200, "", ""},

		{"no client", exchangeForm("good"), nil, 401, CodeInvalidClient, "Basic"},
		{"client_id only", exchangeForm("good", "client_id", testID), nil, 401, CodeInvalidClient, "Basic"},
		{"secret only", exchangeForm("good", "client_secret", testSecret), bearer("good"), 400, CodeInvalidRequest, ""},
		{"wrong secret", exchangeForm("good"), []string{"Authorization", wrong}, 401, CodeInvalidClient, "Basic"},
		{"wrong secret, expired", exchangeForm("expired", "scope", "PRINCIPAL_ROLE:a"), []string{"Authorization", wrong}, 401, CodeInvalidClient, "Basic"},
		{"another client_id", exchangeForm("good", "client_id", "bob"), bearer("good"), 400, CodeInvalidRequest, ""},
		{"bearer of another principal", exchangeForm("good"), bearer("bobs"), 400, CodeInvalidRequest, ""},
		{"bearer revoked", exchangeForm("good"), bearer("revoked"), 401, CodeInvalidClient, "Bearer"},
		{"bearer no token", exchangeForm("good"), bearer("a b"), 401, CodeInvalidClient, "Bearer"},
		{"bearer expired", exchangeForm("expired"), bearer("expired"), 400, CodeInvalidRequest, ""},
		{"subject of another principal", exchangeForm("bobs"), []string{"Authorization", good}, 400, CodeInvalidRequest, ""},
		{"session over, of another principal", exchangeForm("bobs-over", "scope", "PRINCIPAL_ROLE:a"), []string{"Authorization", good}, 400, CodeInvalidRequest, ""},

		{"revoked", exchangeForm("revoked"), bearer("revoked"), 400, CodeInvalidRequest, ""},
		{"revoked, by basic", exchangeForm("revoked"), []string{"Authorization", good}, 400, CodeInvalidRequest, ""},
		{"disabled", exchangeForm("disabled"), bearer("disabled"), 400, CodeInvalidRequest, ""},
		{"deleted", exchangeForm("gone"), bearer("gone"), 400, CodeInvalidRequest, ""},
		{"secret rotated", exchangeForm("rotated"), bearer("rotated"), 400, CodeInvalidRequest, ""},
		{"secret rotated, by basic", exchangeForm("rotated"), []string{"Authorization", good}, 400, CodeInvalidRequest, ""},
		{"no secret version", exchangeForm("unversioned"), bearer("unversioned"), 400, CodeInvalidRequest, ""},
		{"unknown", exchangeForm("junk"), bearer("junk"), 400, CodeInvalidRequest, ""},
		{"not a token", exchangeForm("a b"), []string{"Authorization", good}, 400, CodeInvalidRequest, ""},
		{"no time of authentication", exchangeForm("timeless"), bearer("timeless"), 400, CodeInvalidRequest, ""},
		{"session over", exchangeForm("over"), bearer("over"), 400, CodeInvalidRequest, ""},
		{"session nearly over", exchangeForm("nearly"), bearer("nearly"), 400, CodeInvalidRequest, ""},
		{"we are down", exchangeForm("down"), bearer("down"), 503, "", ""},
		{"a plan that lies", exchangeForm("lying"), bearer("lying"), 503, "", ""},

		{"no subject", exchangeForm("good", "subject_token", ""), bearer("good"), 400, CodeInvalidRequest, ""},
		{"no type", exchangeForm("good", "subject_token_type", ""), bearer("good"), 400, CodeInvalidRequest, ""},
		{"an id token", exchangeForm("good", "subject_token_type", "urn:ietf:params:oauth:token-type:id_token"), bearer("good"), 400, CodeInvalidRequest, ""},
		{"a refresh token wanted", exchangeForm("good", "requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token"), bearer("good"), 400, CodeInvalidRequest, ""},
		{"an actor", exchangeForm("good", "actor_token", "x"), bearer("good"), 400, CodeInvalidRequest, ""},
		{"an actor's type", exchangeForm("good", "actor_token_type", accessTokenType), bearer("good"), 400, CodeInvalidRequest, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newExchange()
			w, body := do(t, f.service(t), post(tt.form.Encode(), tt.header...))
			if got, _ := body["error"].(string); w.Code != tt.status || got != tt.code {
				t.Errorf("%d %v, want %d %q", w.Code, body, tt.status, tt.code)
			}
			if scheme, _, _ := strings.Cut(w.Header().Get("WWW-Authenticate"), " "); scheme != tt.challenge {
				t.Errorf("challenge %q, want %q", w.Header().Get("WWW-Authenticate"), tt.challenge)
			}
			if (f.broker.asked > 0) != (tt.status == 200) {
				t.Errorf("the broker was asked %d times", f.broker.asked)
			}
			if strings.Contains(w.Body.String(), "etc") {
				t.Error("the answer says what is wrong with us")
			}
		})
	}
}

// jwtOf is a token whose claims can be read.
func jwtOf(claims string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
}

// Basic with an expired token begins a session, with no wider scope than the token had.
func TestExpiredSubjectIsClientCredentials(t *testing.T) {
	const a, b = "PRINCIPAL_ROLE:a", "PRINCIPAL_ROLE:a PRINCIPAL_ROLE:b"
	for _, tt := range []struct{ name, subject, scope, want, code string }{
		{"opaque", "expired", "PRINCIPAL_ROLE:z", "PRINCIPAL_ROLE:z", ""},
		{"its own scope", jwtOf(`{"sub":"7","scope":"` + b + `"}`), "", b, ""},
		{"less", jwtOf(`{"sub":"7","scope":"` + b + `"}`), a, a, ""},
		{"more", jwtOf(`{"sub":"7","scope":"` + b + `"}`), "PRINCIPAL_ROLE:z", "", CodeInvalidScope},
		{"all for some", jwtOf(`{"sub":"7","scope":"` + b + `"}`), "catalog", "", CodeInvalidScope},
		{"some of all", jwtOf(`{"sub":"7","scope":"PRINCIPAL_ROLE:ALL"}`), a, a, ""},
		{"of another principal", jwtOf(`{"sub":"8","scope":"` + b + `"}`), a, "", CodeInvalidRequest},
		{"of another principal, without a scope", jwtOf(`{"sub":"8"}`), a, "", CodeInvalidRequest},
		{"no scope in it", jwtOf(`{"sub":"7"}`), a, a, ""},
		{"no JSON in it", jwtOf(`{`), a, a, ""},
		{"an item that is no role", jwtOf(`{"sub":"7","scope":"admin"}`), "", "", CodeInvalidScope},
		{"key retired", jwtOf(`{"iss":"https://gate/realms/r","sub":"7","scope":"` + b + `"}`), "", b, ""},
		{"key retired, less", jwtOf(`{"iss":"https://gate/realms/r","sub":"7","scope":"` + b + `"}`), a, a, ""},
		{"key retired, more", jwtOf(`{"iss":"https://gate/realms/r","sub":"7","scope":"` + b + `"}`), "PRINCIPAL_ROLE:z", "", CodeInvalidScope},
		{"key retired, no role", jwtOf(`{"iss":"https://gate/realms/r","sub":"7","scope":"admin"}`), "", "", CodeInvalidScope},
		{"key retired, of another principal", jwtOf(`{"iss":"https://gate/realms/r","sub":"8","scope":"` + b + `"}`), a, "", CodeInvalidRequest},
		{"key unknown, of another issuer", jwtOf(`{"iss":"https://gate/realms/s","sub":"7","scope":"` + b + `"}`), a, "", CodeInvalidRequest},
		{"session over", "over", "", b, ""},
		{"session over, less", "over", a, a, ""},
		{"session over, more", "over", "PRINCIPAL_ROLE:z", "", CodeInvalidScope},
	} {
		f := newExchange()
		if f.admit.tokens[tt.subject].Credential == nil {
			f.admit.tokens[tt.subject] = denied("token_expired")
			if strings.HasPrefix(tt.name, "key") {
				f.admit.tokens[tt.subject] = denied("key_unknown")
			}
		}
		w, body := do(t, f.service(t), post(exchangeForm(tt.subject, "scope", tt.scope).Encode(), "Authorization", basic(testID, testSecret)))
		g := f.broker.grant
		if tt.code != "" {
			if w.Code != 400 || body["error"] != tt.code || f.broker.asked > 0 {
				t.Errorf("%s: %d %v", tt.name, w.Code, body)
			}
			continue
		}
		if w.Code != 200 || !g.AuthTime.Equal(now) || g.Lifetime != 12*time.Hour-brokersTime || strings.Join(g.Scope, " ") != tt.want || g.Principal.ID != "7" || len(g.TokenID) != 32 {
			t.Errorf("%s: %d %+v", tt.name, w.Code, g)
		}
	}
}

func TestExchangeNeverWidens(t *testing.T) {
	for _, tt := range []struct{ had, wanted, want string }{
		{"good", "", "PRINCIPAL_ROLE:a PRINCIPAL_ROLE:b"},
		{"good", "  ", "PRINCIPAL_ROLE:a PRINCIPAL_ROLE:b"},
		{"good", "PRINCIPAL_ROLE:b", "PRINCIPAL_ROLE:b"},
		{"good", "PRINCIPAL_ROLE:b PRINCIPAL_ROLE:a", "PRINCIPAL_ROLE:b PRINCIPAL_ROLE:a"},
		{"good", "PRINCIPAL_ROLE:c", ""},
		{"good", "PRINCIPAL_ROLE:a PRINCIPAL_ROLE:c", ""},
		{"good", "PRINCIPAL_ROLE:ALL", ""},
		{"good", "catalog", ""},
		{"good", "PRINCIPAL_ROLE:A", ""},
		{"good", "a", ""},
		{"all", "", "PRINCIPAL_ROLE:ALL"},
		{"all", "PRINCIPAL_ROLE:ALL", "PRINCIPAL_ROLE:ALL"},
		{"all", "catalog", "PRINCIPAL_ROLE:ALL"},
		{"all", "PRINCIPAL_ROLE:c", "PRINCIPAL_ROLE:c"}, // if it is granted, which the plan judges
		{"bare", "", ""},
		{"bare", "PRINCIPAL_ROLE:a", ""},
	} {
		f := newExchange()
		f.DefaultScope = "PRINCIPAL_ROLE:ALL" // is for client credentials only
		w, body := do(t, f.service(t), post(exchangeForm(tt.had, "scope", tt.wanted).Encode(), "Authorization", "Bearer "+tt.had))
		if tt.want == "" && (w.Code != 400 || body["error"] != CodeInvalidScope || f.broker.asked > 0) || tt.want != "" && (body["scope"] != tt.want || strings.Join(f.broker.grant.Scope, " ") != tt.want) {
			t.Errorf("%s, %q: %d %v, want %q", tt.had, tt.wanted, w.Code, body, tt.want)
		}
	}
	f := newExchange()
	f.admit.decision = pipeline.Decision{Verdict: pipeline.Denied, Denial: &sdk.Denial{Reason: "role_not_granted", Forbidden: true}}
	if w, body := do(t, f.service(t), post(exchangeForm("all", "scope", "PRINCIPAL_ROLE:c").Encode(), "Authorization", "Bearer all")); w.Code != 400 || body["error"] != CodeInvalidScope {
		t.Errorf("a role that is not granted: %d %v", w.Code, body)
	}
	f.admit.decision = pipeline.Decision{Verdict: pipeline.Denied, Denial: &sdk.Denial{Reason: "principal_disabled", Forbidden: true}}
	if w, body := do(t, f.service(t), post(exchangeForm("good").Encode(), "Authorization", "Bearer good")); w.Code != 400 || body["error"] != CodeInvalidRequest {
		t.Errorf("disabled in between: %d %v", w.Code, body)
	}
}

// However often a token is exchanged, the last one ends with the session.
func TestSessionsEnd(t *testing.T) {
	for subject, want := range map[string]time.Duration{"good": 11*time.Hour - time.Second, "ending": 89 * time.Second, "ahead": 12*time.Hour - time.Second} {
		f := newExchange()
		f.broker.change = func(t *sdk.Token) { t.Expires = now.Add(min(time.Hour, f.broker.grant.Lifetime)) }
		w, body := do(t, f.service(t), post(exchangeForm(subject).Encode(), "Authorization", "Bearer "+subject))
		if w.Code != 200 || f.broker.grant.Lifetime != want || body["expires_in"] != min(time.Hour, want).Seconds() {
			t.Errorf("%s: asked for %s, want %s: %v", subject, f.broker.grant.Lifetime, want, body)
		}
	}
	// A token says in whole seconds when its client authenticated, and its broker takes up to one of its own.
	f := newExchange()
	f.Now = func() time.Time { return now.Add(500 * time.Millisecond) }
	f.admit.tokens["between"] = held(func(d *pipeline.Decision) { d.Credential.AuthTime = now.Add(900*time.Millisecond - time.Hour) })
	if w, _ := do(t, f.service(t), post(exchangeForm("between").Encode(), "Authorization", "Bearer between")); w.Code != 200 || f.broker.grant.Lifetime != 11*time.Hour-2*time.Second {
		t.Errorf("%d, asked for %s", w.Code, f.broker.grant.Lifetime)
	}
	f = newExchange()
	f.broker.change = func(t *sdk.Token) { t.Expires = now.Add(90 * time.Second) }
	if w, _ := do(t, f.service(t), post(exchangeForm("ending").Encode(), "Authorization", "Bearer ending")); w.Code != 200 {
		t.Errorf("a broker that took its time: %d", w.Code)
	}
	f.broker.change = func(t *sdk.Token) { t.Expires = now.Add(91 * time.Second) }
	if w, _ := do(t, f.service(t), post(exchangeForm("ending").Encode(), "Authorization", "Bearer ending")); w.Code != 503 {
		t.Errorf("a broker that overstays the session: %d", w.Code)
	}
}
