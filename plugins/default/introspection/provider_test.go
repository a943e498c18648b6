package introspection

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/breaker"
)

const (
	clientID = "realm gate:1"
	password = "p%:+ä&="
)

// fake is an introspection endpoint whose answers a test chooses.
type fake struct {
	*httptest.Server
	requests atomic.Int64
	answer   atomic.Pointer[http.HandlerFunc]
	last     atomic.Pointer[http.Request] // its form is parsed
}

func newFake(t testing.TB, answer http.HandlerFunc) *fake {
	t.Helper()
	f := &fake{}
	f.answers(answer)
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.requests.Add(1)
		_ = r.ParseForm()
		f.last.Store(r)
		(*f.answer.Load())(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *fake) answers(answer http.HandlerFunc) { f.answer.Store(&answer) }

func says(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = w.Write([]byte(body))
	}
}

func active(claims map[string]any) http.HandlerFunc {
	m := map[string]any{"active": true, "aud": "polaris", "sub": "alice"}
	for k, v := range claims {
		if m[k] = v; v == nil {
			delete(m, k)
		}
	}
	raw, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return says(string(raw))
}

// host has the client's secret.
type host struct {
	sdk.Host // for what it is not asked

	mu    sync.Mutex
	value string
	err   error
	reads int
}

func (h *host) FindPrincipal(context.Context, sdk.PrincipalRef) (sdk.Principal, error) {
	return sdk.Principal{}, errors.New("there are no principals here")
}

func (h *host) ResolveSecret(context.Context, sdk.SecretRef) (sdk.Secret, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reads++
	return sdk.NewSecret([]byte(h.value)), h.err
}

func (h *host) set(value string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.value, h.err = value, err
}

// tenant is a provider with its host and a clock that the test moves.
type tenant struct {
	*Provider
	host *host
	at   atomic.Int64
}

func (x *tenant) advance(d time.Duration) { x.at.Add(int64(d)) }

func newTenant(t testing.TB, endpoint string, change map[string]any) *tenant {
	t.Helper()
	s := map[string]any{"endpoint": endpoint, "client_id": clientID, "client_secret": "urn:realmgate-secret:s:x", "audience": []string{"polaris"}}
	for k, v := range change {
		if s[k] = v; v == nil {
			delete(s, k)
		}
	}
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	impl, err := sdk.IdentityProviderType("introspection", NewProvider).Build(t.Context(), sdk.Setup{Tenant: "t"}, raw)
	if err != nil {
		t.Fatal(err)
	}
	x := &tenant{Provider: impl.(*Provider), host: &host{value: password}}
	t.Cleanup(func() { _ = x.Close() })
	x.at.Store(time.Now().UnixNano())
	x.now = func() time.Time { return time.Unix(0, x.at.Load()) }
	return x
}

// identify gives the identity, the reason of a denial or "unavailable", and how the decision may be remembered.
func (x *tenant) identify(ctx context.Context, token string) (sdk.Identity, string, sdk.CacheHint) {
	st := &sdk.State{Request: &sdk.Request{Realm: "r", Scheme: "bearer", Token: token}}
	err := sdk.Step(sdk.WithHost(ctx, x.host), sdk.KindIdentityProvider, x.Provider, st)
	var id sdk.Identity
	if st.Identity != nil {
		id = *st.Identity
	}
	switch d := sdk.AsDenial(err); {
	case d != nil:
		return id, d.Reason, st.Cache
	case err != nil:
		return id, "unavailable: " + err.Error(), st.Cache
	}
	return id, "", st.Cache
}

func (x *tenant) want(t testing.TB, token, reason string) {
	t.Helper()
	id, got, _ := x.identify(t.Context(), token)
	if got != reason && (reason != "unavailable" || !strings.HasPrefix(got, reason)) || reason != "" && id.Subject != "" {
		t.Errorf("%+v, %q, want %q", id, got, reason)
	}
	if strings.Contains(got, password) || token != "" && strings.Contains(got, token) {
		t.Errorf("%q tells a secret", got)
	}
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	exp := time.Now().Add(time.Hour).Unix()
	f := newFake(t, active(map[string]any{
		"iss": "https://idp", "aud": []string{"x", "polaris"}, "jti": "7", "exp": exp, "auth_time": 1700000000,
		"scope": "a b", "groups": []string{"g"}, "token_type": "Bearer", "client_id": "svc",
	}))
	for method, path := range map[string]string{methodBasic: "scope", methodPost: "groups"} {
		x := newTenant(t, f.URL, map[string]any{"auth_method": method, "role_claim_path": path, "issuer": "https://idp", "authorized_party": []string{"svc"}})
		id, reason, hint := x.identify(t.Context(), "se cret+&=")
		roles := map[string][]string{"scope": {"a", "b"}, "groups": {"g"}}[path]
		if reason != "" || id.Issuer != "https://idp" || id.Subject != "alice" || !slices.Equal(id.Audience, []string{"x", "polaris"}) || id.TokenID != "7" ||
			!id.AuthTime.Equal(time.Unix(1700000000, 0)) || !id.Expires.Equal(time.Unix(exp+30, 0)) || !slices.Equal(id.Roles, roles) {
			t.Errorf("%s: %+v, %q", method, id, reason)
		}
		if hint.NoStore || hint.MaxAge != 30*time.Second {
			t.Errorf("%s: %+v", method, hint)
		}
		r := f.last.Load()
		user, pass, basic := r.BasicAuth()
		if r.Method != http.MethodPost || r.PostForm.Get("token") != "se cret+&=" || r.URL.RawQuery != "" || basic != (method == methodBasic) {
			t.Errorf("%s: %s %s %v", method, r.Method, r.URL, r.PostForm)
		}
		if basic && (user != "realm+gate%3A1" || pass != "p%25%3A%2B%C3%A4%26%3D") {
			t.Errorf("%q, %q", user, pass)
		}
		if !basic && (r.PostForm.Get("client_id") != clientID || r.PostForm.Get("client_secret") != password) {
			t.Errorf("%v", r.PostForm)
		}
	}
	x := newTenant(t, f.URL, nil)
	if _, err := x.Identify(t.Context(), sdk.Request{Scheme: "basic", Token: "x"}); sdk.AsDenial(err) == nil || sdk.AsDenial(err).Reason != sdk.ReasonNotMine {
		t.Errorf("another scheme: %v", err)
	}
	n := f.requests.Load()
	x.want(t, "", "token_malformed")
	x.want(t, strings.Repeat("x", maxToken+1), "token_malformed")
	if f.requests.Load() != n {
		t.Error("the endpoint was asked about what is no token")
	}
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	now := time.Now().Unix()
	c := func(kv ...any) map[string]any {
		m := map[string]any{}
		for i := 0; i < len(kv); i += 2 {
			m[kv[i].(string)] = kv[i+1]
		}
		return m
	}
	for name, tt := range map[string]struct {
		claims, settings map[string]any
		reason           string
	}{
		"good":                          {nil, nil, ""},
		"inactive":                      {c("active", false), nil, "token_inactive"},
		"active as a string":            {c("active", "true"), nil, "unavailable"},
		"active as a number":            {c("active", 1), nil, "unavailable"},
		"active in another case":        {c("active", nil, "Active", true), nil, "unavailable"},
		"without active":                {c("active", nil), nil, "unavailable"},
		"active null":                   {c("active", json.RawMessage("null")), nil, "unavailable"},
		"another audience":              {c("aud", "x"), nil, "audience_mismatch"},
		"an audience's prefix":          {c("aud", "polari"), nil, "audience_mismatch"},
		"an empty audience":             {c("aud", ""), nil, "audience_mismatch"},
		"no audience":                   {c("aud", nil), nil, "audience_mismatch"},
		"no audience, not required":     {c("aud", nil), c("require_audience", false), ""},
		"another one, not required":     {c("aud", "x"), c("require_audience", false), "audience_mismatch"},
		"any audience":                  {c("aud", "x"), c("require_audience", false, "audience", nil), ""},
		"audience of a wrong kind":      {c("aud", 1), nil, "token_malformed"},
		"another issuer":                {c("iss", "https://evil"), c("issuer", "https://idp"), "issuer_mismatch"},
		"issuer with a slash":           {c("iss", "https://idp/"), c("issuer", "https://idp"), "issuer_mismatch"},
		"an empty issuer":               {c("iss", ""), c("issuer", "https://idp"), "issuer_mismatch"},
		"no issuer":                     {c("iss", nil), c("issuer", "https://idp"), ""},
		"another party":                 {c("client_id", "x"), c("authorized_party", []string{"svc"}), "authorized_party_mismatch"},
		"no party":                      {nil, c("authorized_party", []string{"svc"}), "authorized_party_mismatch"},
		"expired":                       {c("exp", now-31), nil, "token_expired"},
		"expired within the skew":       {c("exp", now-20), nil, ""},
		"expiry as a string":            {c("exp", "1"), nil, "token_malformed"},
		"not yet":                       {c("nbf", now+60), nil, "token_not_yet_valid"},
		"issued later":                  {c("iat", now+60), nil, "token_not_yet_valid"},
		"a refresh token":               {c("token_type", "refresh_token"), nil, "type_not_allowed"},
		"a refresh token, by use":       {c("token_type", "Bearer", "token_use", "refresh_token"), nil, "type_not_allowed"},
		"a DPoP token":                  {c("token_type", "DPoP"), nil, "type_not_allowed"},
		"a type that is no string":      {c("token_type", 1), nil, "type_not_allowed"},
		"a bound token":                 {c("cnf", c("jkt", "x")), nil, "token_bound"},
		"roles of a wrong kind":         {c("groups", 1), c("role_claim_path", "groups"), "claim_invalid"},
		"a bearer token, in any case":   {c("token_type", "bEARER"), nil, ""},
		"a use that some providers say": {c("token_use", "access_token"), nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newTenant(t, newFake(t, active(tt.claims)).URL, tt.settings).want(t, "secret-token", tt.reason)
		})
	}
}

// An endpoint that does what it should not makes decisions unavailable, and nothing of it is remembered.
func TestFaults(t *testing.T) {
	t.Parallel()
	attacker := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("asked for %s", r.URL) }))
	t.Cleanup(attacker.Close)
	huge := `{"active":true,"aud":"polaris","x":"` + strings.Repeat("x", maxAnswer) + `"}`
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			_, _ = w.Write([]byte(`{"active":true,"aud":"polaris"}`))
		}
	}
	for name, answer := range map[string]http.HandlerFunc{
		"201": status(201), "400": status(400), "401": status(401), "403": status(403), "429": status(429), "500": status(500), "503": status(503),
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, attacker.URL, http.StatusTemporaryRedirect)
		},
		"a see other": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, attacker.URL, http.StatusSeeOther) },
		"HTML": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte(`{"active":true,"aud":"polaris"}`))
		},
		"a JWT": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/token-introspection+jwt")
			_, _ = w.Write([]byte(`{"active":true,"aud":"polaris"}`))
		},
		"too much":    says(huge),
		"endless":     func(w http.ResponseWriter, r *http.Request) { says(huge)(w, r); says(huge)(w, r) },
		"no JSON":     says(`active=true`),
		"a list":      says(`[{"active":true,"aud":"polaris"}]`),
		"two objects": says(`{"active":true,"aud":"polaris"}{"active":false}`),
		"cut off":     says(`{"active":true,"aud":"polaris"`),
		"empty":       says(``),
		"slow":        func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"slow body": func(w http.ResponseWriter, r *http.Request) {
			says(`{"active":true,`)(w, r)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
		"cuts the line": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, answer)
			x := newTenant(t, f.URL, map[string]any{"timeout": "200ms"})
			x.want(t, "secret-token", "unavailable")
			f.answers(active(nil))
			x.want(t, "secret-token", "")
		})
	}
}

func TestMemory(t *testing.T) {
	t.Parallel()
	f := newFake(t, active(map[string]any{"exp": time.Now().Add(90 * time.Second).Unix()}))
	x := newTenant(t, f.URL, map[string]any{"max_age": "PT1M", "clock_skew": "PT0S"})
	requests := func(want int64) {
		t.Helper()
		if n := f.requests.Load(); n != want {
			t.Errorf("%d requests, want %d", n, want)
		}
	}
	x.want(t, "good", "")
	x.advance(59 * time.Second)
	if _, reason, hint := x.identify(t.Context(), "good"); reason != "" || hint.MaxAge <= 0 || hint.MaxAge > time.Second {
		t.Errorf("%q, %+v", reason, hint)
	}
	requests(1)
	x.advance(time.Second)
	// The token lives for less than max_age now.
	if _, reason, hint := x.identify(t.Context(), "good"); reason != "" || hint.MaxAge <= 0 || hint.MaxAge > 31*time.Second {
		t.Errorf("%q, %+v", reason, hint)
	}
	requests(2)
	x.advance(31 * time.Second)
	x.want(t, "good", "token_expired")
	requests(3)

	// What is not good is remembered for a shorter time.
	f.answers(says(`{"active":false}`))
	for range 3 {
		if _, reason, hint := x.identify(t.Context(), "bad"); reason != "token_inactive" || hint.MaxAge > inactiveFor {
			t.Errorf("%q, %+v", reason, hint)
		}
	}
	requests(4)
	f.answers(active(nil))
	x.advance(inactiveFor)
	x.want(t, "bad", "")
	requests(5)
	// A good token that was revoked is refused once its answer is old.
	f.answers(says(`{"active":false}`))
	x.want(t, "bad", "")
	x.advance(time.Minute)
	x.want(t, "bad", "token_inactive")
	requests(6)
	// No answer of the past serves while the endpoint is down.
	f.answers(active(nil))
	x.want(t, "third", "")
	f.Close()
	x.want(t, "third", "")
	x.advance(time.Minute)
	x.want(t, "third", "unavailable")
}

func TestWithoutMemory(t *testing.T) {
	t.Parallel()
	f := newFake(t, active(nil))
	x := newTenant(t, f.URL, map[string]any{"max_age": "PT0S"})
	for range 3 {
		if _, reason, hint := x.identify(t.Context(), "good"); reason != "" || !hint.NoStore {
			t.Errorf("%q, %+v", reason, hint)
		}
	}
	f.answers(says(`{"active":false}`))
	x.want(t, "good", "token_inactive")
	if n := f.requests.Load(); n != 4 {
		t.Errorf("%d requests", n)
	}
}

// A flood of made-up tokens neither grows the memory without bound nor pushes out good tokens.
func TestFloodOfTokens(t *testing.T) {
	t.Parallel()
	f := newFake(t, active(nil))
	x := newTenant(t, f.URL, nil)
	x.want(t, "good", "")
	denial := verdict{denial: sdk.Deny("token_inactive", "no"), until: x.now().Add(time.Hour)}
	for i := range 4 * maxRefused {
		x.memory.keep(tokenHash{byte(i), byte(i >> 8), byte(i >> 16), 1}, denial)
	}
	x.memory.verdicts().refused.CleanUp()
	if n := x.memory.verdicts().refused.EstimatedSize(); n > maxRefused {
		t.Errorf("%d refused tokens are remembered", n)
	}
	for i := range 100 {
		x.memory.keep(tokenHash{byte(i), 2}, verdict{until: x.now().Add(time.Hour), size: maxAnswer})
	}
	x.memory.verdicts().good.CleanUp()
	if n := x.memory.verdicts().good.EstimatedSize(); n > maxGood/(parsedFactor*maxAnswer) {
		t.Errorf("%d answers of the greatest size are remembered", n)
	}
	y := newTenant(t, f.URL, nil)
	y.want(t, "good", "")
	for i := range 4 * maxRefused {
		y.memory.keep(tokenHash{byte(i), byte(i >> 8), byte(i >> 16), 1}, denial)
	}
	n := f.requests.Load()
	y.want(t, "good", "")
	if f.requests.Load() != n {
		t.Error("the good token was forgotten")
	}
}

// Many callers with one token make one request; a caller that gives up takes nobody with it.
func TestSingleFlight(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	f := newFake(t, func(w http.ResponseWriter, r *http.Request) {
		<-release
		active(nil)(w, r)
	})
	x := newTenant(t, f.URL, nil)
	impatient, cancel := context.WithCancel(t.Context())
	var first, others sync.WaitGroup
	first.Go(func() {
		if _, reason, _ := x.identify(impatient, "token"); !strings.Contains(reason, "canceled") {
			t.Errorf("the impatient caller got %q", reason)
		}
	})
	for f.requests.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	for range 32 {
		others.Go(func() { x.want(t, "token", "") })
	}
	cancel()
	first.Wait()
	close(release)
	others.Wait()
	if n := f.requests.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	down := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }
	f := newFake(t, active(nil))
	x := newTenant(t, f.URL, nil)
	x.want(t, "known", "")
	f.answers(down)
	for i := range 50 {
		x.want(t, fmt.Sprint("token", i), "unavailable")
	}
	if n := f.requests.Load(); n != 1+patience {
		t.Errorf("%d requests to an endpoint that is down", n)
	}
	x.want(t, "known", "")
	for range 20 {
		x.advance(lastBackoff)
		x.want(t, "token", "unavailable")
		x.want(t, "token", "unavailable")
	}
	if n := f.requests.Load(); n != 1+patience+20 {
		t.Errorf("%d requests, want one after each wait", n)
	}
	f.answers(active(nil))
	x.advance(lastBackoff)
	x.want(t, "token", "")
	// One failure alone costs nobody else anything.
	f.answers(down)
	x.want(t, "poison", "unavailable")
	f.answers(active(nil))
	x.want(t, "other", "")
	// An endpoint that refuses some tokens as such is well: however many there are, others are asked about.
	f.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) })
	for i := range 2 * patience {
		x.want(t, fmt.Sprint("refused", i), "unavailable")
	}
	f.answers(active(nil))
	x.want(t, "another", "")
}

// An answer about one token shows that the endpoint is well, also to the one who tries whether it is.
func TestBadTokenEndsARest(t *testing.T) {
	t.Parallel()
	f := newFake(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	x := newTenant(t, f.URL, nil)
	for i := range patience {
		x.want(t, fmt.Sprint("token", i), "unavailable")
	}
	f.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) })
	x.advance(lastBackoff)
	x.want(t, "bad", "unavailable")
	if x.endpoint.rest.Open() {
		t.Error("the endpoint is left alone although it answers")
	}
}

// What was not sent, since the server is left alone, is not counted.
func TestLeftAloneCostsNothing(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_800_000_000, 0)
	o := breaker.NewOutbound(breaker.Config{Failures: 1, Now: func() time.Time { return at }}, nil)
	f := newFake(t, active(nil))
	f.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	e := newEndpoint(Settings{Endpoint: f.URL, ClientID: clientID, RequestsPerSecond: 8}, nil, o, func() time.Time { return at })
	defer e.close()
	ask := func() error {
		_, err := e.introspect(t.Context(), func() time.Time { return at }, question{token: "x", known: true}, sdk.NewSecret([]byte(password)))
		return err
	}
	if ask() == nil {
		t.Fatal("an endpoint that is down answers")
	}
	for range 100 {
		if err := ask(); !errors.Is(err, breaker.ErrOpen) {
			t.Fatalf("%v", err)
		}
	}
	if n := e.budget.all.TokensAt(at); n != 15 {
		t.Errorf("%v requests may be sent, of 16 of which one was", n)
	}
}

func TestRate(t *testing.T) {
	t.Parallel()
	f := newFake(t, active(nil))
	x := newTenant(t, f.URL, map[string]any{"requests_per_second": 8})
	for i := range 200 {
		_, reason, _ := x.identify(t.Context(), fmt.Sprint("token", i))
		if good := reason == ""; good != (i < 12) { // the other four are for tokens that were good before
			t.Errorf("token %d: %q", i, reason)
		} else if !good && !strings.Contains(reason, sdk.ErrBusy.Error()) { // else a flood has a good plugin taken back
			t.Errorf("token %d: %q does not say that it was not tried", i, reason)
		}
	}
	if n := f.requests.Load(); n != 12 {
		t.Errorf("%d requests", n)
	}
	x.advance(time.Second)
	x.want(t, "later", "")
}

// However many made up tokens there are, and wherever they come from, those that were good are asked about again, and new
// ones from elsewhere, too, as long as one peer alone makes them up.
func TestMadeUpTokensDoNotStarveGoodOnes(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil)
	f.answers(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.PostForm.Get("token"), "good") {
			active(nil)(w, r)
			return
		}
		says(`{"active":false}`)(w, r)
	})
	for name, peers := range map[string]int{"one peer": 1, "many peers": 1000} {
		x := newTenant(t, f.URL, map[string]any{"requests_per_second": 20, "max_age": "PT1S"})
		for i := range 5 {
			x.want(t, fmt.Sprint("good", i), "")
		}
		before, asked := f.requests.Load(), 0
		for second := range 30 {
			for i := range 500 {
				peer := fmt.Sprintf("10.0.%d.%d:443", i%peers/250, i%peers%250)
				st := &sdk.State{Request: &sdk.Request{Realm: "r", Scheme: "bearer", Token: fmt.Sprint("junk", name, second, " ", i), Peer: peer}}
				_ = sdk.Step(sdk.WithHost(t.Context(), x.host), sdk.KindIdentityProvider, x.Provider, st)
			}
			for i := range 5 { // their answers are forgotten by now
				x.want(t, fmt.Sprint("good", i), "")
				asked++
			}
			if peers == 1 {
				x.want(t, fmt.Sprint("good new", second), "")
				asked++
			}
			x.advance(time.Second)
		}
		// Twice as many as a second's at once in the beginning, which every peer may have a share of.
		if made := int(f.requests.Load()-before) - asked; made > 40+30*10 || made < 30*4 {
			t.Errorf("%s: %d requests for made up tokens", name, made)
		}
	}
}

// A token that was good and is not any more is no made up one: a session that ends for many shuts nobody out.
func TestTokensThatEnd(t *testing.T) {
	t.Parallel()
	f := newFake(t, active(nil))
	x := newTenant(t, f.URL, map[string]any{"requests_per_second": 20, "max_age": "PT1S"})
	for i := range 30 {
		x.want(t, fmt.Sprint("token", i), "")
	}
	x.advance(10 * time.Second)
	f.answers(says(`{"active":false}`))
	for i := range 30 {
		x.want(t, fmt.Sprint("token", i), "token_inactive")
	}
	x.advance(time.Second)
	f.answers(active(nil))
	x.want(t, "new", "")
}

// The secret is resolved when it is needed, kept, and resolved again soon after it was not accepted.
func TestSecret(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil)
	f.answers(func(w http.ResponseWriter, r *http.Request) {
		if _, pass, _ := r.BasicAuth(); pass != "new" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		active(nil)(w, r)
	})
	x := newTenant(t, f.URL, nil)
	x.host.set("", errors.New("down"))
	x.want(t, "token", "unavailable")
	if f.requests.Load() != 0 {
		t.Error("asked without a secret")
	}
	x.host.set("old", nil)
	x.want(t, "token", "unavailable")
	x.want(t, "token", "unavailable")
	if x.host.reads != 2 {
		t.Errorf("the secret was read %d times", x.host.reads)
	}
	x.host.set("new", nil)
	x.advance(secretRetry)
	x.want(t, "token", "")
	x.host.set("", errors.New("down"))
	x.advance(2 * secretFor)
	x.want(t, "token", "")
}

func TestClosed(t *testing.T) {
	t.Parallel()
	f := newFake(t, active(nil))
	x := newTenant(t, f.URL, nil)
	_ = x.Close()
	x.want(t, "token", "unavailable")
	if f.requests.Load() != 0 {
		t.Error("a provider that was released asks")
	}
}

// A no that time turns into a yes is not remembered for longer than until then, here or by the host.
func TestNotYetIsNotRememberedForLong(t *testing.T) {
	f := newFake(t, nil)
	x := newTenant(t, f.URL, map[string]any{"clock_skew": "PT30S"})
	begins := x.now().Truncate(time.Second).Add(31 * time.Second)
	f.answers(active(map[string]any{"nbf": begins.Unix()}))
	if _, reason, hint := x.identify(t.Context(), "early"); reason != "token_not_yet_valid" || hint.MaxAge <= 0 || hint.MaxAge > time.Second {
		t.Errorf("%s, to be remembered %+v", reason, hint)
	}
	x.advance(time.Second)
	x.want(t, "early", "")
}

// That nobody is asked may be for one peer only: it is not told to another one.
func TestFaultsAreForOneRequest(t *testing.T) {
	f := newFake(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	x := newTenant(t, f.URL, nil)
	if _, reason, hint := x.identify(t.Context(), "x"); !strings.HasPrefix(reason, "unavailable") || !hint.NoStore {
		t.Errorf("%s, to be remembered %+v", reason, hint)
	}
}
