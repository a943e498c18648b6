package token

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/host/limit"
)

func (c clients) KnowsClient(_ context.Context, realm, id string) (bool, error) {
	return realm == "r" && id == testID, c.err
}

// guarded puts a real door and an audit log that is written to out before the fixture.
func (f *fixture) guarded(t *testing.T, out io.Writer, r limit.Rules) *fixture {
	t.Helper()
	door, err := limit.New(100, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	if f.Guard, err = door.Guard("r", r, f.Directory.(clients)); err != nil {
		t.Fatal(err)
	}
	if f.Audit, err = audit.Open(audit.Config{Path: audit.Stdout, Stdout: out, Refuse: true}); err != nil {
		t.Fatal(err)
	}
	return f
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("disk full") }

// Every event has its line, and no line has a secret or a token.
func TestAudit(t *testing.T) {
	good := []string{"Authorization", basic(testID, testSecret)}
	unknown := goodForm()
	unknown.Set("client_id", testSecret) // somebody mixed them up
	wrong := goodForm()
	wrong.Set("client_secret", "wr0ng")
	nothing := goodForm()
	nothing.Set("scope", "PRINCIPAL_ROLE:"+testSecret+`"`)
	tests := []struct {
		name, serve, body string
		header            []string
		want              []string // the ends of the lines
	}{
		{"issued", "", goodForm().Encode(), nil, []string{
			`"event":"token.issue","outcome":"done","realm":"r","client_id":"client 1%/é","principal_id":"7","principal":"alice","token_id":"ID","scope":"PRINCIPAL_ROLE:dev"}`,
		}},
		{"wrong secret", "", wrong.Encode(), nil, []string{
			`"event":"token.issue","outcome":"refused","realm":"r","client_id":"client 1%/é","reason":"invalid_client","detail":"client authentication failed"}`,
		}},
		{"unknown client", "", unknown.Encode(), nil, []string{
			`"event":"token.issue","outcome":"refused","realm":"r","client_hash":"sha256:8473b1d10fd95be8","reason":"invalid_client","detail":"client authentication failed"}`,
		}},
		{"bad scope", "", nothing.Encode(), nil, []string{`"client_id":"client 1%/é","reason":"invalid_scope","detail":"the scope has a character that RFC 6749 section 3.3 does not allow"}`}},
		{"malformed", "", "grant_type=" + testSecret, nil, nil},
		{"exchanged", "", exchangeForm("good").Encode(), good, []string{
			`"event":"token.exchange","outcome":"done","realm":"r","client_id":"client 1%/é","principal_id":"7","principal":"alice","token_id":"ID","scope":"SCOPE"}`,
		}},
		{"expired", "", exchangeForm("revoked").Encode(), good, []string{
			`"event":"token.exchange","outcome":"refused","realm":"r","client_id":"client 1%/é","reason":"token_revoked","detail":"the subject token is not valid, or not any more"}`,
		}},
		{"revoked", "revoke", tokenBody("good"), good, []string{
			`"event":"token.revoke","outcome":"attempted","realm":"r","client_id":"client 1%/é","principal_id":"7","principal":"alice","token_id":"t1"}`,
			`"event":"token.revoke","outcome":"done","realm":"r","client_id":"client 1%/é","principal_id":"7","principal":"alice","token_id":"t1"}`,
		}},
		{"revocation refused", "revoke", tokenBody("good"), []string{"Authorization", basic(testID, "wr0ng")}, []string{
			`"event":"token.revoke","outcome":"refused","realm":"r","client_id":"client 1%/é","reason":"invalid_client","detail":"client authentication failed"}`,
		}},
		{"nothing to revoke", "revoke", tokenBody("junk"), good, nil},
		{"introspected", "introspect", tokenBody("good"), good, nil},
		{"introspection refused", "introspect", tokenBody("good"), []string{"Authorization", basic(testID, "wr0ng")}, []string{
			`"event":"token.introspect","outcome":"refused","realm":"r","client_id":"client 1%/é","reason":"invalid_client","detail":"client authentication failed"}`,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			f := newExchange().guarded(t, &out, limit.Rules{})
			s := f.service(t)
			w := httptest.NewRecorder()
			map[string]http.HandlerFunc{"": s.ServeHTTP, "revoke": s.ServeRevoke, "introspect": s.ServeIntrospect}[tt.serve](w, post(tt.body, tt.header...))
			lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
			if tt.want == nil {
				if out.Len() > 0 {
					t.Errorf("%s", &out)
				}
				return
			}
			if len(lines) != len(tt.want) {
				t.Fatalf("%d %s\n%s", w.Code, w.Body, &out)
			}
			for i, want := range tt.want {
				want = strings.NewReplacer(`"ID"`, `"`+f.broker.grant.TokenID+`"`, `"SCOPE"`, `"`+strings.Join(f.broker.grant.Scope, " ")+`"`).Replace(want)
				if !strings.HasSuffix(lines[i], want) || !json.Valid([]byte(lines[i])) {
					t.Errorf("%s\nwant\n%s", lines[i], want)
				}
			}
			for _, secret := range []string{testSecret, "wr0ng", "a.b.c", `"good"`} {
				if strings.Contains(out.String(), secret) {
					t.Errorf("the log has %q:\n%s", secret, &out)
				}
			}
		})
	}
}

// Where no line can be written, no token leaves, none is revoked, and nobody is told why they are refused.
func TestNothingHappensUnaudited(t *testing.T) {
	good := []string{"Authorization", basic(testID, testSecret)}
	wrong := goodForm()
	wrong.Set("client_secret", "wr0ng")
	for name, body := range map[string]string{"issue": goodForm().Encode(), "refuse": wrong.Encode()} {
		w, got := do(t, newFixture().guarded(t, fullDisk{}, limit.Rules{}).service(t), post(body))
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || got["access_token"] != nil || got["error"] != nil {
			t.Errorf("%s: %d %v", name, w.Code, got)
		}
	}
	f := newExchange()
	var revoked []string
	f.Directory = clients{revoked: &revoked}
	w, got := ask(t, f.guarded(t, fullDisk{}, limit.Rules{}).service(t).ServeRevoke, post(tokenBody("good"), good...))
	if w.Code != http.StatusServiceUnavailable || revoked != nil {
		t.Errorf("revoke: %d %v, revoked %v", w.Code, got, revoked)
	}
}

// Who comes too early gets 429 with the time, no OAuth error, and one line for all of it.
func TestLimited(t *testing.T) {
	good := []string{"Authorization", basic(testID, testSecret)}
	bad := []string{"Authorization", basic(testID, "wr0ng")}
	tests := []struct {
		name, reason, wait string
		rules              limit.Rules
		before             []string // the header of what comes before
	}{
		{"failures", limit.Failures, "90", limit.Rules{Failures: 1, Delay: 90 * time.Second, MaxDelay: time.Hour, Forget: time.Hour}, bad},
		{"peer", limit.PeerRate, "4", limit.Rules{PeerRate: 0.25, PeerBurst: 2}, bad},
		{"client", limit.ClientRate, "4", limit.Rules{ClientRate: 0.25, ClientBurst: 2}, good},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			s := newExchange().guarded(t, &out, tt.rules).service(t)
			for range 2 {
				if w, _ := ask(t, s.ServeIntrospect, post(tokenBody("good"), tt.before...)); w.Code == http.StatusTooManyRequests {
					t.Fatalf("refused too early: %s", w.Body)
				}
			}
			out.Reset()
			form := goodForm()
			form.Del("client_id")
			form.Del("client_secret")
			for _, tt2 := range []struct {
				serve http.HandlerFunc
				body  string
			}{{s.ServeHTTP, form.Encode()}, {s.ServeHTTP, exchangeForm("good").Encode()}, {s.ServeRevoke, tokenBody("good")}, {s.ServeIntrospect, tokenBody("good")}} {
				w, body := ask(t, tt2.serve, post(tt2.body, good...))
				if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != tt.wait || body["reason"] != "too_many_requests" || body["error"] != nil ||
					w.Header().Get("WWW-Authenticate") != "" {
					t.Errorf("%d %v %v, want to wait %s seconds", w.Code, w.Header(), body, tt.wait)
				}
			}
			if text := out.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, `"event":"token.issue","outcome":"limited"`) || !strings.Contains(text, `"reason":"`+tt.reason+`"`) {
				t.Errorf("lines:\n%s", text)
			}
		})
	}
}
