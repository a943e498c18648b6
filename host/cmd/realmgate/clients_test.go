package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/internal/capture"
	"github.com/realmgate/realmgate/internal/doctest"
	"github.com/realmgate/realmgate/internal/nginxtest"
)

// A real OAuth 2.0 client gets a token, by Basic and by body, and uses it.
func TestOAuth2Client(t *testing.T) {
	t.Parallel()
	d := start(t, "realm \"demo\" {}\n")
	root := d.root["demo"]
	for _, style := range []oauth2.AuthStyle{oauth2.AuthStyleInHeader, oauth2.AuthStyleInParams} {
		c := clientcredentials.Config{
			ClientID: root.ClientID, ClientSecret: root.ClientSecret, TokenURL: d.url + "/realms/demo/v1/oauth/tokens",
			Scopes: []string{"PRINCIPAL_ROLE:service_admin"}, AuthStyle: style,
		}
		res, err := c.Client(t.Context()).Get(d.url + "/realms/demo/v1/check")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK || res.Header.Get("Realmgate-Roles") != "service_admin" {
			t.Errorf("%d %v", res.StatusCode, res.Header)
		}
	}
}

// nginx in front of a service, with the example's configuration: the service sees who Realmgate says the caller is, and
// nothing that the caller says about it; and Realmgate, which trusts nginx, hears nothing of what the caller says about the
// original request, whichever way it reads.
func TestNginx(t *testing.T) {
	t.Parallel()
	for _, forwarded := range []string{"x-original", "x-forwarded"} {
		t.Run(forwarded, func(t *testing.T) { testNginx(t, forwarded) })
	}
}

func testNginx(t *testing.T, forwarded string) {
	d := start(t, fmt.Sprintf(`listener "main" {
  address         = "ADDRESS"
  trusted_proxies = ["127.0.0.1"]
  forwarded       = %q
}
realm "demo" {}
realm "other" {
  hosts = ["other.example"]
}
`, forwarded))
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for k, v := range r.Header {
			if strings.Contains(strings.ToLower(strings.ReplaceAll(k, "_", "-")), "realmgate") {
				fmt.Fprintf(w, "%s=%s\n", k, strings.Join(v, "|"))
			}
		}
	}))
	defer upstream.Close()
	example, err := os.ReadFile(filepath.Join(buildtest.Root(t), "examples", "nginx", "realmgate.conf"))
	if err != nil {
		t.Fatal(err)
	}
	front := nginxtest.Start(t, strings.NewReplacer("127.0.0.1:8642", strings.TrimPrefix(d.url, "http://"), "127.0.0.1:9000", strings.TrimPrefix(upstream.URL, "http://"),
		"127.0.0.1:8080", `{{listen "front"}}`).Replace(string(example)))
	ask := func(token string) answer {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, front.URL("front")+"/a/b?c=d", nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		req.Header.Set("Realmgate-Principal", "forged")
		req.Header.Set("Realmgate-Roles", "forged")
		req.Header["Realmgate_Principal"] = []string{"forged"}
		req.Header["Realmgate_Roles"] = []string{"forged"}
		for _, prefix := range []string{"X-Forwarded-", "X-Original-"} {
			req.Header.Set(prefix+"Host", "other.example")
			req.Header.Set(prefix+"Method", "FORGED METHOD")
			req.Header.Set(prefix+"Proto", "forged")
			req.Header.Set(prefix+"Uri", "forged")
		}
		req.Header.Set("X-Request-Id", "forged-request-id")
		req.Header.Set("Traceparent", "00-f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0-f0f0f0f0f0f0f0f0-01")
		return d.do(req)
	}
	if a := ask(d.rootToken("demo")); a.status != http.StatusOK || strings.Contains(a.text, "forged") || !strings.Contains(a.text, "Realmgate-Principal=root") || !strings.Contains(a.text, "Realmgate-Roles=service_admin") {
		t.Errorf("%d %s", a.status, a.text)
	}
	for name, token := range map[string]string{"nothing": "", "nonsense": "x"} {
		if a := ask(token); a.status != http.StatusUnauthorized || !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer ") {
			t.Errorf("%s: %d %v", name, a.status, a.header)
		}
	}
	form := strings.NewReader("grant_type=client_credentials&scope=PRINCIPAL_ROLE%3AALL")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, front.URL("front")+"/oauth/tokens", form)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("X-Forwarded-For", "192.0.2.1")
	req.Header.Set("X-Forwarded-Host", "other.example")
	req.SetBasicAuth(d.root["demo"].ClientID, d.root["demo"].ClientSecret)
	if a := d.do(req); a.status != http.StatusOK || a.body["access_token"] == nil {
		t.Errorf("a token through nginx: %d %s", a.status, a.text)
	}
	if log, err := os.ReadFile(filepath.Join(d.dir, "data", "audit.log")); err != nil || !strings.Contains(string(log), `"token.issue"`) || strings.Contains(string(log), "192.0.2.1") {
		t.Errorf("the audit log believes the caller's X-Forwarded-For, or has no line: %v\n%s", err, log)
	}
	d.command("role", "create", "-r", "demo", "auditor")
	token := d.rootToken("demo")
	d.command("principal", "delete", "-r", "demo", "root")
	if a := ask(token); a.status != http.StatusForbidden {
		t.Errorf("a principal that is gone: %d %s", a.status, a.text)
	}
	if strings.Contains(d.log.String(), "forged-request-id") {
		t.Error("a caller chose the id of its request")
	}
	if strings.Contains(d.log.String(), "f0f0f0f0f0f0f0f0") {
		t.Error("a caller chose the trace of its request")
	}
}

// walk runs blocks of a page as one script, and looks for what they show in its output.
func (d *gate) walk(blocks []doctest.Block) {
	d.t.Helper()
	script, want := doctest.Script(blocks)
	cmd := exec.Command("bash", "-eu", "-c", script)
	cmd.Dir = d.dir
	cmd.Env = append(append(os.Environ(), d.env...), "GATE="+d.url, "CLIENT_ID="+d.root["demo"].ClientID, "CLIENT_SECRET="+d.root["demo"].ClientSecret,
		"REALMGATE_PLUGIN_DIR="+buildtest.Plugin(d.t))
	out, err := cmd.CombinedOutput()
	if err != nil {
		d.t.Errorf("the tour ended: %v", err)
	}
	rest := string(out)
	for _, w := range want {
		_, after, ok := strings.Cut(rest, w)
		if !ok {
			d.t.Fatalf("the tour does not show %q (any more) in:\n%s", w, out)
		}
		rest = after
	}
}

// The page about connections begins with a configuration, on which its tour runs.
func TestTourOfConnections(t *testing.T) {
	t.Parallel()
	d := start(t, doctest.Only(t, "docs/connections.md", "hcl"))
	d.walk(doctest.Blocks(t, "docs/connections.md", "sh tour"))
}

// The tours on the project's own configuration, block by block.
func TestTour(t *testing.T) {
	t.Parallel()
	for page, blocks := range map[string][]doctest.Block{
		"README.md":    doctest.Blocks(t, "README.md", "sh tour"),
		"docs/http.md": doctest.Blocks(t, "docs/http.md", "sh tour"),
	} {
		t.Run(page, func(t *testing.T) { tourOnDefaults(t, blocks) })
	}
}

func tourOnDefaults(t *testing.T, blocks []doctest.Block) {
	root := buildtest.Root(t)
	hcl, err := os.ReadFile(filepath.Join(root, "config.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	daemonBinary, err := exec.LookPath("realmgate")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(daemonBinary, filepath.Join(dir, "bin", "realmgate")); err != nil {
		t.Fatal(err)
	}
	d := startTour(t, dir, string(hcl))
	d.walk(blocks)
}

// startTour starts the daemon as `make run` does, on the project's own configuration, but on a free port.
func startTour(t *testing.T, dir, hcl string) *gate {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "config.hcl"), []byte(hcl), 0o600); err != nil {
		t.Fatal(err)
	}
	d := &gate{t: t, dir: dir, log: &capture.Buffer{}, done: make(chan error, 1)}
	address := freeAddress(t)
	d.url = "http://" + address
	d.run("REALMGATE_PLUGIN_DIR="+buildtest.Plugin(t), "REALMGATE_PUBLIC_URL="+d.url, "REALMGATE_LISTENER__MAIN__ADDRESS="+address)
	return d
}
