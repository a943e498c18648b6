package main

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/internal/doctest"
	"github.com/realmgate/realmgate/internal/oidctest"
)

// What pages show of the daemon that `make run` starts.
func TestPagesOnDefaults(t *testing.T) {
	t.Parallel()
	hcl, err := os.ReadFile(filepath.Join(buildtest.Root(t), "config.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	metrics := freeAddress(t)
	d := startTour(t, t.TempDir(), string(hcl)+strings.ReplaceAll(doctest.Only(t, "docs/metrics.md", "hcl"), "127.0.0.1:9464", metrics))
	token := d.rootToken("demo")
	put(t, d.dir, map[string]string{"token": token})
	run := func(t *testing.T, text string) string {
		t.Helper()
		out, done := script(t, d.dir, text)
		if !done {
			t.Errorf("it fails:\n%s", out)
		}
		return out
	}

	t.Run("explain.md", func(t *testing.T) {
		doctest.Shown(t, doctest.Only(t, "docs/explain.md", "text explain"), run(t, doctest.Only(t, "docs/explain.md", "sh explain")))
		request := doctest.Only(t, "docs/explain.md", "json request")
		var told map[string]any
		if err := json.Unmarshal([]byte(request), &told); err != nil {
			t.Fatal(err)
		}
		put(t, d.dir, map[string]string{"request.json": strings.NewReplacer(`"..."`, `"`+token+`"`, "/etc/realmgate/other.hcl", filepath.Join(d.dir, "config.hcl")).Replace(request)})
		if out := run(t, "curl -sS --unix-socket data/admin.sock -d @request.json http://admin/v1/explain"); !strings.Contains(out, `"verdict":"allowed"`) || !strings.Contains(out, `"other":{`) {
			t.Error(out)
		}
	})
	t.Run("http.md", func(t *testing.T) {
		root := d.root["demo"]
		doctest.Shaped(t, doctest.Only(t, "docs/http.md", "json check"), d.check("demo", token).text)
		doctest.Shaped(t, doctest.Only(t, "docs/http.md", "json token"), d.grant("demo", root.ClientID, root.ClientSecret, "PRINCIPAL_ROLE:ALL").text)
		doctest.Shaped(t, doctest.Only(t, "docs/http.md", "json denied"), d.check("demo", "nonsense").text)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.url+"/realms/demo/v1/oauth/introspect", strings.NewReader("token="+token))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth(root.ClientID, root.ClientSecret)
		doctest.Shaped(t, doctest.Only(t, "docs/http.md", "json introspect"), d.do(r).text)
		if out := run(t, strings.Replace(doctest.Only(t, "docs/http.md", "sh admin"), "curl", "curl -sS", 1)); !strings.Contains(out, `"name":"root"`) {
			t.Error(out)
		}
	})
	t.Run("metrics.md", func(t *testing.T) {
		out := run(t, strings.NewReplacer("127.0.0.1:9464", metrics, "curl", "curl -sS").Replace(doctest.Only(t, "docs/metrics.md", "sh scrape")))
		for name, n := range map[string]int{"# TYPE realmgate_decisions_total counter\n": 2, "# TYPE realmgate_decision_cache_answers_total counter\n": 2} {
			if strings.Count(out, name) != n {
				t.Errorf("%q is not there %d times", name, n)
			}
		}
		for _, name := range strings.Split(doctest.Only(t, "docs/metrics.md", "promql"), "{")[1:] {
			for _, from := range strings.Split(strings.Split(name, `"`)[1], "|") {
				if !strings.Contains(out, `realmgate_decision_cache_answers_total{from="`+from+`"}`) {
					t.Errorf("there is no series from %q", from)
				}
			}
		}
	})
	t.Run("operations.md", func(t *testing.T) {
		put(t, d.dir, map[string]string{"keys.json": `{"secretAccessKey": "not-a-real-key"}`})
		out := run(t, doctest.Only(t, "docs/operations.md", "sh secrets"))
		if !strings.Contains(out, "not-a-real-key") || !strings.Contains(out, "demo:demo/") {
			t.Error(out)
		}
		run(t, "realmgate secret put local:operator/old < keys.json")
		here := strings.NewReplacer("/etc/realmgate/secrets.key", "data/secrets.key")
		run(t, here.Replace(doctest.Only(t, "docs/operations.md", "sh rotate")))
		if out := run(t, "realmgate secret put local:operator/new < keys.json; realmgate secret get --reveal local:operator/new#secretAccessKey; realmgate secret get --reveal local:operator/old#secretAccessKey"); strings.Count(out, "not-a-real-key") != 2 {
			t.Errorf("after a rotation: %s", out)
		}
	})
	t.Run("connections.md", func(t *testing.T) {
		run(t, "realmgate principal create -r demo alice > /dev/null")
		create, others, _ := strings.Cut(doctest.Only(t, "docs/connections.md", "sh access keys"), "\n")
		id := ""
		for _, word := range strings.Fields(run(t, create)) {
			if strings.HasPrefix(word, "RGAK") {
				id = word
			}
		}
		list, remove, _ := strings.Cut(others, "\n")
		if id == "" || !strings.Contains(run(t, list), id) {
			t.Errorf("no key %q", id)
		}
		if out := run(t, strings.Replace(remove, "RGAK...", id, 1)+list); strings.Contains(out, id) {
			t.Error(out)
		}
	})
}

// The same token by two configurations, as the page shows it.
func TestPageOfExplainAgainst(t *testing.T) {
	t.Parallel()
	idp := oidctest.Start(t, oidctest.Options{})
	d := start(t, strings.ReplaceAll(`tenant "t" {
  identity_provider {
    issuer          = "ISSUER"
    audience        = ["realmgate"]
    role_claim_path = "roles"
  }
  principal_mapper {
    name_claim_path = "preferred_username"
  }
  principal_roles_mapper {
    filter = ".*"
    mapping {
      regex       = "^.*$"
      replacement = "PRINCIPAL_ROLE:$0"
    }
  }
}
realm "demo" {
  tenant = "t"
  authentication {
    type = "external"
    authenticator {
      type = "claims"
    }
  }
}
`, "ISSUER", idp.Issuer))
	config, err := os.ReadFile(filepath.Join(d.dir, "config.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	put(t, d.dir, map[string]string{
		"token":     idp.Token(t, oidctest.TokenOptions{Claims: map[string]any{"sub": "7", "preferred_username": "carol", "roles": []string{"dev", "ops"}}}),
		"other.hcl": strings.Replace(string(config), `".*"`, `"dev"`, 1),
	})
	out, done := script(t, d.dir, doctest.Only(t, "docs/explain.md", "sh against"))
	if !done {
		t.Error(out)
	}
	doctest.Shown(t, doctest.Only(t, "docs/explain.md", "text against"), out)
}

// A server that parts call goes and comes: what the log and the list of plugins say of it.
func TestPageOfServersThatPartsCall(t *testing.T) {
	t.Parallel()
	address := freeAddress(t)
	d := prepare(t, t.TempDir(), strings.ReplaceAll(`tenant "t" {
  identity_provider {
    type          = "introspection"
    issuer        = "http://SERVER"
    endpoint      = "http://SERVER/introspect"
    audience      = ["realmgate"]
    client_id     = "gate"
    client_secret = "urn:realmgate-secret:vars:GATE_SECRET"
  }
  principal_mapper {
    name_claim_path = "sub"
  }
}
secret_store "vars" {
  type      = "env"
  variables = ["GATE_SECRET"]
}
realm "outside" {
  tenant = "t"
  authentication {
    type = "external"
  }
}
`, "SERVER", address))
	d.run("GATE_SECRET=not-a-real-secret")
	ask := func(what string) (line string) {
		eventually(t, what, func() bool {
			d.check("outside", "an-opaque-token")
			for l := range strings.Lines(d.log.String()) {
				if strings.Contains(l, what) {
					_, line, _ = strings.Cut(l, "[")
					return true
				}
			}
			return false
		})
		return "[" + line
	}
	server := strings.NewReplacer("https://idp.example.com:443", "http://"+address)
	told := ask("a server fails again")
	list := ""
	eventually(t, "the list shows it", func() bool {
		list = d.command("plugin", "list", "--socket", "admin.sock")
		d.check("outside", "an-opaque-token")
		return strings.Contains(list, " alone for ")
	})
	doctest.Shown(t, server.Replace(doctest.Only(t, "docs/metrics.md", "text list")), list)
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	up := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"active": false}`))
	})}}
	up.Start()
	defer up.Close()
	told += ask("a server is well again")
	doctest.Shown(t, server.Replace(doctest.Only(t, "docs/metrics.md", "text log")), told)
}
