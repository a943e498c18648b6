package vault

import (
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/realmgate/realmgate/internal/vaulttest"
)

// longest bounds an answer: a part waits for a second, the daemon for three, a busy machine for longer.
const longest = 20 * time.Second

// faulty is a server, and doors to it that have the faults which the server itself cannot be made to show.
type faulty struct {
	*world
	slow    *httptest.Server // answers nothing until open
	open    atomic.Bool
	standby *httptest.Server         // redirects to the server, as a standby does
	lost    *httptest.Server         // redirects to a node that the configuration does not know
	alone   *httptest.Server         // a standby that finds no active node
	codes   map[int]*httptest.Server // answer everything with a status that health checks of nodes which are not active have

	role, pem string
}

func newFaulty(t *testing.T) *faulty {
	t.Helper()
	f := &faulty{world: newWorld(t, vaulttest.Start(t)), pem: ecKey(t)}
	to, err := url.Parse(f.URL)
	if err != nil {
		t.Fatal(err)
	}
	through := httputil.NewSingleHostReverseProxy(to)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: f.Pool}}
	through.Transport = transport
	t.Cleanup(transport.CloseIdleConnections)
	serve := func(h http.HandlerFunc) *httptest.Server {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return s
	}
	f.slow = serve(func(w http.ResponseWriter, r *http.Request) {
		if !f.open.Load() {
			_, _ = io.Copy(io.Discard, r.Body) // else nobody sees that the client is gone
			<-r.Context().Done()
			return
		}
		through.ServeHTTP(w, r)
	})
	redirect := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, to+r.URL.RequestURI(), http.StatusTemporaryRedirect)
		}
	}
	f.standby, f.lost = serve(redirect(f.URL)), serve(redirect("https://127.0.0.1:1"))
	f.alone = serve(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(w, `{"errors":["local node not active but active cluster node not found"]}`)
	})
	f.codes = map[int]*httptest.Server{}
	for _, status := range []int{429, 472, 473} {
		f.codes[status] = serve(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, `{"initialized":true,"sealed":false,"standby":true}`)
		})
	}
	f.prepare(t)
	return f
}

func (f *faulty) prepare(t *testing.T) {
	t.Helper()
	f.Do(t, http.MethodPost, "sys/mounts/kv", map[string]any{"type": "kv", "options": map[string]any{"version": "2"}})
	f.Do(t, http.MethodPost, "sys/mounts/transit", map[string]any{"type": "transit"})
	f.newKey(t, "realm1", "ecdsa-p256")
	f.newKey(t, "other", "ecdsa-p256")
	eventually(t, "the key-value engine is ready", func() bool { return f.Status(t, http.MethodGet, "kv/config", f.Token) == http.StatusOK })
	for _, name := range []string{"broker", "hidden"} {
		f.Do(t, http.MethodPost, "kv/data/operator/"+name, map[string]any{"data": map[string]any{"pem": f.pem}})
	}
	f.Policy(t, "realmgate", `
path "kv/data/operator/broker" { capabilities = ["read"] }
path "kv/data/operator/none"   { capabilities = ["read"] }
path "identity/entity/id/*"    { capabilities = ["read"] }
path "transit/keys/+"          { capabilities = ["read"] }
path "transit/sign/realm1"     { capabilities = ["update"] }
`)
	f.Do(t, http.MethodPost, "sys/auth/approle", map[string]any{"type": "approle"})
	f.role = f.approle(t, "realmgate", map[string]any{"token_policies": "realmgate"})
}

// reach is how a part reaches the server, or a door to it.
func (f *faulty) reach(address, more string) string {
	return fmt.Sprintf(`
    address     = %q
    timeout     = "PT1S"
    max_retries = 0
    %s
    approle {
      role_id   = %q
      secret_id = "urn:realmgate-secret:bootstrap:secret-id"
    }`, address, more, f.role)
}

// Whatever is wrong between the daemon and a server, a realm that needs it is unavailable, in a time that is bounded, the log
// says which reference, store or key it is and why, and other realms serve. What comes back is used without a restart.
func TestFaultsThroughTheDaemon(t *testing.T) {
	t.Parallel()
	f := newFaulty(t)
	user := newUser(t, f.world)
	secretID := f.secretID(t, "realmgate")
	ca := fmt.Sprintf("ca_file = %q", f.CAFile)
	foreign := fmt.Sprintf("ca_file = %q", vaulttest.NewAuthority(t).CAFile)
	config := bootstrap(t, map[string]string{"secret-id": secretID, "wrong-id": "wrong-" + rand.Text()}) + `realm "plain" {}` + "\n"
	for name, x := range map[string]struct{ reach, path string }{
		"good":     {f.reach(f.URL, ca), "broker"},
		"absent":   {f.reach(f.URL, ca), "none"},
		"denied":   {f.reach(f.URL, ca), "hidden"},
		"stranger": {f.reach(f.URL, foreign), "broker"},
		"nologin":  {strings.ReplaceAll(f.reach(f.URL, ca), "bootstrap:secret-id", "bootstrap:wrong-id"), "broker"},
		"slow":     {f.reach(f.slow.URL, ""), "broker"},
		"standby":  {f.reach(f.standby.URL, ca+fmt.Sprintf("\n    further_addresses = [%q]", f.URL)), "broker"},
		"lost":     {f.reach(f.lost.URL, ""), "broker"},
		"alone":    {f.reach(f.alone.URL, ""), "broker"},
		"s429":     {f.reach(f.codes[429].URL, ""), "broker"},
		"s472":     {f.reach(f.codes[472].URL, ""), "broker"},
		"s473":     {f.reach(f.codes[473].URL, ""), "broker"},
	} {
		config += fmt.Sprintf("secret_store %q {\n  type = \"vault\"\n  max_age = \"PT0S\"\n%s\n}\nrealm %[1]q {\n  authentication {\n    token_broker {\n"+
			"      type = \"key-pair\"\n      private_key = \"urn:realmgate-secret:%[1]s:kv/operator/%[3]s#pem\"\n    }\n  }\n}\n", name, x.reach, x.path)
	}
	for name, x := range map[string]struct{ reach, key string }{
		"signed-slow":     {f.reach(f.slow.URL, ""), "realm1"},
		"signed-stranger": {f.reach(f.URL, foreign), "realm1"},
		"signed-denied":   {f.reach(f.URL, ca), "other"},
		"signed-absent":   {f.reach(f.URL, ca), "none"},
		"signed-standby":  {f.reach(f.standby.URL, ca+fmt.Sprintf("\n    further_addresses = [%q]", f.URL)), "realm1"},
	} {
		config += fmt.Sprintf("realm %q {\n  authentication {\n    token_broker {\n      type = \"vault-transit\"\n      key = %q\n%s\n    }\n  }\n}\n", name, x.key, x.reach)
	}
	for name, reach := range map[string]string{
		"people-slow": f.reach(f.slow.URL, ""), "people-stranger": f.reach(f.URL, foreign), "people-lost": f.reach(f.lost.URL, ""),
		"people-429": f.reach(f.codes[429].URL, ""), "people-472": f.reach(f.codes[472].URL, ""), "people-473": f.reach(f.codes[473].URL, ""),
	} {
		config += fmt.Sprintf("tenant %q {\n  identity_provider {\n    type = \"vault-token\"\n    max_age = \"PT0S\"\n%s\n  }\n  principal_mapper {\n    name_claim_path = \"display_name\"\n  }\n}\n"+
			"realm %[1]q {\n  tenant = %[1]q\n  authentication {\n    type = \"external\"\n    authenticator {\n      type = \"claims\"\n    }\n  }\n}\n", name, reach)
	}
	g := newGate(t, config)
	g.Start()
	g.leavesNoTraceOf(map[string]string{"the key": strings.Split(f.pem, "\n")[1], "the root token": f.Token, "a token of the server": "hvs.", "the secret id": secretID, "the user's token": user})
	for _, realm := range []string{"plain", "good", "standby", "signed-standby"} {
		if a := g.check(realm, g.Token(realm)); a.Status != http.StatusOK {
			t.Errorf("%s: %d %s", realm, a.Status, a.Text)
		}
	}
	for realm, words := range map[string]string{
		"absent":          "urn:realmgate-secret:absent:kv/operator/none#pem: plugin vault: secret-resolver(vault): there is no such secret",
		"denied":          `urn:realmgate-secret:denied:kv/operator/hidden#pem: plugin vault: secret-resolver(vault): the policies of the store's token do not give "read" on kv/data/operator/hidden`,
		"stranger":        "urn:realmgate-secret:stranger:kv/operator/broker#pem: plugin vault: secret-resolver(vault): login: AppRole: the server cannot be reached: x509: certificate signed by unknown authority",
		"nologin":         "urn:realmgate-secret:nologin:kv/operator/broker#pem: plugin vault: secret-resolver(vault): login: AppRole: the server answers 400: invalid role or secret ID",
		"slow":            "urn:realmgate-secret:slow:kv/operator/broker#pem: plugin vault: secret-resolver(vault): login: AppRole: the server does not answer in time",
		"lost":            "urn:realmgate-secret:lost:kv/operator/broker#pem: plugin vault: secret-resolver(vault): login: AppRole: the server redirects to a host that is not among the addresses",
		"alone":           "urn:realmgate-secret:alone:kv/operator/broker#pem: plugin vault: secret-resolver(vault): login: AppRole: the node is a standby that finds no active one (status 500)",
		"s429":            "urn:realmgate-secret:s429:kv/operator/broker#pem: plugin vault: secret-resolver(vault): login: AppRole: the server answers 429; its own log may say why",
		"s472":            "urn:realmgate-secret:s472:kv/operator/broker#pem: plugin vault: secret-resolver(vault): login: AppRole: something between here and the server answers 472",
		"s473":            "urn:realmgate-secret:s473:kv/operator/broker#pem: plugin vault: secret-resolver(vault): login: AppRole: something between here and the server answers 473",
		"signed-slow":     ": plugin vault: token-broker(vault-transit): login: AppRole: the server does not answer in time",
		"signed-stranger": ": plugin vault: token-broker(vault-transit): login: AppRole: the server cannot be reached: x509: certificate signed by unknown authority",
		"signed-denied":   ": plugin vault: token-broker(vault-transit): the policies of the broker's token do not give ",
		"signed-absent":   ": plugin vault: token-broker(vault-transit): there is no key transit/keys/none",
	} {
		began := time.Now()
		if !g.fails(realm) {
			t.Errorf("%s: it is not unavailable", realm)
		}
		if took := time.Since(began); took > longest {
			t.Errorf("%s: it took %v", realm, took)
		}
		g.explains(realm, words)
		if strings.HasPrefix(words, "urn:") {
			g.explains("/private_key: secret store "+realm+": "+words, realm)
		}
	}
	for realm, words := range map[string]string{
		"people-slow": "does not answer in time", "people-stranger": "certificate signed by unknown authority", "people-lost": "redirects to a host that is not among the addresses",
		"people-429": "the server answers 429", "people-472": "something between here and the server answers 472", "people-473": "something between here and the server answers 473",
	} {
		began := time.Now()
		if a := g.check(realm, user); a.Status != http.StatusServiceUnavailable || time.Since(began) > longest {
			t.Errorf("%s: %d %s after %v", realm, a.Status, a.Text, time.Since(began))
		}
		g.explains(realm, words)
	}
	f.open.Store(true)
	eventually(t, "the slow server is well again", func() bool {
		return g.Issue("slow").Status == http.StatusOK && g.Issue("signed-slow").Status == http.StatusOK && g.check("people-slow", user).Status == http.StatusOK
	})
	f.open.Store(false)
	if a := g.check("people-slow", user); a.Status != http.StatusServiceUnavailable {
		t.Errorf("the server is slow again: %d %s", a.Status, a.Text)
	}
	if !g.fails("signed-slow") {
		t.Error("the server is slow again, but signs")
	}
}
