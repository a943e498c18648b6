package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/realmgate/realmgate/host/admin"
)

// connected are two realms that keep the secrets of their connections in one store.
const connected = `
secret_store "local" {
  type     = "sealed-file"
  dir      = "data/secrets"
  key_file = "data/secrets.key"
  grant {
    realm  = "demo"
    prefix = "demo/"
  }
  grant {
    realm  = "other"
    prefix = "other/"
  }
}
connections {
  secret_store = "local"
  manage_roles = ["service_admin"]
  use_roles    = ["service"]
}
realm "demo" {}
realm "other" {}
`

// ask sends a request to a realm's connections.
func (d *gate) connection(method, realm, rest, token, body string) answer {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), method, d.url+"/realms/"+realm+"/v1/connections"+rest, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return d.do(req)
}

// user makes a principal with a role of its own and gives a token of it.
func (d *gate) user(realm, name, role string) string {
	d.t.Helper()
	d.command("role", "create", "-r", realm, role)
	var made struct {
		Credentials struct {
			ID     string `json:"client_id"`
			Secret string `json:"client_secret"`
		} `json:"credentials"`
	}
	if err := json.Unmarshal([]byte(d.command("principal", "create", "-r", realm, name, "--json")), &made); err != nil {
		d.t.Fatal(err)
	}
	d.command("role", "grant", "-r", realm, role, name)
	a := d.grant(realm, made.Credentials.ID, made.Credentials.Secret, "PRINCIPAL_ROLE:"+role)
	token, _ := a.body["access_token"].(string)
	if token == "" {
		d.t.Fatalf("no token for %s: %d %s", name, a.status, a.text)
	}
	return token
}

func remote(name, uri, authentication string) string {
	return fmt.Sprintf(`{"name":%q,"connectionConfigInfo":{"connectionType":"GENERIC_HTTP","uri":%q,"authenticationParameters":%s}}`, name, uri, authentication)
}

func bearer(value string) string {
	return fmt.Sprintf(`{"authenticationType":"BEARER","bearerToken":%q}`, value)
}

const remoteURI = "https://203.0.113.7/api"

// A principal with the one role makes a connection, one with the other role gets its credentials, and nobody else anything.
func TestConnections(t *testing.T) {
	t.Parallel()
	d := start(t, connected)
	root, service, dev := d.rootToken("demo"), d.user("demo", "worker", "service"), d.user("demo", "dev", "dev")
	const value = "hunter2-of-demo"
	create := remote("glue", remoteURI, bearer(value))
	for who, token := range map[string]string{"the user": service, "somebody": dev} {
		if a := d.connection(http.MethodPost, "demo", "", token, create); a.status != http.StatusForbidden {
			t.Errorf("%s creates: %d %s", who, a.status, a.text)
		}
	}
	if a := d.connection(http.MethodPost, "demo", "", "", create); a.status != http.StatusUnauthorized || a.reason() != "credential_missing" || a.header.Get("WWW-Authenticate") == "" {
		t.Errorf("nobody creates: %d %s", a.status, a.text)
	}
	if a := d.connection(http.MethodPost, "demo", "", root, create); a.status != http.StatusCreated || strings.Contains(a.text, value) {
		t.Fatalf("create: %d %s", a.status, a.text)
	}
	for _, token := range []string{root, service} {
		if a := d.connection(http.MethodGet, "demo", "/glue", token, ""); a.status != http.StatusOK || !strings.Contains(a.text, remoteURI) || strings.Contains(a.text, value) {
			t.Errorf("get: %d %s", a.status, a.text)
		}
	}
	if a := d.connection(http.MethodPost, "demo", "/glue/credentials", service, "{}"); a.status != http.StatusOK || !strings.Contains(a.text, value) || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("credentials: %d %v %s", a.status, a.header, a.text)
	}
	for who, token := range map[string]string{"the manager": root, "somebody": dev} {
		if a := d.connection(http.MethodPost, "demo", "/glue/credentials", token, "{}"); a.status != http.StatusForbidden || strings.Contains(a.text, value) {
			t.Errorf("%s gets credentials: %d %s", who, a.status, a.text)
		}
	}
	for _, name := range []string{"glue", "nothing"} { // who may not even list cannot find out what there is
		if a := d.connection(http.MethodGet, "demo", "/"+name, dev, ""); a.status != http.StatusForbidden {
			t.Errorf("somebody gets %s: %d %s", name, a.status, a.text)
		}
	}
	for path, mode := range map[string]fs.FileMode{"data/secrets": 0o700, "data/secrets.key": 0o600} {
		if info, err := os.Stat(filepath.Join(d.dir, path)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}

	// The role that goes takes the right along, with the token that is there already.
	d.command("role", "revoke", "-r", "demo", "service", "worker")
	if a := d.connection(http.MethodPost, "demo", "/glue/credentials", service, "{}"); a.status != http.StatusForbidden || a.reason() != "role_not_granted" {
		t.Errorf("credentials without the role: %d %s", a.status, a.text)
	}
	if a := d.connection(http.MethodDelete, "demo", "/glue", root, ""); a.status != http.StatusNoContent {
		t.Errorf("delete: %d %s", a.status, a.text)
	}
	if a := d.connection(http.MethodGet, "demo", "/glue", root, ""); a.status != http.StatusNotFound {
		t.Errorf("after the end: %d %s", a.status, a.text)
	}
	d.keepsNo(value)
}

// keepsNo looks for secrets in everything that a daemon has written.
func (d *gate) keepsNo(values ...string) {
	d.t.Helper()
	err := filepath.WalkDir(d.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		for _, v := range values {
			if strings.Contains(string(text), v) {
				d.t.Errorf("%s has a secret", path)
			}
		}
		return err
	})
	if err != nil {
		d.t.Error(err)
	}
	for _, v := range values {
		if strings.Contains(d.log.String(), v) {
			d.t.Error("the log of the daemon has a secret")
		}
	}
}

// Two realms share a store, a plugin, a daemon and the name of a connection, and nothing else.
func TestConnectionsOfTwoRealms(t *testing.T) {
	t.Parallel()
	d := start(t, connected)
	realms := []string{"demo", "other"}
	root, service := map[string]string{}, map[string]string{}
	for _, r := range realms {
		root[r], service[r] = d.rootToken(r), d.user(r, "worker", "service")
		if a := d.connection(http.MethodPost, r, "", root[r], remote("glue", remoteURI, bearer("hunter2-of-"+r))); a.status != http.StatusCreated {
			t.Fatalf("%s: %d %s", r, a.status, a.text)
		}
	}
	for i, r := range realms {
		foreign := realms[1-i]
		a := d.connection(http.MethodPost, r, "/glue/credentials", service[r], "{}")
		if a.status != http.StatusOK || !strings.Contains(a.text, "hunter2-of-"+r) || strings.Contains(a.text, "hunter2-of-"+foreign) {
			t.Errorf("%s: %d %s", r, a.status, a.text)
		}
		for what, a := range map[string]answer{
			"credentials": d.connection(http.MethodPost, r, "/glue/credentials", service[foreign], "{}"),
			"a list":      d.connection(http.MethodGet, r, "", root[foreign], ""),
			"a deletion":  d.connection(http.MethodDelete, r, "/glue", root[foreign], ""),
			"a connection": d.connection(http.MethodPost, r, "", root[foreign],
				remote("new", remoteURI, `{"authenticationType":"IMPLICIT"}`)),
		} {
			if a.status != http.StatusUnauthorized || a.reason() != "token_not_recognised" || strings.Contains(a.text, "hunter2") {
				t.Errorf("%s of realm %s with a token of %s: %d %s", what, r, foreign, a.status, a.text)
			}
		}
		for what, ref := range map[string]string{
			"that of the other realm's connection": reference(t, d.connection(http.MethodGet, foreign, "/glue", root[foreign], "")),
			"one below the other realm's prefix":   "urn:realmgate-secret:local:" + foreign + "/x",
			"one that climbs":                      "urn:realmgate-secret:local:" + r + "/../" + foreign + "/x",
			"one of no store":                      "urn:realmgate-secret:nowhere:" + r + "/x",
			"an alias":                             "urn:polaris-secret:local:" + foreign + "/x",
		} {
			if a := d.connection(http.MethodPost, r, "", root[r], remote("stolen", remoteURI, bearer(ref))); a.status < 400 || a.status >= 500 {
				t.Errorf("realm %s takes the reference %s: %d %s", r, what, a.status, a.text)
			}
		}
		if a := d.connection(http.MethodGet, r, "/stolen", root[r], ""); a.status != http.StatusNotFound {
			t.Errorf("realm %s: what was refused is there: %d %s", r, a.status, a.text)
		}
	}
	for _, r := range realms {
		if a := d.connection(http.MethodGet, r, "/glue", root[r], ""); a.status != http.StatusOK {
			t.Errorf("%s: the connection is gone: %d %s", r, a.status, a.text)
		}
	}
	d.keepsNo("hunter2-of-demo", "hunter2-of-other")
}

// reference finds the reference to the secret of a connection that an answer shows.
func reference(t *testing.T, a answer) string {
	t.Helper()
	refs, _ := a.body["secretReferences"].(map[string]any)
	ref, _ := refs["bearerToken"].(string)
	if !strings.HasPrefix(ref, "urn:realmgate-secret:local:") {
		t.Fatalf("no reference in %d %s", a.status, a.text)
	}
	return ref
}

// process gives the process id of a plugin, 0 if it has none.
func (d *gate) process(plugin string) int {
	d.t.Helper()
	var all []admin.Plugin
	if err := json.Unmarshal([]byte(d.command("plugin", "list", "--json")), &all); err != nil {
		d.t.Fatal(err)
	}
	for _, p := range all {
		if p.Name == plugin {
			return p.PID
		}
	}
	return 0
}

// The vendor lives in a plugin of its own, with the keys of the service identity in a store that is the operator's alone.
const withEcho = `
plugin "echo" {
  path = %q
  limits {
    memory = "unlimited" # for the race detector
  }
}
secret_store "vars" {
  type      = "env"
  variables = ["DEFAULT_KEYS", "OTHER_KEYS"]
}
service_identity "aws_iam" {
  iam_arn     = "arn:aws:iam::123456789012:user/default"
  credentials = "urn:realmgate-secret:vars:DEFAULT_KEYS"
}
credential_vendor "SIGV4" {
  type = "echo"
}
credential_vendor "BEARER" {
  type = "echo"
}
secret_store "local" {
  type     = "sealed-file"
  dir      = "data/secrets"
  key_file = "data/secrets.key"
  grant {
    realm  = "demo"
    prefix = "demo/"
  }
  grant {
    realm  = "other"
    prefix = "other/"
  }
}
connections {
  secret_store = "local"
  manage_roles = ["service_admin"]
  use_roles    = ["service"]
}
realm "demo" {
}
realm "other" {
  service_identity "aws_iam" {
    iam_arn     = "arn:aws:iam::210987654321:role/other"
    credentials = "urn:realmgate-secret:vars:OTHER_KEYS"
  }
}
`

const assumed = `{"authenticationType":"SIGV4","roleArn":"arn:aws:iam::123456789012:role/r","signingRegion":"eu-central-1"}`

func startWithEcho(t *testing.T) (d *gate, plugin string) {
	t.Helper()
	plugin = testPlugin(t, "echo")
	d = prepare(t, t.TempDir(), fmt.Sprintf(withEcho, plugin))
	d.run("DEFAULT_KEYS=hunter2-default", "OTHER_KEYS=hunter2-other")
	return d, plugin
}

// A realm's connections use its own identity, or else the default one, whose keys only their vendor gets.
func TestServiceIdentities(t *testing.T) {
	t.Parallel()
	d, _ := startWithEcho(t)
	for realm, want := range map[string]struct{ arn, keys, ref string }{
		"demo":  {"arn:aws:iam::123456789012:user/default", "hunter2-default", "urn:realmgate-service-identity:default:aws_iam"},
		"other": {"arn:aws:iam::210987654321:role/other", "hunter2-other", "urn:realmgate-service-identity:realm:aws_iam"},
	} {
		root, service := d.rootToken(realm), d.user(realm, "worker", "service")
		a := d.connection(http.MethodPost, realm, "", root, remote("aws", remoteURI, assumed))
		if a.status != http.StatusCreated || !strings.Contains(a.text, want.arn) || !strings.Contains(a.text, want.ref) || strings.Contains(a.text, "hunter2") {
			t.Errorf("%s: %d %s", realm, a.status, a.text)
		}
		if a = d.connection(http.MethodPost, realm, "/aws/credentials", service, "{}"); a.status != http.StatusOK || !strings.Contains(a.text, want.keys) {
			t.Errorf("%s: credentials: %d %s", realm, a.status, a.text)
		}
		request := fmt.Sprintf(`{"method":"GET","uri":"%s/x?y=1","headers":{}}`, remoteURI)
		if a = d.connection(http.MethodPost, realm, "/aws/sign", service, request); a.status != http.StatusOK || !strings.Contains(a.text, "Echo worker "+want.keys) {
			t.Errorf("%s: a signature: %d %s", realm, a.status, a.text)
		}
		// The reference itself opens nothing: it is the operator's.
		stolen := remote("stolen", remoteURI, bearer("urn:realmgate-secret:vars:"+strings.ToUpper(strings.TrimPrefix(want.keys, "hunter2-"))+"_KEYS"))
		if a = d.connection(http.MethodPost, realm, "", root, stolen); a.status < 400 || a.status >= 500 {
			t.Errorf("%s: the operator's reference is taken: %d %s", realm, a.status, a.text)
		}
	}
	d.keepsNo("hunter2-default", "hunter2-other")
	_, text := d.told("data/audit.log")
	if !strings.Contains(text, "session-of-worker") {
		t.Errorf("the audit log does not tie the callers to the sessions: %s", text)
	}
}

// A connection keeps the identity that it was made with, whatever is configured beside it. Without it, it is unavailable until
// somebody points it to another one: never is another identity taken by itself.
func TestServiceIdentityStays(t *testing.T) {
	t.Parallel()
	plugin, dir := testPlugin(t, "echo"), t.TempDir()
	base := strings.Replace(fmt.Sprintf(withEcho, plugin), `use_roles    = ["service"]`, `use_roles    = ["service_admin"]`, 1)
	own := strings.Replace(base, "realm \"demo\" {\n", `realm "demo" {
  service_identity "aws_iam" {
    iam_arn     = "arn:aws:iam::123456789012:user/own"
    credentials = "urn:realmgate-secret:vars:OTHER_KEYS"
  }
`, 1)
	block := base[strings.Index(base, "service_identity"):strings.Index(base, "credential_vendor")]
	run := func(hcl string) (ask func(method, rest, body string) answer, stop func()) {
		d := prepare(t, dir, hcl)
		d.run("DEFAULT_KEYS=hunter2-default", "OTHER_KEYS=hunter2-own")
		root := d.rootToken("demo")
		return func(method, rest, body string) answer { return d.connection(method, "demo", rest, root, body) }, func() {
			if err := d.stop(); err != nil {
				t.Error(err)
			}
			d.keepsNo("hunter2-default", "hunter2-own")
		}
	}
	gives := func(ask func(method, rest, body string) answer, name, want string) {
		t.Helper()
		if a := ask(http.MethodPost, "/"+name+"/credentials", "{}"); a.status != http.StatusOK || !strings.Contains(a.text, want) {
			t.Errorf("%s: %d %s, want %s", name, a.status, a.text, want)
		}
	}

	ask, stop := run(base)
	if a := ask(http.MethodPost, "", remote("old", remoteURI, assumed)); a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.text)
	}
	gives(ask, "old", "hunter2-default")
	stop()

	ask, stop = run(own) // the realm gets an identity of its own
	gives(ask, "old", "hunter2-default")
	if a := ask(http.MethodPost, "", remote("new", remoteURI, assumed)); a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.text)
	}
	gives(ask, "new", "hunter2-own")
	stop()

	ask, stop = run(strings.Replace(own, block, "", 1)) // and the default one goes
	defer stop()
	if a := ask(http.MethodPost, "/old/credentials", "{}"); a.status != http.StatusServiceUnavailable || strings.Contains(a.text, "hunter2") ||
		!strings.Contains(a.text, "urn:realmgate-service-identity:default:aws_iam") {
		t.Errorf("without its identity: %d %s", a.status, a.text)
	}
	gives(ask, "new", "hunter2-own")
	if a := ask(http.MethodPost, "/old/repoint", `{"identity":"realm"}`); a.status != http.StatusOK || !strings.Contains(a.text, "user/own") {
		t.Errorf("repoint: %d %s", a.status, a.text)
	}
	gives(ask, "old", "hunter2-own")
}

// While the vendor's plugin is away, credentials are unavailable, and nothing else is; when it is back, all is well.
func TestVendorThatGoesAndComes(t *testing.T) {
	t.Parallel()
	d, plugin := startWithEcho(t)
	root, service := d.rootToken("demo"), d.user("demo", "worker", "service")
	if a := d.connection(http.MethodPost, "demo", "", root, remote("c", remoteURI, bearer("hunter2-bearer"))); a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.text)
	}
	credentials := func() answer { return d.connection(http.MethodPost, "demo", "/c/credentials", service, "{}") }
	if a := credentials(); a.status != http.StatusOK || !strings.Contains(a.text, "hunter2-bearer") {
		t.Fatalf("before: %d %s", a.status, a.text)
	}
	// A killed process is started again at once: it is held down until a call has met its absence.
	var without answer
	await(t, func() bool {
		if pid := d.process("echo"); pid != 0 {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				t.Fatal(err)
			}
		}
		without = credentials()
		return without.status != http.StatusOK
	})
	if without.status != http.StatusServiceUnavailable || strings.Contains(without.text, "hunter2") || strings.Contains(without.text, plugin) {
		t.Errorf("without the plugin: %d %s", without.status, without.text)
	}
	if a := d.connection(http.MethodGet, "demo", "/c", service, ""); a.status != http.StatusOK {
		t.Errorf("the connection itself: %d %s", a.status, a.text)
	}
	if a := d.check("demo", service); a.status != http.StatusOK {
		t.Errorf("the check door: %d %s", a.status, a.text)
	}
	await(t, func() bool { return credentials().status == http.StatusOK })
	if a := credentials(); !strings.Contains(a.text, "hunter2-bearer") {
		t.Errorf("afterwards: %d %s", a.status, a.text)
	}
}

// The default plugin has the broker, the store and the vendor: while it is away nobody is let in, and nobody turned away.
func TestConnectionsWhileThePluginRestarts(t *testing.T) {
	t.Parallel()
	d := prepare(t, t.TempDir(), connected+`
authentication {
  token_broker {
    type        = "symmetric-key"
    secret_file = "key"
  }
}
`)
	if err := os.WriteFile(filepath.Join(d.dir, "key"), []byte(strings.Repeat("k", 44)), 0o600); err != nil {
		t.Fatal(err)
	}
	d.run()
	root, service := d.rootToken("demo"), d.user("demo", "worker", "service")
	if a := d.connection(http.MethodPost, "demo", "", root, remote("c", remoteURI, bearer("hunter2-bearer"))); a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.text)
	}
	pid := d.process("default")
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if a := d.connection(http.MethodPost, "demo", "/c/credentials", service, "{}"); a.status != http.StatusServiceUnavailable || a.reason() != "unavailable" {
		t.Errorf("while it hangs: %d %s", a.status, a.text)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool {
		a := d.connection(http.MethodPost, "demo", "/c/credentials", service, "{}")
		if a.status != http.StatusOK && a.status != http.StatusServiceUnavailable {
			t.Fatalf("while it starts: %d %s", a.status, a.text)
		}
		return a.status == http.StatusOK && strings.Contains(a.text, "hunter2-bearer")
	})
}
