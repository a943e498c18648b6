package token

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/host/limit"
	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/sdk"
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
	bearer := func(token string) []string { return []string{"Authorization", "Bearer " + token} }
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
		{"bad scope", "", nothing.Encode(), nil, []string{`"client_id":"client 1%/é","principal_id":"7","principal":"alice","reason":"invalid_scope","detail":"the scope has a character that RFC 6749 section 3.3 does not allow"}`}},
		{"malformed", "", "grant_type=" + testSecret, nil, nil},
		{"exchanged", "", exchangeForm("good").Encode(), good, []string{
			`"event":"token.exchange","outcome":"done","realm":"r","client_id":"client 1%/é","principal_id":"7","principal":"alice","token_id":"ID","scope":"SCOPE"}`,
		}},
		{"expired", "", exchangeForm("revoked").Encode(), good, []string{
			`"event":"token.exchange","outcome":"refused","realm":"r","client_id":"client 1%/é","principal_id":"7","principal":"alice","reason":"token_revoked","detail":"the subject token is not valid, or not any more"}`,
		}},
		{"more than it had, by bearer", "", exchangeForm("good", "scope", "PRINCIPAL_ROLE:c").Encode(), bearer("good"), []string{
			`"event":"token.exchange","outcome":"refused","realm":"r","client_id":"client 1%/é","principal_id":"7","principal":"alice","reason":"invalid_scope","detail":"the scope asks for more than the subject token has"}`,
		}},
		{"an id that is not the bearer's", "", exchangeForm("good", "client_id", testSecret).Encode(), bearer("good"), []string{
			`"event":"token.exchange","outcome":"refused","realm":"r","client_id":"client 1%/é","principal_id":"7","principal":"alice","reason":"another_client","detail":"the subject token is not valid, or not any more"}`,
		}},
		{"revoked, by another bearer", "", exchangeForm("revoked").Encode(), bearer("good"), []string{
			`"event":"token.exchange","outcome":"refused","realm":"r","client_id":"client 1%/é","principal_id":"7","principal":"alice","reason":"token_revoked","detail":"the subject token is not valid, or not any more"}`,
		}},
		{"of another principal, by bearer", "", exchangeForm("bobs").Encode(), bearer("good"), []string{
			`"event":"token.exchange","outcome":"refused","realm":"r","client_id":"client 1%/é","principal_id":"7","principal":"alice","reason":"another_principal","detail":"the subject token is not valid, or not any more"}`,
		}},
		{"denied without a reason", "", exchangeForm("unreasoned").Encode(), bearer("unreasoned"), []string{
			`"event":"token.exchange","outcome":"refused","realm":"r","reason":"denied","detail":"the subject token is not valid, or not any more"}`,
		}},
		{"revoked", "revoke", tokenBody("good"), good, []string{
			`"event":"token.revoke","outcome":"attempted","realm":"r","client_id":"client 1%/é","principal_id":"7","principal":"alice","token_id":"` + session + `.` + session + `"}`,
			`"event":"token.revoke","outcome":"done","realm":"r","client_id":"client 1%/é","principal_id":"7","principal":"alice","token_id":"` + session + `.` + session + `"}`,
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

// Who comes too early gets 429 with the time, and no OAuth error. Failures count at all endpoints, requests at each for
// itself: who introspects a lot still gets a token.
func TestLimited(t *testing.T) {
	good := []string{"Authorization", basic(testID, testSecret)}
	bad := []string{"Authorization", basic(testID, "wr0ng")}
	form := goodForm()
	form.Del("client_id")
	form.Del("client_secret")
	tests := []struct {
		name, reason, wait string
		rules              limit.Rules
		before             []string // the header of what comes before
		everywhere         bool
	}{
		{"failures", limit.Failures, "90", limit.Rules{Failures: 1, Delay: 90 * time.Second, MaxDelay: time.Hour, Forget: time.Hour}, bad, true},
		{"peer", limit.PeerRate, "4", limit.Rules{PeerRate: 0.25, PeerBurst: 2}, bad, false},
		{"client", limit.ClientRate, "4", limit.Rules{ClientRate: 0.25, ClientBurst: 2}, good, false},
		{"introspection", limit.PeerRate, "4", limit.Rules{IntrospectionRate: 0.25, IntrospectionBurst: 2}, good, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			s := newExchange().guarded(t, &out, tt.rules).service(t)
			all := map[string]func() (*httptest.ResponseRecorder, map[string]any){
				"token.issue": func() (*httptest.ResponseRecorder, map[string]any) {
					return ask(t, s.ServeHTTP, post(form.Encode(), good...))
				},
				"token.exchange": func() (*httptest.ResponseRecorder, map[string]any) {
					return ask(t, s.ServeHTTP, post(exchangeForm("good").Encode(), good...))
				},
				"token.revoke": func() (*httptest.ResponseRecorder, map[string]any) {
					return ask(t, s.ServeRevoke, post(tokenBody("junk"), good...))
				},
				"token.introspect": func() (*httptest.ResponseRecorder, map[string]any) {
					return ask(t, s.ServeIntrospect, post(tokenBody("good"), good...))
				},
			}
			serve, here := s.ServeHTTP, []string{"token.issue", "token.exchange"}
			if tt.name == "introspection" {
				serve, here = s.ServeIntrospect, []string{"token.introspect"}
			}
			for range 2 {
				if w, _ := ask(t, serve, post(tokenBody("good", "grant_type", "client_credentials", "scope", "catalog"), tt.before...)); w.Code == http.StatusTooManyRequests {
					t.Fatalf("refused too early: %s", w.Body)
				}
			}
			out.Reset()
			for event, request := range all {
				w, body := request()
				if !tt.everywhere && !slices.Contains(here, event) {
					if w.Code != http.StatusOK {
						t.Errorf("%s has to wait for what was asked elsewhere: %d %v", event, w.Code, body)
					}
					continue
				}
				if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != tt.wait || body["reason"] != "too_many_requests" || body["error"] != nil ||
					w.Header().Get("WWW-Authenticate") != "" {
					t.Errorf("%s: %d %v %v, want to wait %s seconds", event, w.Code, w.Header(), body, tt.wait)
				}
				for range 5 { // one line for all of it
					request()
				}
				if tt.reason == limit.PeerRate && event == "token.exchange" {
					event = "token.issue" // what was asked for was not looked at
				}
				if text := out.String(); strings.Count(text, `"event":"`+event+`","outcome":"limited"`) != 1 || !strings.Contains(text, `"reason":"`+tt.reason+`"`) {
					t.Errorf("%s: lines:\n%s", event, text)
				}
			}
		})
	}
}

// Tokens that nobody issued are failures of their peer, at every endpoint that takes a token for a client's proof. They get
// few lines, and a good token is heard all the same.
func TestForgedTokens(t *testing.T) {
	rules := limit.Rules{PeerFailures: 10, Delay: time.Minute, MaxDelay: time.Hour, Forget: time.Hour}
	bearer := func(token string) []string { return []string{"Authorization", "Bearer " + token} }
	for name, request := range map[string]func(s *Service, i int) *httptest.ResponseRecorder{
		"exchange": func(s *Service, i int) *httptest.ResponseRecorder {
			token := fmt.Sprint("junk", i)
			w, _ := ask(t, s.ServeHTTP, post(exchangeForm(token).Encode(), bearer(token)...))
			return w
		},
		"exchange of a good token, by a bad one": func(s *Service, i int) *httptest.ResponseRecorder {
			w, _ := ask(t, s.ServeHTTP, post(exchangeForm("good").Encode(), bearer(fmt.Sprint("junk", i))...))
			return w
		},
		"revocation": func(s *Service, i int) *httptest.ResponseRecorder {
			token := fmt.Sprint("junk", i)
			w, _ := ask(t, s.ServeRevoke, post(tokenBody(token), bearer(token)...))
			return w
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			f := newExchange().guarded(t, &out, rules)
			s := f.service(t)
			for i := range 1000 {
				if w := request(s, i); (w.Code == http.StatusTooManyRequests) != (i > 10) || i > 10 && w.Header().Get("Retry-After") != "60" {
					t.Fatalf("request %d: %d %v", i, w.Code, w.Header())
				}
			}
			if n := strings.Count(out.String(), "\n"); n > 2 {
				t.Errorf("%d lines", n)
			}
			if w, body := ask(t, s.ServeHTTP, post(exchangeForm("good").Encode(), bearer("good")...)); w.Code != http.StatusOK {
				t.Errorf("a good token: %d %v", w.Code, body)
			}
			out.Reset()
			if err := f.Audit.Close(); err != nil { // what was not told yet
				t.Fatal(err)
			}
			if text := out.String(); !strings.Contains(text, `"reason":"peer_failures","count":988,`) || name != "revocation" && !strings.Contains(text, `"count":10,`) {
				t.Errorf("%s", text)
			}
		})
	}
}

// What somebody once had is no forgery: clients that come back after a pause do not shut each other out. But neither does
// whoever holds such a token fill the log with it.
func TestFormerTokens(t *testing.T) {
	var out bytes.Buffer
	f := newExchange().guarded(t, &out, limit.Rules{PeerFailures: 1, Delay: time.Minute, MaxDelay: time.Hour, Forget: time.Hour})
	s := f.service(t)
	retired := jwtOf(fmt.Sprintf(`{"iss":"https://gate/realms/r","exp":%d}`, now.Unix()))
	f.admit.tokens[retired] = denied("key_unknown")
	for range 100 {
		for _, token := range []string{"expired", "revoked", "disabled", retired} {
			if w, _ := ask(t, s.ServeHTTP, post(exchangeForm(token).Encode(), "Authorization", "Bearer "+token)); w.Code != http.StatusBadRequest {
				t.Fatalf("%s: %d", token, w.Code)
			}
		}
	}
	if n := strings.Count(out.String(), "\n"); n != 4 {
		t.Errorf("%d lines:\n%s", n, &out)
	}
	// One that is not past, or somebody else's, is none of them.
	for _, claims := range []string{`{"iss":"https://gate/realms/r","exp":%d}`, `{"iss":"https://gate/realms/s","exp":1%.0d}`, `{"iss":"https://gate/realms/r"%.0d}`} {
		token := jwtOf(fmt.Sprintf(claims, now.Unix()+1))
		f.admit.tokens[token] = denied("key_unknown")
		s := f.guarded(t, &out, limit.Rules{PeerFailures: 1, Delay: time.Minute, MaxDelay: time.Hour, Forget: time.Hour}).service(t)
		ask(t, s.ServeHTTP, post(goodForm().Encode())) // is heard from here whatever others do
		var codes []int
		for range 3 {
			w, _ := ask(t, s.ServeHTTP, post(exchangeForm(token).Encode(), "Authorization", "Bearer "+token))
			codes = append(codes, w.Code)
		}
		if !slices.Equal(codes, []int{400, 400, 429}) {
			t.Errorf("%s: %v", token, codes)
		}
		// A client that proves who it is, in whichever way, answers for what it presents.
		for _, proof := range []string{basic(testID, testSecret), "Bearer good"} {
			if w, _ := ask(t, s.ServeHTTP, post(exchangeForm("junk").Encode(), "Authorization", proof)); w.Code != http.StatusBadRequest {
				t.Errorf("%s: %d", proof, w.Code)
			}
		}
	}
}

// A client that exchanges tokens by Bearer has no other share than with its secret.
func TestExchangeCounts(t *testing.T) {
	f := newExchange().guarded(t, io.Discard, limit.Rules{ClientRate: 1, ClientBurst: 3})
	s := f.service(t)
	for i := range 5 {
		w, _ := ask(t, s.ServeHTTP, post(exchangeForm("good").Encode(), "Authorization", "Bearer good"))
		if want := map[bool]int{true: http.StatusOK, false: http.StatusTooManyRequests}[i < 3]; w.Code != want {
			t.Errorf("exchange %d: %d", i, w.Code)
		}
	}
	if f.broker.asked != 3 {
		t.Errorf("%d tokens were issued", f.broker.asked)
	}
	if w, _ := ask(t, s.ServeHTTP, post(goodForm().Encode())); w.Code != http.StatusTooManyRequests {
		t.Errorf("with its secret: %d", w.Code)
	}
}

// What is refused to a client that proved who it is with a token has a line of its own each time, and counts as its request.
func TestRefusalsByBearer(t *testing.T) {
	var out bytes.Buffer
	f := newExchange().guarded(t, &out, limit.Rules{ClientRate: 1, ClientBurst: 3})
	s := f.service(t)
	for i := range 5 {
		token := []string{"good", "other"}[i%2] // the subject token itself, or another one
		w, _ := ask(t, s.ServeHTTP, post(exchangeForm("good", "scope", "PRINCIPAL_ROLE:c").Encode(), "Authorization", "Bearer "+token))
		if want := map[bool]int{true: http.StatusBadRequest, false: http.StatusTooManyRequests}[i < 3]; w.Code != want {
			t.Errorf("exchange %d: %d", i, w.Code)
		}
	}
	const alice = `"realm":"r","client_id":"client 1%/é","principal_id":"7","principal":"alice","reason":`
	if text := out.String(); strings.Count(text, `"refused",`+alice+`"invalid_scope"`) != 3 || strings.Count(text, `"limited",`+alice+`"client_rate"`) != 1 ||
		strings.Count(text, "\n") != 4 {
		t.Errorf("%s", text)
	}
}

// hasty is a directory whose caller hangs up when its client was looked up.
type hasty struct {
	clients
	gone func()
}

func (h hasty) KnowsClient(ctx context.Context, realm, id string) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	defer h.gone()
	return h.clients.KnowsClient(ctx, realm, id)
}

// Whoever hangs up is no fault of ours, and nobody guesses unseen that way: what was refused is told, of the right client.
func TestCallerHangsUp(t *testing.T) {
	wrong := goodForm()
	wrong.Set("client_secret", "wr0ng")
	for _, tt := range []struct {
		name, body string
		header     []string
		cause      error // of a directory that cannot answer
		want       string
	}{
		{"wrong secret", wrong.Encode(), nil, nil, `"outcome":"refused","realm":"r","client_id":"client 1%/é","reason":"invalid_client"`},
		{"beside a bad token", exchangeForm("revoked", "client_id", testID).Encode(), []string{"Authorization", "Bearer revoked"}, nil,
			`"outcome":"refused","realm":"r","client_id":"client 1%/é","reason":"token_revoked"`},
		{"not decided", wrong.Encode(), nil, context.Canceled, ""},
	} {
		var out, logged bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		f := newExchange()
		f.Directory = clients{err: tt.cause}
		f.Logger = hclog.New(&hclog.LoggerOptions{Output: &logged, Level: hclog.Info})
		f.guarded(t, &out, limit.Rules{})
		door, err := limit.New(100, nil)
		if err != nil {
			t.Fatal(err)
		}
		if f.Guard, err = door.Guard("r", limit.Rules{}, hasty{clients{err: tt.cause}, cancel}); err != nil {
			t.Fatal(err)
		}
		if tt.header != nil { // it is gone before the client is looked up
			cancel()
		}
		ask(t, f.service(t).ServeHTTP, post(tt.body, tt.header...).WithContext(ctx))
		if text := out.String(); !strings.Contains(text, tt.want) || tt.want == "" && text != "" {
			t.Errorf("%s: %s", tt.name, text)
		}
		if strings.Contains(logged.String(), "ERROR") {
			t.Errorf("%s: %s", tt.name, &logged)
		}
	}
	// Where nobody can tell whether the realm has a client, it is not named.
	var out bytes.Buffer
	f := newExchange()
	f.Directory = clients{err: errors.New("no store")}
	ask(t, f.guarded(t, &out, limit.Rules{}).service(t).ServeHTTP, post(goodForm().Encode()))
	if text := out.String(); !strings.Contains(text, `"outcome":"failed","realm":"r","reason":"unavailable"}`) {
		t.Errorf("%s", text)
	}
}

// A flood of refusals does not fill the daemon's log; those of a real client stand in it.
func TestRefusalsInTheLog(t *testing.T) {
	var logged bytes.Buffer
	f := newExchange()
	f.Logger = hclog.New(&hclog.LoggerOptions{Output: &logged, Level: hclog.Info})
	s := f.service(t)
	for range 1000 {
		ask(t, s.ServeHTTP, post("grant_type=none"))
	}
	if n := strings.Count(logged.String(), "token refused"); n < refusalsAtOnce || n > 2*refusalsAtOnce {
		t.Errorf("%d lines", n)
	}
	logged.Reset()
	for range 100 {
		ask(t, s.ServeHTTP, post(exchangeForm("good", "scope", "PRINCIPAL_ROLE:c").Encode(), "Authorization", "Bearer good"))
	}
	if n := strings.Count(logged.String(), "token exchange refused"); n != 100 {
		t.Errorf("%d lines of a client", n)
	}
}

// A client that would end somebody else's token is told as little as ever; the operator hears of it.
func TestRevocationOfAnothersToken(t *testing.T) {
	var out bytes.Buffer
	f := newExchange().guarded(t, &out, limit.Rules{})
	f.admit.tokens["bobs"] = held(func(d *pipeline.Decision) { d.Credential.Principal = sdk.PrincipalRef{ID: "8", Name: "bob"} })
	w, body := ask(t, f.service(t).ServeRevoke, post(tokenBody("bobs"), "Authorization", basic(testID, testSecret)))
	if w.Code != http.StatusOK || len(body) != 0 {
		t.Errorf("%d %v", w.Code, body)
	}
	want := `"event":"token.revoke","outcome":"refused","realm":"r","client_id":"client 1%/é","principal_id":"8","principal":"bob","token_id":"` +
		session + `.` + session + `","reason":"another_principal"}` + "\n"
	if !strings.HasSuffix(out.String(), want) || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("%s\nwant\n%s", &out, want)
	}
}

// A token that was revoked is revoked once: whoever still has it writes no lines with it.
func TestRevokedAgain(t *testing.T) {
	var out bytes.Buffer
	var revoked []string
	f := newExchange()
	f.Directory = clients{revoked: &revoked}
	s := f.guarded(t, &out, limit.Rules{}).service(t)
	for range 10 {
		if w, _ := ask(t, s.ServeRevoke, post(tokenBody("good"), "Authorization", "Bearer good")); w.Code != http.StatusOK {
			t.Errorf("%d", w.Code)
		}
	}
	if n := strings.Count(out.String(), "\n"); n != 2 || len(revoked) != 1 {
		t.Errorf("%d lines, revoked %v", n, revoked)
	}
}
