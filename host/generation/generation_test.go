package generation_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/host/catalog"
	"github.com/realmgate/realmgate/host/child"
	"github.com/realmgate/realmgate/host/config"
	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/host/generation"
	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/serve"
)

func TestMain(m *testing.M) {
	child.Main()
	if os.Getenv(serve.Handshake.MagicCookieKey) == serve.Handshake.MagicCookieValue { // a host starts us as a plugin
		serveCounters()
	}
	code := m.Run()
	buildtest.Clean()
	os.Exit(code)
}

// world is the rooms that a generation is built on, with the real default plugin.
type world struct {
	generation.Deps
	catalog   *catalog.Catalog
	directory *directory.Directory
}

func newWorld(t testing.TB, env map[string]string, more ...catalog.Source) *world {
	t.Helper()
	dir, err := directory.Open(t.Context(), directory.Config{Type: "sqlite", Path: filepath.Join(t.TempDir(), "directory.db")})
	if err != nil {
		t.Fatal(err)
	}
	cat, err := catalog.New(catalog.Options{Logger: hclog.NewNullLogger(), Version: "test", Directory: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cat.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := dir.Close(); err != nil {
			t.Error(err)
		}
	})
	bundled, err := catalog.Bundled(buildtest.Plugin(t))
	if err != nil {
		t.Fatal(err)
	}
	set := cat.Prepare(t.Context(), append(bundled, more...))
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	return &world{generation.Deps{Plugins: set, Directory: dir, LookupEnv: lookup, Logger: hclog.NewNullLogger()}, cat, dir}
}

func load(t testing.TB, hcl string) *config.Config {
	t.Helper()
	cfg, diags := config.Load(config.Options{Default: []byte(hcl), DefaultName: "test.hcl"})
	if err := diags.Err(); err != nil {
		t.Fatal(err)
	}
	return cfg
}

func (w *world) build(t testing.TB, hcl string) *generation.Generation {
	t.Helper()
	gen, diags := generation.Build(t.Context(), load(t, hcl), w.Deps)
	if err := diags.Err(); err != nil {
		t.Fatal(err)
	}
	return gen
}

// token gets a token of a new root principal.
func (w *world) token(t testing.TB, gen *generation.Generation, realm string) string {
	t.Helper()
	var form url.Values
	created, err := w.directory.BootstrapAll(t.Context(), []string{realm}, func(all []directory.Root) error {
		s := all[0].Secret
		form = url.Values{
			"grant_type": {"client_credentials"}, "client_id": {s.ClientID}, "client_secret": {string(s.Secret.Reveal())}, "scope": {"PRINCIPAL_ROLE:ALL"},
		}
		return nil
	})
	if err != nil || len(created) != 1 {
		t.Fatalf("bootstrap %s: %v %v", realm, created, err)
	}
	svc, ok := gen.TokenService(realm)
	if !ok {
		t.Fatalf("realm %s has no token service", realm)
	}
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	rec := httptest.NewRecorder()
	svc.ServeHTTP(rec, req)
	var body struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &body); err != nil || body.AccessToken == "" {
		t.Fatalf("no token: %d %s", rec.Code, rec.Body)
	}
	return body.AccessToken
}

func decide(t testing.TB, gen *generation.Generation, realm, token string) pipeline.Decision {
	t.Helper()
	p, err := gen.Plan(realm)
	if err != nil {
		t.Fatal(err)
	}
	return p.Decide(t.Context(), sdk.Request{Scheme: "bearer", Token: token})
}

// Keys come by reference from an env and a file store; the file store's own folder is a plain setting.
func TestKeysByReference(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "b"), []byte(strings.Repeat("k", 40)), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, map[string]string{"KEY_A": strings.Repeat("a", 40), "OTHER": strings.Repeat("o", 40)})
	gen := w.build(t, fmt.Sprintf(`
secret_store "vars" {
  type      = "env"
  variables = ["KEY_A"]
}
secret_store "files" {
  type = "file"
  dir  = %q
}
authentication {
  token_broker {
    type = "symmetric-key"
  }
}
realm "a" {
  authentication {
    token_broker {
      secret = "urn:realmgate-secret:vars:KEY_A"
    }
  }
}
realm "b" {
  hosts = ["b.example"]
  authentication {
    token_broker {
      secret = "urn:polaris-secret:files:b"
    }
  }
}
`, dir))
	a, b := w.token(t, gen, "a"), w.token(t, gen, "b")
	for realm, token := range map[string]string{"a": a, "b": b} {
		if d := decide(t, gen, realm, token); d.Verdict != pipeline.Allowed || d.Principal.Name != "root" {
			t.Errorf("%s: %v %v %v", realm, d.Verdict, d.Denial, d.Err)
		}
	}
	if d := decide(t, gen, "b", a); d.Verdict != pipeline.Denied {
		t.Errorf("a token of a in b: %v", d.Verdict)
	}
	if name, ok := gen.RealmOfHost("b.example"); !ok || name != "b" {
		t.Errorf("host: %q %v", name, ok)
	}

	// What the environment has but no store lists is out of reach.
	poor, diags := generation.Build(t.Context(), load(t, `
secret_store "vars" {
  type      = "env"
  variables = ["KEY_A"]
}
realm "a" {
  authentication {
    token_broker {
      type   = "symmetric-key"
      secret = "urn:realmgate-secret:vars:OTHER"
    }
  }
}
`), w.Deps)
	if len(diags) != 1 || !diags[0].Warning || !strings.Contains(diags[0].Summary, "OTHER") {
		t.Errorf("a variable that no store lists: %v", diags)
	}
	if d := decide(t, poor, "a", a); d.Verdict != pipeline.Unavailable {
		t.Errorf("a realm without its key: %v", d.Verdict)
	}
}

// A plugin that does not start takes down the realms that name it; a type that nobody could offer is a fault of the configuration.
func TestFaultsAreBlamedWhereTheyBelong(t *testing.T) {
	hcl := `
realm "good" {}
realm "bad" {
  authentication {
    token_broker {
      type = "acme"
    }
  }
}
`
	w := newWorld(t, nil, catalog.Source{Name: "acme", Program: child.Program{Path: "/nonexistent/acme", TLS: true}})
	gen := w.build(t, hcl)
	if d := decide(t, gen, "good", w.token(t, gen, "good")); d.Verdict != pipeline.Allowed {
		t.Errorf("%v %v", d.Verdict, d.Err)
	}
	if _, err := gen.Plan("bad"); err == nil || !strings.Contains(err.Error(), `"acme"`) || !strings.Contains(err.Error(), "plugin acme did not start") {
		t.Errorf("bad: %v", err)
	}
	if _, err := gen.Plan("nowhere"); err == nil || !strings.Contains(err.Error(), "unknown realm") {
		t.Errorf("nowhere: %v", err)
	}
	if _, ok := gen.TokenService("bad"); ok {
		t.Error("a realm that is not served issues tokens")
	}

	_, diags := generation.Build(t.Context(), load(t, hcl), newWorld(t, nil).Deps)
	err := diags.Err()
	if err == nil || !strings.Contains(err.Error(), "test.hcl:6:") || !strings.Contains(err.Error(), `"acme"`) {
		t.Errorf("without such a plugin: %v", err)
	}
}

// While a plugin does not start nobody knows whether a type is mistyped: a warning tells where it stands first, and what may
// be meant.
func TestTypeThatNobodyKnows(t *testing.T) {
	realm := func(name, typ string) string {
		return "realm \"" + name + "\" {\n  authentication {\n    token_broker {\n      type = \"" + typ + "\"\n    }\n  }\n}\n"
	}
	w := newWorld(t, nil, catalog.Source{Name: "acme", Program: child.Program{Path: "/nonexistent/acme", TLS: true}})
	gen, diags := generation.Build(t.Context(), load(t, realm("a", "rsa-key-pear")+realm("b", "rsa-key-pear")+realm("c", "badge")), w.Deps)
	if err := diags.Err(); err != nil {
		t.Fatal(err)
	}
	if len(diags) != 2 || fmt.Sprint(gen.Unknown()) != fmt.Sprint(diags) {
		t.Fatalf("%v, of the generation: %v", diags, gen.Unknown())
	}
	for n, want := range []struct{ place, typ, detail string }{{"test.hcl:4:7", "rsa-key-pear", `Did you mean "rsa-key-pair"?`}, {"test.hcl:18:7", "badge", ""}} {
		d := diags[n]
		if !d.Warning || d.Place() != want.place || !strings.Contains(d.Summary, fmt.Sprintf("%q", want.typ)) || !strings.HasSuffix(d.Summary, "plugin acme did not start") ||
			d.Detail != want.detail {
			t.Errorf("%+v", d)
		}
	}
	w = newWorld(t, nil)
	if _, diags = generation.Build(t.Context(), load(t, realm("a", "rsa-key-pear")), w.Deps); len(diags) != 1 || diags[0].Warning || diags[0].Detail != `Did you mean "rsa-key-pair"?` {
		t.Errorf("while all start: %v", diags)
	}
}

// A part whose secret cannot be had at the start is tried again, and takes down no other realm meanwhile.
func TestSecretThatComesLate(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, nil)
	gen := w.build(t, fmt.Sprintf(`
secret_store "files" {
  type = "file"
  dir  = %q
}
realm "good" {}
realm "late" {
  authentication {
    token_broker {
      type   = "symmetric-key"
      secret = "urn:realmgate-secret:files:late"
    }
  }
}
`, dir))
	if d := decide(t, gen, "good", w.token(t, gen, "good")); d.Verdict != pipeline.Allowed {
		t.Errorf("good: %v %v", d.Verdict, d.Err)
	}
	if d := decide(t, gen, "late", "x"); d.Verdict != pipeline.Unavailable {
		t.Errorf("late, before: %v %v", d.Verdict, d.Denial)
	}
	if gen.Realms()["late"] == nil || gen.Realms()["good"] != nil {
		t.Errorf("state: %v", gen.Realms())
	}
	if err := os.WriteFile(filepath.Join(dir, "late"), []byte(strings.Repeat("k", 40)), 0o600); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); gen.Realms()["late"] != nil; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never came: %v", gen.Realms()["late"])
		}
	}
	if d := decide(t, gen, "late", w.token(t, gen, "late")); d.Verdict != pipeline.Allowed {
		t.Errorf("late, after: %v %v %v", d.Verdict, d.Denial, d.Err)
	}
}

// An authenticator that believes foreign identities is for external realms only.
func TestExternalOnly(t *testing.T) {
	_, diags := generation.Build(t.Context(), load(t, "realm \"a\" {\n  authentication {\n    authenticator {\n      type = \"claims\"\n    }\n  }\n}\n"), newWorld(t, nil).Deps)
	if err := diags.Err(); err == nil || !strings.Contains(err.Error(), "test.hcl:4:") || !strings.Contains(err.Error(), "external realms only") {
		t.Errorf("%v", err)
	}
}

// A build that fails leaves no instance behind, and neither does a release.
func TestNothingIsLeftBehind(t *testing.T) {
	w := newWorld(t, nil)
	instances := func() int { return w.catalog.Plugins()[0].Instances }
	gen := w.build(t, "realm \"a\" {}\nrealm \"b\" {}\n")
	if n := instances(); n != 1+2*2+3 { // of the daemon, of each realm, and the vendors that the plugin offers
		t.Errorf("%d instances of two realms", n)
	}
	gen.Release(t.Context())
	if n := instances(); n != 0 {
		t.Errorf("%d instances after the release", n)
	}
	_, diags := generation.Build(t.Context(), load(t, "authentication {\n  token_broker {\n    nonsense = 1\n  }\n}\nrealm \"a\" {}\nrealm \"b\" {}\n"), w.Deps)
	if err := diags.Err(); err == nil {
		t.Error("a setting that does not exist is taken")
	}
	if n := instances(); n != 0 {
		t.Errorf("%d instances after a build that failed", n)
	}
}

// Stores whose settings refer to each other are configured in the order of their references.
func TestStoresInOrder(t *testing.T) {
	w := newWorld(t, nil)
	_, diags := generation.Build(t.Context(), load(t, `
secret_store "a" {
  type = "file"
  dir  = "urn:realmgate-secret:b:x"
}
secret_store "b" {
  type = "file"
  dir  = "urn:realmgate-secret:a:x"
}
secret_store "c" {
  type = "file"
  dir  = "urn:realmgate-secret:c:x"
}
realm "demo" {}
`), w.Deps)
	text := ""
	for _, d := range diags {
		text += d.Summary + "\n"
	}
	for _, name := range []string{"a", "b", "c"} {
		if !strings.Contains(text, fmt.Sprintf("secret_store %q resolves its own settings through itself", name)) {
			t.Errorf("%s is not blamed:\n%s", name, text)
		}
	}
}
