package lifecycle

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/realmgate/realmgate/host/admin"
	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/internal/daemontest"
)

// gate is a daemon whose realms have known principals.
type gate struct {
	*daemontest.Daemon
	t       *testing.T
	runtime string // where its sockets are
	plugins string // where the binaries of its own plugins are
}

// The realms that every daemon has: "a" and "b" have directories and brokers of their own, whose keys outlive all processes.
// Nothing is remembered of decisions, so that each of them meets the plugins.
const realms = `
log {
  level = "error"
}
secret_store "files" {
  type = "file"
  dir  = "secrets"
}
authentication {
  timeout = "TIMEOUT"
  cache {
    max_age = "0s"
  }
  token_broker {
    type = "symmetric-key"
  }
}
realm "a" {
  authentication {
    timeout = "10s"
    token_broker {
      secret = "urn:realmgate-secret:files:a"
    }
  }
}
realm "b" {
  authentication {
    timeout = "10s"
    token_broker {
      secret = "urn:realmgate-secret:files:b"
    }
  }
}
`

// cards is the configuration of a plugin that takes cards, of a realm of the same name that takes them, and of another realm
// with cards of its own.
func cards(name, binary, tag string) string {
	return fmt.Sprintf(strings.NewReplacer("NAME", name, "TAG", tag).Replace(`
plugin "NAME" {
  path = %q
  env  = { CARD_TYPE = "NAME" }
}
tenant "NAME" {
  identity_provider {
    type = "NAME"
    key  = "urn:realmgate-secret:files:card-NAME"
    tag  = "TAG"
  }
  principal_mapper {
    name_claim_path = "sub"
  }
  principal_roles_mapper {
    mapping {
      regex       = "^.*$"
      replacement = "PRINCIPAL_ROLE:TAG-$0"
    }
  }
}
realm "NAME" {
  tenant = "NAME"
  authentication {
    type = "external"
    authenticator {
      type = "claims"
    }
  }
}
tenant "other-NAME" {
  identity_provider {
    type = "NAME"
    key  = "urn:realmgate-secret:files:other-NAME"
    tag  = "other"
  }
  principal_mapper {
    name_claim_path = "sub"
  }
  principal_roles_mapper {
    mapping {
      regex       = "^.*$"
      replacement = "PRINCIPAL_ROLE:$0"
    }
  }
}
realm "other-NAME" {
  tenant = "other-NAME"
  authentication {
    type = "external"
    authenticator {
      type = "claims"
    }
  }
}
`), binary)
}

// How long a decision may take: where what is asked may hang, and where nothing may be unavailable, however slow the machine.
const (
	short = "2s"
	long  = "10s"
)

// newGate prepares a daemon; hcl is what the configuration has beside the two realms. It does not run yet.
func newGate(t *testing.T, timeout string, hcl func(*gate) string, args ...string) *gate {
	t.Helper()
	g := &gate{t: t, plugins: t.TempDir()}
	var err error
	if g.runtime, err = os.MkdirTemp("", "rgt"); err != nil { // the path of a socket is short
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(g.runtime) })
	g.Daemon = daemontest.New(t, daemontest.Options{
		HCL: strings.ReplaceAll(realms, "TIMEOUT", timeout) + hcl(g), Args: args,
		Env: []string{"RUNTIME_DIRECTORY=" + g.runtime, "GODEBUG=gctrace=1"}, // what is live after each garbage collection is in the log
	})
	dir := filepath.Join(g.Dir, "secrets")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range append([]string{"a", "b"}, secretNames...) {
		g.write(filepath.Join("secrets", name), secretOf(name))
	}
	return g
}

// secretNames are the secrets of cards.
var secretNames = []string{
	"card-cards", "other-cards", "card-card1", "other-card1", "card-card2", "other-card2", "card-card3", "other-card3",
}

// secretOf gives a secret of the tests.
func secretOf(name string) string {
	sum := sha256.Sum256([]byte("secret " + name))
	return hex.EncodeToString(sum[:])
}

func (g *gate) write(name, text string) {
	g.t.Helper()
	path := filepath.Join(g.Dir, name)
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		g.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		g.t.Fatal(err)
	}
}

// config gives the text of the configuration file.
func (g *gate) config() string {
	g.t.Helper()
	text, err := os.ReadFile(filepath.Join(g.Dir, "config.hcl"))
	if err != nil {
		g.t.Fatal(err)
	}
	return string(text)
}

// client makes a principal of a realm and gives tokens of it, one for each scope.
func (g *gate) client(realm, name string, roles []string, scopes ...string) []string {
	g.t.Helper()
	args := []string{"principal", "create", "--json", "--realm", realm, name}
	for _, r := range roles {
		g.Operate("role", "create", "--realm", realm, r)
		args = append(args, "--role", r)
	}
	var made admin.CreatedPrincipal
	if err := json.Unmarshal([]byte(g.Operate(args...)), &made); err != nil {
		g.t.Fatal(err)
	}
	out := make([]string, len(scopes))
	for n, scope := range scopes {
		out[n] = g.TokenIn(g.Grant(realm, made.Credentials.ClientID, made.Credentials.ClientSecret, "PRINCIPAL_ROLE:"+scope))
	}
	return out
}

// inside gives questions about the two realms that every daemon has.
func (g *gate) inside() []question {
	g.t.Helper()
	ann := g.client("a", "ann", []string{"reader", "writer"}, "ALL", "reader")
	ben := g.client("b", "ben", []string{"auditor"}, "ALL")
	return []question{
		{"a", ann[0], allows("a", "ann", "reader,writer")},
		{"a", ann[1], allows("a", "ann", "reader")},
		{"b", ben[0], allows("b", "ben", "auditor")},
		{"a", ben[0], denies("token_not_recognised")},
		{"b", ann[0], denies("token_not_recognised")},
		{"a", damaged(ann[0]), denies("signature_invalid")},
	}
}

// outside gives questions about the realm of cards of a name and the other one. What changes with the generation: the tag of the
// former, and the build of the plugin.
func outside(name string, build, tag func(generation int64) string) []question {
	eve := card("card-"+name, "eve", "dev")
	return []question{
		{name, eve, func(r reply, g int64) bool {
			roles := []string{tag(g) + "-dev", tag(g) + "-" + build(g)}
			slices.Sort(roles)
			return allows(name, tag(g)+".eve", strings.Join(roles, ","))(r, g)
		}},
		{"other-" + name, card("other-"+name, "dan", "aide"), func(r reply, g int64) bool {
			return allows("other-"+name, "other.dan", "aide,"+build(g))(r, g)
		}},
		{"other-" + name, eve, denies("card_forged")},
		{name, damaged(eve), denies("card_forged")},
		{"a", eve, denies("token_not_recognised")},
	}
}

// card makes a card with the key of a secret.
func card(secret, name, role string) string {
	said := name + "~" + role
	h := hmac.New(sha256.New, []byte(secretOf(secret)))
	_, _ = h.Write([]byte(said)) // never fails
	return said + "~" + hex.EncodeToString(h.Sum(nil))
}

// damaged changes the first character of a signature.
func damaged(token string) string {
	n := strings.LastIndexAny(token, ".~") + 1
	c := "0"
	if token[n:n+1] == c {
		c = "1"
	}
	return token[:n] + c + token[n+1:]
}

func always(s string) func(int64) string { return func(int64) string { return s } }

// builds are the builds of the plugin that takes cards, by build and fault.
var builds struct {
	sync.Mutex
	path map[string]string
}

// build gives the path of a build of the plugin that takes cards; broken is what is wrong with it, if anything.
func build(t *testing.T, name, broken string) string {
	t.Helper()
	folder := filepath.Dir(buildtest.Command(t, "host/cmd/realmgate", "realmgate"))
	builds.Lock()
	defer builds.Unlock()
	key := "card-" + name + broken
	if path, ok := builds.path[key]; ok {
		return path
	}
	out := filepath.Join(folder, key)
	cmd := exec.Command("go", "build", "-ldflags", "-X main.build="+name+" -X main.broken="+broken, "-o", out, "./test/lifecycle/card")
	cmd.Dir = buildtest.Root(t)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if builds.path == nil {
		builds.path = map[string]string{}
	}
	builds.path[key] = out
	return out
}

// install puts a file in the place of the binary of a plugin of the gate, as an upgrade does: it takes over the name.
func (g *gate) install(plugin, from string) string {
	g.t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		g.t.Fatal(err)
	}
	path := filepath.Join(g.plugins, plugin)
	if err := os.WriteFile(path+".new", text, 0o700); err != nil {
		g.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		g.t.Fatal(err)
	}
	return path
}

// self gives the path of the test binary.
func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// principal gives what is known of a principal.
func (g *gate) principal(realm, name string) (p admin.Principal) {
	g.t.Helper()
	if err := json.Unmarshal([]byte(g.Operate("principal", "get", "--json", "--realm", realm, name)), &p); err != nil {
		g.t.Fatal(err)
	}
	return p
}
