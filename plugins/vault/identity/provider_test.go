package identity

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/realmgate/realmgate/plugins/vault/client"
	"github.com/realmgate/realmgate/plugins/vault/login"
	"github.com/realmgate/realmgate/sdk"
)

// fake is a server that shows faults which a real one cannot be made to show. Every token is alice's, and every login works.
type fake struct {
	*httptest.Server

	mu      sync.Mutex
	answers map[string]http.HandlerFunc // by path, instead of its own
	asked   map[string]int              // by path
}

const (
	lookup      = "auth/token/lookup-self"
	entityOfHer = "identity/entity/id/e1"
)

func newFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{answers: map[string]http.HandlerFunc{}, asked: map[string]int{}}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.TrimPrefix(r.URL.Path, "/v1/")
		f.mu.Lock()
		f.asked[path]++
		h := f.answers[path]
		f.mu.Unlock()
		switch {
		case h != nil:
			h(w, r)
		case strings.HasSuffix(path, "/login"):
			fmt.Fprint(w, `{"request_id":"r","auth":{"client_token":"own","lease_duration":3600,"policies":["default"]}}`)
		case path == entityOfHer:
			fmt.Fprint(w, `{"request_id":"r","data":{"name":"alice"}}`)
		default:
			fmt.Fprint(w, `{"request_id":"r","data":{"type":"service","entity_id":"e1","display_name":"userpass-alice","path":"auth/userpass/login/alice","policies":["default"],"ttl":3600}}`)
		}
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *fake) on(path string, h http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[path] = h
}

func (f *fake) count(path string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[path]
}

func says(status int, words ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"errors": append([]string{}, words...)})
	}
}

func gives(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }
}

// withLogin are settings with which entities are read.
var withLogin = map[string]any{"approle": map[string]any{"role_id": "r"}}

func (f *fake) provider(t *testing.T, settings map[string]any) *Provider {
	t.Helper()
	all := map[string]any{"address": f.URL}
	maps.Copy(all, settings)
	raw, _ := json.Marshal(all)
	var s Settings
	if err := sdk.Decode(raw, &s); err != nil {
		t.Fatal(err)
	}
	p, err := New(&login.Pool{})(t.Context(), sdk.Setup{}, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func bearer(token string) sdk.Request { return sdk.Request{Scheme: "bearer", Token: token} }

// What the server says of the entity of a token, the provider's own login has to ask.
func TestEntities(t *testing.T) {
	t.Parallel()
	for what, x := range map[string]struct {
		answer http.HandlerFunc
		reason string // of the denial
		fault  string // of what is none
	}{
		"there":                    {nil, "", ""},
		"disabled":                 {gives(`{"request_id":"r","data":{"name":"alice","disabled":true}}`), "entity_disabled", ""},
		"gone":                     {says(404), "entity_missing", ""},
		"gone, says somebody else": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, "", "something between here and the server answers 404"},
		"not to be read":           {says(403, "permission denied"), "", `do not give "read" on identity/entity/id/*`},
		"sealed away":              {says(503, "Vault is sealed"), "", "the server is sealed"},
		"nothing":                  {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, "", "says nothing of the entity"},
		"of another form":          {gives(`{"request_id":"r","data":{"name":1}}`), "", "is not one about an entity"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.on(entityOfHer, x.answer)
			id, err := f.provider(t, withLogin).Identify(t.Context(), bearer("hvs.alice"))
			d := sdk.AsDenial(err)
			switch {
			case x.reason == "" && x.fault == "":
				if err != nil || id.Claims.Map()["entity_name"] != "alice" {
					t.Errorf("%v %v", id, err)
				}
			case x.reason != "":
				if d == nil || d.Reason != x.reason {
					t.Errorf("%v, want %s", err, x.reason)
				}
			case err == nil || d != nil || !strings.Contains(err.Error(), x.fault):
				t.Errorf("%v, want %q", err, x.fault)
			}
		})
	}
}

// Each look uses up a token that may be used so many times: it is not repeated where it may have counted.
func TestALookIsNotRepeated(t *testing.T) {
	t.Parallel()
	for what, x := range map[string]struct {
		answer http.HandlerFunc
		asked  int
	}{
		"an error": {says(500, "x"), 1}, "hung up": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 1}, "not taken up": {says(503, "Vault is sealed"), 3},
	} {
		f := newFake(t)
		f.on(lookup, x.answer)
		if _, err := f.provider(t, nil).Identify(t.Context(), bearer("hvs.alice")); err == nil || sdk.AsDenial(err) != nil || f.count(lookup) != x.asked {
			t.Errorf("%s: %v, asked %d times", what, err, f.count(lookup))
		}
	}
}

// What a page in between says is no token's.
func TestAnswersOfSomethingInBetween(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`{}`, `{"status":"ok"}`, `{"data":{"type":"service","entity_id":"e1","policies":["root"]}}`, `null`, ``} {
		f := newFake(t)
		f.on(lookup, gives(text))
		if id, err := f.provider(t, nil).Identify(t.Context(), bearer("hvs.alice")); err == nil || sdk.AsDenial(err) != nil {
			t.Errorf("%s: %v %v", text, id, err)
		}
	}
}

func TestTokensThatNobodyIsAskedAbout(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	p := f.provider(t, nil)
	for _, token := range []string{"hvs." + strings.Repeat("x", client.MaxToken), "hvs.a b", "hvs.\n", "hvs.\u00e9"} {
		if _, err := p.Identify(t.Context(), bearer(token)); sdk.AsDenial(err) == nil || sdk.AsDenial(err).Reason != "token_malformed" {
			t.Errorf("%q: %v", token, err)
		}
	}
	if n := f.count(lookup); n != 0 {
		t.Errorf("%d questions", n)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for what, x := range map[string]struct {
		settings map[string]any
		path     string
		answer   http.HandlerFunc
		want     string
	}{
		"a login":                        {withLogin, lookup, nil, ""},
		"one without a look":             {withLogin, lookup, says(403, "permission denied"), ""},
		"one that fails":                 {withLogin, "auth/approle/login", says(400, "invalid role or secret ID"), "login: AppRole: the server answers 400: invalid role or secret ID"},
		"one that the server disowns":    {withLogin, lookup, says(403, "invalid token"), "login: the server does not know a token any more"},
		"none":                           {nil, lookup, says(403, "missing client token"), ""},
		"none, and the server is away":   {nil, lookup, says(503, "Vault is sealed"), "the server is sealed"},
		"none, and something in between": {nil, lookup, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, "something between here and the server"},
	} {
		f := newFake(t)
		f.on(x.path, x.answer)
		err := sdk.Checker(f.provider(t, x.settings)).Check(t.Context())
		if x.want == "" && err != nil || x.want != "" && (err == nil || !strings.Contains(err.Error(), x.want)) {
			t.Errorf("%s: %v, want %q", what, err, x.want)
		}
	}
}
