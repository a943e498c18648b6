package generation_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/host/catalog"
	"github.com/realmgate/realmgate/host/child"
	"github.com/realmgate/realmgate/host/generation"
	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/internal/need"
)

// apart is a world whose default plugin has a process and a user for each realm.
func apart(t *testing.T, first uint32, env map[string]string) *world {
	t.Helper()
	if err := child.MayBecome(); err != nil {
		need.Missing(t, "users for realms need root: %v", err)
	}
	return newWorld(t, env, catalog.Source{Name: "default", Grants: catalog.Grants{Wanted: true}, PerRealm: &child.Range{First: first, Last: first + 99}, Program: child.Program{
		Path: filepath.Join(buildtest.Plugin(t), catalog.BinaryName("default")), TLS: true, Limits: child.Limits{Memory: child.Unlimited}}})
}

// TestRealmsApart: whatever a realm uses of the plugin is in the realm's own process, also what of the configuration it shares
// with others.
func TestRealmsApart(t *testing.T) {
	w := apart(t, 3_130_000_000, map[string]string{"KEY_A": strings.Repeat("a", 40), "KEY_B": strings.Repeat("b", 40)})
	hcl := `
secret_store "vars" {
  type      = "env"
  variables = ["KEY_A", "KEY_B"]
}
tenant "t" {
  identity_provider {
    type     = "oidc"
    issuer   = "http://127.0.0.1:1"
    audience = ["x"]
  }
  principal_mapper {
    name_claim_path = "sub"
  }
}
`
	for _, realm := range []string{"a", "b"} {
		hcl += fmt.Sprintf(`realm %q {
  authentication {
    token_broker {
      type   = "symmetric-key"
      secret = "urn:realmgate-secret:vars:KEY_%s"
    }
  }
}
`, realm, strings.ToUpper(realm))
	}
	for _, realm := range []string{"c", "d"} {
		hcl += fmt.Sprintf("realm %q {\n  tenant = \"t\"\n  authentication {\n    type = \"external\"\n  }\n}\n", realm)
	}
	gen := w.build(t, hcl)
	got := map[string]int{}
	for _, p := range w.catalog.Plugins() {
		got[p.For] = p.Instances
	}
	const common = 1 + 1 + 3 // active roles, authenticator, and the vendors that the plugin offers
	want := map[string]int{"": 0, "secret store vars": 1, "realm a": common + 1, "realm b": common + 1, "realm c": common + 3, "realm d": common + 3}
	if !maps.Equal(got, want) {
		t.Errorf("instances: %v, want %v", got, want)
	}
	for realm, err := range gen.Realms() {
		if err != nil {
			t.Errorf("realm %s: %v", realm, err)
		}
	}
	a, b := w.token(t, gen, "a"), w.token(t, gen, "b")
	for realm, token := range map[string]string{"a": a, "b": b} {
		if d := decide(t, gen, realm, token); d.Verdict != pipeline.Allowed || d.Principal.Name != "root" {
			t.Errorf("%s: %v %v %v", realm, d.Verdict, d.Denial, d.Err)
		}
	}
	if d := decide(t, gen, "b", a); d.Verdict != pipeline.Denied {
		t.Errorf("a token of a in b: %v", d.Verdict)
	}
	if d := decide(t, gen, "c", a); d.Verdict == pipeline.Allowed {
		t.Errorf("a token of a in c: %v", d.Verdict)
	}
}

// TestStoreOfTwoRealms: the process of a store would be two realms'.
func TestStoreOfTwoRealms(t *testing.T) {
	w := apart(t, 3_130_000_100, nil)
	hcl := fmt.Sprintf(`
secret_store "s" {
  type = "file"
  dir  = %q
  grant {
    realm  = "a"
    prefix = "a/"
  }
  grant {
    realm  = "a"
    prefix = "c/"
  }
  grant {
    realm  = "b"
    prefix = "b/"
  }
}
realm "a" {}
realm "b" {}
`, t.TempDir())
	_, diags := generation.Build(t.Context(), load(t, hcl), w.Deps)
	found := false
	for _, d := range diags {
		found = found || !d.Warning && d.Line == 14 && d.Summary == `secret_store "s" is granted to the realms "a" and "b", but its plugin "default" keeps realms apart (per_realm)`
	}
	if !found {
		t.Errorf("%v", diags)
	}
}
