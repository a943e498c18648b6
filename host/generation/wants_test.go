package generation_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/host/catalog"
	"github.com/realmgate/realmgate/host/child"
	"github.com/realmgate/realmgate/host/generation"
	"github.com/realmgate/realmgate/internal/buildtest"
)

// What is in use and not allowed is said once for all realms that use it, with the block that would allow it.
func TestUnmetWants(t *testing.T) {
	t.Parallel()
	const realms = `
realm "a" {}
realm "b" {}
realm "c" {
  authentication {
    type = "external"
    authenticator {
      type = "claims"
    }
  }
  tenant = "t"
}
tenant "t" {
  identity_provider {
    issuer   = "https://idp.example.com"
    audience = ["x"]
  }
  principal_mapper {
    name_claim_path = "sub"
  }
}
`
	for name, tt := range map[string]struct {
		grants catalog.Grants
		allow  string // in the configuration
		want   string // of the diagnostics; empty: none
		detail string // of the diagnostics, as well
		broken string // a plugin that does not start
	}{
		"all that is wanted": {grants: catalog.Grants{Wanted: true}},
		"nothing": {want: `the authenticator "default" of plugin default asks for principals, which it is not allowed: it will be refused
allow {
  types      = ["default"]
  realms     = ["a", "b"]
  principals = true
}`},
		"in one realm": {grants: catalog.Grants{Allow: []catalog.Allowance{{Realms: []string{"a"}, Principals: true}}}, want: `
  realms     = ["b"]
`},
		"a type that there is not": {grants: catalog.Grants{Wanted: true}, allow: `
plugin "default" {
  allow {
    types = ["default", "elsewhere"]
  }
}`, want: `warning: plugin default offers no part of type "elsewhere"`, detail: "It offers bearer, claims, default, "},
		"a type that is mistyped, while another plugin does not start": {grants: catalog.Grants{Wanted: true}, broken: "acme", allow: `
plugin "default" {
  allow {
    types = ["rsa-key-pear"]
  }
}`, want: `test.hcl:25:5: warning: plugin default offers no part of type "rsa-key-pear"`, detail: `Did you mean "rsa-key-pair"?`},
		"a type of a plugin that does not start": {grants: catalog.Grants{Wanted: true}, broken: "acme", allow: `
plugin "acme" {
  allow {
    types = ["badge"]
  }
}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(buildtest.Plugin(t), catalog.BinaryName("default"))
			more := []catalog.Source{{Name: "default", Grants: tt.grants, Program: child.Program{Path: path, TLS: true}}}
			if tt.broken != "" {
				more = append(more, catalog.Source{Name: tt.broken, Program: child.Program{Path: "/nonexistent/" + tt.broken, TLS: true}})
			}
			w := newWorld(t, nil, more...)
			gen, diags := generation.Build(t.Context(), load(t, realms+tt.allow), w.Deps)
			if gen == nil {
				t.Fatal(diags)
			}
			var said []string
			for _, d := range diags {
				if text := d.String(); strings.Contains(text, "not allowed") || strings.Contains(text, "offers no part") {
					said = append(said, text)
				}
			}
			if tt.want == "" && len(said) > 0 {
				t.Error(said)
			}
			if all := strings.ReplaceAll(strings.Join(said, "\n"), "\n  ", "\n"); tt.want != "" && (len(said) != 1 || !strings.Contains(all, tt.detail)) {
				t.Errorf("%d diagnostics: %s", len(said), all)
			} else {
				for part := range strings.SplitSeq(tt.want, "\nallow") {
					if !strings.Contains(all, strings.TrimPrefix(part, "\n")) {
						t.Errorf("no %s in\n%s", part, all)
					}
				}
			}
		})
	}
}
