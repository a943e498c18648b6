package older

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/internal/daemontest"
	"github.com/realmgate/realmgate/internal/need"
	"github.com/realmgate/realmgate/internal/oidctest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	buildtest.Clean()
	os.Exit(code)
}

const (
	plugin = "test/older/testdata/plugin" // built with the older SDK, or with today's
	host   = "test/older/testdata/host"   // the older daemon
)

// older runs the go command on what is in a folder, in a module of its own, which requires what is in testdata/proxy.
func older(t *testing.T, folder string, args ...string) {
	t.Helper()
	root := buildtest.Root(t)
	dir := t.TempDir()
	files, err := os.ReadDir(filepath.Join(root, folder))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		content, err := os.ReadFile(filepath.Join(root, folder, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, strings.TrimSuffix(f.Name(), ".pinned")), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := exec.Command("go", "env", "GOPROXY", "GOMODCACHE")
	env.Dir = dir
	out, err := env.Output()
	if err != nil {
		t.Fatalf("go env: %v", err)
	}
	proxy, cache, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	run := func(args ...string) (string, error) {
		cmd := exec.Command("go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly", "GOPRIVATE=", "GONOPROXY=none", "GONOSUMDB=github.com/realmgate/realmgate",
			"GOPROXY=file://"+filepath.Join(root, "test/older/testdata/proxy")+",file://"+filepath.Join(cache, "cache/download")+","+proxy)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run("mod", "download"); err != nil {
		need.Missing(t, "the modules of the older SDK or daemon cannot be fetched: %v\n%s", err, out)
	}
	if out, err := run(args...); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// realm has all of its stages from the plugin whose binary is to be named.
const realm = `
plugin "older" {
  path = %q
  allow {
    principals = true
  }
}
directory {
  type = "sqlite"
  path = "data/realmgate.db"
}
active_roles_provider {
  type = "older"
}
tenant "t" {
  identity_provider {
    type = "older"
  }
  principal_mapper {
    type  = "older"
    claim = "sub"
  }
  principal_roles_mapper {
    type = "older"
  }
}
realm "r" {
  tenant = "t"
  authentication {
    type = "mixed"
    authenticator {
      type = "older"
    }
    token_broker {
      type = "older"
    }
  }
}
`

// decides has a daemon decide in such a realm, on tokens of every kind.
func decides(t *testing.T, d *daemontest.Daemon) {
	t.Helper()
	d.Principal("r", "alice", "auditor")
	foreign := func(claims string) string { return base64.RawURLEncoding.EncodeToString([]byte(claims)) }
	for _, c := range []struct {
		name, token string
		status      int
		who, roles  string
	}{
		{"own token", d.Token("r"), http.StatusOK, "root", "service_admin"},
		{"foreign token", foreign(`{"sub":"alice","roles":["auditor"]}`), http.StatusOK, "alice", "auditor"},
		{"denied by the broker", "older.never-issued", http.StatusUnauthorized, "token_invalid", ""},
		{"denied by the provider", foreign(`{"sub":"alice","expired":true}`), http.StatusUnauthorized, "token_expired", ""},
		{"denied by a mapper", foreign(`{"roles":["auditor"]}`), http.StatusUnauthorized, "claim_missing", ""},
		{"unknown to the directory", foreign(`{"sub":"bob"}`), http.StatusForbidden, "principal_unknown", ""},
		{"denied by the last stage", foreign(`{"sub":"alice","roles":["owner"]}`), http.StatusForbidden, "role_not_granted", ""},
		{"nobody's", "nonsense", http.StatusUnauthorized, "token_not_recognised", ""},
		{"at fault", foreign(`{"sub":"broken"}`), http.StatusServiceUnavailable, "unavailable", ""},
	} {
		a := d.Check("r", c.token)
		if who, roles := a.Who(); a.Status != c.status || who != c.who || roles != c.roles {
			t.Errorf("%s: %d %s %s, want %d %s %s", c.name, a.Status, who, roles, c.status, c.who, c.roles)
		}
	}
}

// A plugin of the older SDK has every stage of decisions in today's daemon, issues its tokens, and asks it for principals.
func TestOlderPlugin(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "realmgate-plugin-older")
	older(t, plugin, "build", "-o", binary, ".")
	d := daemontest.New(t, daemontest.Options{HCL: fmt.Sprintf(realm, binary)})
	d.Start()
	decides(t, d)
	for _, part := range []string{"token-broker(older)", "authenticator(older)"} { // its SDK does not know how to say that they may be
		if want := "decisions are not remembered where this part is used"; !strings.Contains(d.Log.String(), want) || !strings.Contains(d.Log.String(), part) {
			t.Errorf("the daemon does not say of %s: %s", part, want)
		}
	}
}

// The suite that today's operator runs on a plugin accepts that of the older SDK.
func TestVerifyOlderPlugin(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "realmgate-plugin-older")
	older(t, plugin, "build", "-o", binary, ".")
	cases := filepath.Join(dir, "cases.json")
	if err := os.WriteFile(cases, []byte(`[{"kind": "principal-mapper", "type": "older", "settings": {"claim": "sub"}, "claims": {"sub": "alice"}}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(buildtest.Command(t, "host/cmd/realmgate", "realmgate"), "plugin", "verify", "--json", "--case", cases, binary)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var report struct {
		Checks []struct{ Kind, Check, Outcome string }
	}
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatal(err)
	}
	called := map[string]bool{}
	for _, c := range report.Checks {
		if c.Check == "call" && c.Outcome == "ok" {
			called[c.Kind] = true
		}
	}
	for _, kind := range []string{"token-broker", "principal-mapper"} {
		if !called[kind] {
			t.Errorf("the suite called no %s of the plugin:\n%s", kind, out)
		}
	}
}

// A plugin of today, which says more of itself than an older host knows, passes with the suite of the older SDK as its host.
func TestOlderHost(t *testing.T) {
	suite := filepath.Join(t.TempDir(), "host.test")
	older(t, plugin, "test", "-c", "-o", suite, ".")
	cmd := exec.Command(suite, "-test.run=^TestHost$", "-test.v")
	cmd.Env = append(os.Environ(), "PLUGIN="+buildtest.Command(t, plugin, "realmgate-plugin-older"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, ran := range []string{"token-broker_older/", "identity-provider_older/", "principal-roles-mapper_older/", "active-roles-provider_older/"} {
		if !strings.Contains(string(out), ran) {
			t.Errorf("the suite did not run %s:\n%s", ran, out)
		}
	}
}

// The older daemon runs today's plugins: one whose parts are all stages of a realm, the bundled one, and the example's mapper.
func TestOlderDaemon(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "realmgate")
	older(t, host, "build", "-o", binary, "github.com/realmgate/realmgate/host/cmd/realmgate")
	idp := oidctest.Start(t, oidctest.Options{})
	d := daemontest.New(t, daemontest.Options{HCL: fmt.Sprintf(realm, buildtest.Command(t, plugin, "realmgate-plugin-older")) + fmt.Sprintf(`
plugin "acme" {
  path = %q
}
tenant "foreign" {
  identity_provider {
    type            = "oidc"
    issuer          = %q
    audience        = ["realmgate"]
    role_claim_path = "polaris/roles"
  }
  principal_mapper {
    type   = "badge"
    claim  = "badge"
    prefix = "staff-"
  }
  principal_roles_mapper {
    type = "default"
    mapping {
      regex       = "(.*)"
      replacement = "PRINCIPAL_ROLE:$1"
    }
  }
}
realm "bundled" {
  tenant = "foreign"
  authentication {
    type = "mixed"
    authenticator {
      type = "default"
    }
    token_broker {
      type = "key-pair"
    }
  }
}
`, buildtest.Command(t, "examples/realmgate-plugin-acme", "realmgate-plugin-acme"), idp.Issuer)})
	d.Command = binary
	d.Start()
	decides(t, d)
	d.Principal("bundled", "staff-17", "auditor")
	foreign := func(badge string, roles ...string) string {
		return idp.Token(t, oidctest.TokenOptions{Claims: map[string]any{"badge": badge, "polaris": map[string]any{"roles": roles}}})
	}
	for _, c := range []struct {
		name, token string
		status      int
		who, roles  string
	}{
		{"own token", d.Token("bundled"), http.StatusOK, "root", "service_admin"},
		{"foreign token", foreign("17", "auditor"), http.StatusOK, "staff-17", "auditor"},
		{"another's role", foreign("17", "owner"), http.StatusForbidden, "role_not_granted", ""},
		{"nobody", foreign("18"), http.StatusForbidden, "principal_unknown", ""},
		{"nonsense", "nonsense", http.StatusUnauthorized, "token_opaque", ""},
	} {
		a := d.Check("bundled", c.token)
		if who, roles := a.Who(); a.Status != c.status || who != c.who || roles != c.roles {
			t.Errorf("%s: %d %s %s, want %d %s %s", c.name, a.Status, who, roles, c.status, c.who, c.roles)
		}
	}
}
