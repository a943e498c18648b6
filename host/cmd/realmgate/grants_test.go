package main

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/host/catalog"
	"github.com/realmgate/realmgate/host/config"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/serve"
)

// asker is an authenticator that asks the daemon for the principal, whoever may.
type asker struct{}

func (asker) Authenticate(ctx context.Context, c sdk.Credential) (sdk.Principal, error) {
	return sdk.FindPrincipal(ctx, c.Principal)
}

func askerPlugin() {
	build := func(context.Context, sdk.Setup, struct{}) (asker, error) { return asker{}, nil }
	serve.Main("asker", "1", sdk.AuthenticatorType("asker", build, sdk.Wants(sdk.WantPrincipals)))
}

// A plugin of a third party is told about the principals of the realms that it is allowed, and of no other: that is in the
// audit log, and `validate` says it before, and where decisions are not remembered.
func TestAllowedInOneRealm(t *testing.T) {
	t.Parallel()
	path, err := exec.LookPath("realmgate-plugin-asker")
	if err != nil {
		t.Fatal(err)
	}
	d := start(t, fmt.Sprintf(`
plugin "asker" {
  path = %q
  allow {
    types      = ["asker"]
    realms     = ["a"]
    principals = true
  }
}
realm "a" {
  authentication {
    authenticator {
      type = "asker"
    }
  }
}
realm "b" {
  authentication {
    authenticator {
      type = "asker"
    }
  }
}
`, path))
	if a := d.check("a", d.rootToken("a")); a.status != http.StatusOK || a.header.Get("Realmgate-Principal") != "root" {
		t.Errorf("realm a: %d %s", a.status, a.text)
	}
	for range 3 {
		if a := d.grant("b", d.root["b"].ClientID, d.root["b"].ClientSecret, "PRINCIPAL_ROLE:ALL"); a.status != http.StatusServiceUnavailable {
			t.Errorf("realm b: %d %s", a.status, a.text)
		}
	}
	if n := strings.Count(d.log.String(), "plugin asks for what it is not allowed"); n != 1 {
		t.Errorf("%d lines in the log:\n%s", n, d.log)
	}
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	const note = "realmgate: note: decisions are not remembered in realms a, b, because of the authenticator(asker) of plugin asker: it does not declare"
	if said := d.command("validate", "--config", "config.hcl"); !strings.Contains(said, note) || strings.Contains(said, "of plugin default") {
		t.Errorf("validate says %s", said)
	}
	lines, text := d.told("data/audit.log")
	refused := find(lines, "plugin.refused", "refused")
	if len(refused) != 2 { // the first one, and how many there were of the others
		t.Fatalf("%v in\n%s", refused, text)
	}
	for i, want := range []map[string]string{{"count": ""}, {"count": "2"}} {
		for key, v := range map[string]string{"realm": "b", "plugin": "asker", "part": "authenticator(asker)", "reason": "principals", "count": want["count"]} {
			if refused[i][key] != v {
				t.Errorf("line %d: %s is %q, want %q", i, key, refused[i][key], v)
			}
		}
	}
	for _, want := range []string{
		`the authenticator "asker" of plugin asker asks for principals, which it is not allowed: it will be refused`,
		"allow {\n    types      = [\"asker\"]\n    realms     = [\"b\"]\n    principals = true\n  }",
	} {
		if !strings.Contains(d.log.String(), want) {
			t.Errorf("there is no %s in\n%s", want, d.log)
		}
	}
}

// What came with the daemon may have what it wants, unless its block says otherwise; nobody else may.
func TestGrantsOfBlocks(t *testing.T) {
	t.Parallel()
	load := func(hcl string) catalog.Grants {
		cfg, diags := config.Load(config.Options{Default: []byte(hcl), DefaultName: "test.hcl"})
		if len(diags) > 0 {
			t.Fatal(diags)
		}
		return grants(cfg.Plugins[0])
	}
	all := catalog.Allowance{Types: []string{"a"}, Realms: []string{"r"}, Principals: true, AccessKeys: true, SecretStores: []string{"s"}}
	for hcl, want := range map[string]catalog.Grants{
		`plugin "p" {}`:                     {Wanted: true},
		`plugin "p" { env = { A = "b" } }`:  {Wanted: true},
		`plugin "p" { path = "/opt/p" }`:    {},
		`plugin "p" { command = "/opt/p" }`: {},
		"plugin \"p\" {\n allow {}\n}":      {Allow: []catalog.Allowance{{Types: []string{}, Realms: []string{}, SecretStores: []string{}}}},
		`realm "r" {}
secret_store "s" {
  type = "env"
}
plugin "p" {
  path = "/opt/p"
  allow {
    types         = ["a"]
    realms        = ["r"]
    principals    = true
    access_keys   = true
    secret_stores = ["s"]
  }
}`: {Allow: []catalog.Allowance{all}},
	} {
		if got := load(hcl); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", hcl, got, want)
		}
	}
}
