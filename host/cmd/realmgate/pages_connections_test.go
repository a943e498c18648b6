package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/internal/doctest"
)

// remoteSystem answers whatever it is asked with who it believes the caller to be.
func remoteSystem(t *testing.T) (url string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(r.URL.Path + " " + r.Header.Get("Authorization")))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// The bodies that the page shows, and its commands one by one.
func TestPageOfConnections(t *testing.T) {
	t.Parallel()
	d, _ := startWithEcho(t)
	root, service := d.rootToken("demo"), d.user("demo", "worker", "service")
	catalog := doctest.Only(t, "docs/connections.md", "json catalog")
	a := d.connection(http.MethodPost, "demo", "", root, catalog)
	if a.status != http.StatusCreated {
		t.Errorf("%d %s", a.status, a.text)
	}
	doctest.Shaped(t, doctest.Only(t, "docs/connections.md", "json connection"), a.text)
	a = d.connection(http.MethodPost, "demo", "/glue/credentials", service, "")
	// The properties are the vendor's.
	doctest.Shaped(t, strings.Replace(doctest.Only(t, "docs/connections.md", "json credentials"), `{"s3.access-key-id": "...", "s3.secret-access-key": "...", "s3.session-token": "..."}`, `{"identity": "...", "realm": "..."}`, 1), a.text)
	a = d.connection(http.MethodPost, "demo", "/glue/sign", service, `{"method": "GET", "uri": "https://glue.eu-central-1.amazonaws.com/iceberg/v1/config"}`)
	signed := strings.Replace(doctest.Only(t, "docs/connections.md", "json signed"), `"x-amz-date": ["..."], "x-amz-security-token": ["..."]`, `"x-echo-payload": ["..."]`, 1)
	doctest.Shaped(t, strings.Replace(signed, "}}", `}, "expiresAt": "..."}`, 1), a.text) // that, too, is the vendor's to say
}

// The page's commands, one by one, with the bundled vendor.
func TestPageOfConnectionCommands(t *testing.T) {
	t.Parallel()
	d := prepare(t, t.TempDir(), strings.Replace(fmt.Sprintf(withEcho, testPlugin(t, "echo")), "credential_vendor \"BEARER\" {\n  type = \"echo\"\n}\n", "", 1))
	d.run("DEFAULT_KEYS=hunter2-default", "OTHER_KEYS=hunter2-other")
	root, remote, catalog := d.rootToken("demo"), remoteSystem(t), doctest.Only(t, "docs/connections.md", "json catalog")
	put(t, d.dir, map[string]string{"polaris.json": catalog, "token": root, "secret": "another-token-of-nobody"})
	here := strings.NewReplacer("https://billing.example.com", remote, "/run/secrets/billing", "secret", "--secret -", "--secret - <<< a-token-of-nobody", "https://auth.example.com", d.url,
		"curl ", "curl -sS ")
	for line := range strings.Lines(doctest.Only(t, "docs/connections.md", "sh commands")) {
		line, _, _ = strings.Cut(line, " # ")
		out, done := script(t, d.dir, here.Replace(line))
		want := ""
		switch {
		case strings.Contains(line, "credentials"):
			want = "another-token-of-nobody"
		case strings.Contains(line, "| curl"):
			want = "/api/x Bearer another-token-of-nobody"
		case strings.Contains(line, "list"):
			want = "billing"
		}
		if !done || !strings.Contains(out, want) {
			t.Errorf("%s\n%s", line, out)
		}
	}
	a := d.connection(http.MethodPost, "demo", "/billing/test", root, "")
	doctest.Shaped(t, doctest.Only(t, "docs/connections.md", "json test"), a.text)
}

// The proxy as the page runs it, beside a server that believes what it is told.
func TestPageOfTheProxy(t *testing.T) {
	t.Parallel()
	d, _ := startWithEcho(t)
	remote := remoteSystem(t)
	service := d.user("demo", "worker", "service")
	run := func(block string, r *strings.Replacer, want string) {
		t.Helper()
		// Whoever types it waits until the proxy listens, and ends it.
		text := "rm -f proxy.log\n" + strings.NewReplacer(" &\n", " > proxy.log 2>&1 &\ntrap 'kill %1; wait' EXIT\nuntil grep -qs ': listening' proxy.log; do kill -0 %1; sleep 0.05; done\n",
			"curl ", "curl -sS ").Replace(r.Replace(block))
		if out, done := script(t, d.dir, text); !done || !strings.Contains(out, want) {
			t.Errorf("%s\n%s", text, out)
		}
	}
	run(doctest.Only(t, "docs/proxy.md", "sh glue"), strings.NewReplacer("https://glue.eu-central-1.amazonaws.com", remote), "/iceberg/v1/config Echo ")
	d.command("connection", "create", "-r", "demo", "lake", "--uri", remote, "--sigv4-role-arn", "arn:aws:iam::123456789012:role/r", "--region", "eu-central-1", "--signing-name", "execute-api")
	run(doctest.Only(t, "docs/proxy.md", "sh loopback"), strings.NewReplacer("127.0.0.1:9000", freeAddress(t)), "/bucket/key Echo ")
	put(t, d.dir, map[string]string{"token": service})
	run(doctest.Only(t, "docs/proxy.md", "sh elsewhere")+" &\ncurl --unix-socket data/proxy/glue.sock http://glue/x\n",
		strings.NewReplacer("https://auth.example.com", d.url, "/run/realmgate/token", "token", "glue\n &", "glue &"), "/x Echo worker ")
}
