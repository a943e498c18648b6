package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/internal/oidctest"
)

// threeModes has a realm of each mode. ISSUER is the provider's.
const threeModes = `
tenant_defaults {
  identity_provider {
    type            = "oidc"
    issuer          = "ISSUER"
    audience        = ["realmgate"]
    role_claim_path = "polaris/roles"
  }
  principal_mapper {
    id_claim_path   = "polaris/principal_id"
    name_claim_path = "polaris/principal_name"
  }
}
tenant "idp" {}

realm "inside" {}
realm "outside" {
  tenant = "idp"
  authentication {
    type = "external"
    authenticator {
      type = "claims"
    }
  }
}
realm "both" {
  tenant = "idp"
  authentication {
    type = "mixed"
  }
}
`

func identity(id any, name string, roles ...string) map[string]any {
	return map[string]any{"polaris": map[string]any{"principal_id": id, "principal_name": name, "roles": roles}}
}

func TestThreeModes(t *testing.T) {
	t.Parallel()
	idp := oidctest.Start(t, oidctest.Options{})
	d := start(t, strings.ReplaceAll(threeModes, "ISSUER", idp.Issuer))
	d.command("role", "create", "-r", "both", "auditor")
	d.command("principal", "create", "-r", "both", "--id", "7", "--role", "auditor", "--without-secret", "carol")

	inside, both := d.rootToken("inside"), d.rootToken("both")
	carol := idp.Token(t, oidctest.TokenOptions{Claims: identity(7, "carol", "PRINCIPAL_ROLE:ALL")})
	elliptic := idp.Token(t, oidctest.TokenOptions{Alg: "ES256", Claims: identity("7", "carol", "PRINCIPAL_ROLE:auditor")})
	stranger := idp.Token(t, oidctest.TokenOptions{Claims: identity(8, "nobody", "PRINCIPAL_ROLE:ALL")})
	mismatch := idp.Token(t, oidctest.TokenOptions{Claims: identity(7, "root", "PRINCIPAL_ROLE:ALL")})
	greedy := idp.Token(t, oidctest.TokenOptions{Claims: identity(7, "carol", "PRINCIPAL_ROLE:service_admin")})
	opaque := idp.Token(t, oidctest.TokenOptions{Opaque: true})

	tests := []struct {
		name, realm, token string
		status             int
		reason             string
		principal, roles   string
	}{
		{"own token", "inside", inside, 200, "", "root", "service_admin"},
		{"own token, mixed", "both", both, 200, "", "root", "service_admin"},
		{"own token, external", "outside", inside, 401, "issuer_mismatch", "", ""},
		{"own token of another realm", "inside", both, 401, "token_not_recognised", "", ""},
		{"own token of another realm, mixed", "both", inside, 401, "issuer_mismatch", "", ""},
		{"foreign token", "outside", carol, 200, "", "carol", ""},
		{"foreign token, all granted roles", "both", carol, 200, "", "carol", "auditor"},
		{"foreign token, ES256, id as a string", "both", elliptic, 200, "", "carol", "auditor"},
		{"foreign token, internal", "inside", carol, 401, "token_not_recognised", "", ""},
		{"foreign token without a principal", "both", stranger, 403, "principal_unknown", "", ""},
		{"foreign token, no provisioning", "outside", stranger, 200, "", "nobody", ""},
		{"id and name of two principals", "both", mismatch, 403, "principal_mismatch", "", ""},
		{"a role that is not granted", "both", greedy, 403, "role_not_granted", "", ""},
		{"claims as roles, no directory", "outside", greedy, 200, "", "carol", "service_admin"},
		{"opaque", "outside", opaque, 401, "token_opaque", "", ""},
		{"nothing", "both", "", 401, "credential_missing", "", ""},
		{"own token, damaged, is final", "both", damaged(both), 401, "signature_invalid", "", ""},
		{"no token at all", "both", "x", 401, "token_opaque", "", ""},
		{"no realm of that name", "nowhere", inside, 404, "realm_unknown", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := d.check(tt.realm, tt.token)
			if a.status != tt.status || a.reason() != tt.reason {
				t.Fatalf("%d %s, want %d %s", a.status, a.text, tt.status, tt.reason)
			}
			if tt.status == http.StatusUnauthorized && a.header.Get("WWW-Authenticate") == "" {
				t.Error("401 without WWW-Authenticate")
			}
			if tt.status != http.StatusOK {
				if a.header.Get("Realmgate-Principal") != "" {
					t.Error("an identity beside a no")
				}
				return
			}
			for name, want := range map[string]string{"Realmgate-Principal": tt.principal, "Realmgate-Roles": tt.roles, "Realmgate-Realm": tt.realm} {
				if got := a.header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if a.header.Get("Realmgate-Principal-Id") == "" || a.body["realm"] != tt.realm {
				t.Errorf("%v %s", a.header, a.text)
			}
		})
	}

	t.Run("the token endpoint of an external realm", func(t *testing.T) {
		if a := d.grant("outside", "x", "y", "PRINCIPAL_ROLE:ALL"); a.status != http.StatusNotImplemented {
			t.Errorf("%d %s", a.status, a.text)
		}
	})
	t.Run("keys rotate", func(t *testing.T) {
		idp.Rotate(t)
		renewed := idp.Token(t, oidctest.TokenOptions{Claims: identity(7, "carol", "PRINCIPAL_ROLE:ALL")})
		for name, token := range map[string]string{"new key": renewed, "old key": carol} {
			if a := d.check("both", token); a.status != http.StatusOK {
				t.Errorf("%s: %d %s", name, a.status, a.text)
			}
		}
	})
	t.Run("the provider is down", func(t *testing.T) {
		idp.Stop()
		defer idp.Resume()
		if a := d.check("both", carol); a.status != http.StatusOK {
			t.Errorf("known keys go on: %d %s", a.status, a.text)
		}
		if a := d.check("inside", inside); a.status != http.StatusOK {
			t.Errorf("other realms go on: %d %s", a.status, a.text)
		}
	})
}

// A header may name the realm where the listener says so, for tokens and for checks, and nowhere else.
func TestRealmByHeader(t *testing.T) {
	t.Parallel()
	d := start(t, `
listener "main" {
  address      = "ADDRESS"
  realm_header = "Realmgate-Realm"
}
realm "a" {}
realm "b" {}
`)
	token := d.rootToken("a")
	ask := func(path string, header ...string) answer {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header["Realmgate-Realm"] = header
		return d.do(req)
	}
	tests := []struct {
		path   string
		header []string
		status int
		reason string
	}{
		{"/v1/check", []string{"a"}, 200, ""},
		{"/v1/check", []string{"b"}, 401, "token_not_recognised"},
		{"/v1/check", nil, 400, "realm_missing"},
		{"/v1/check", []string{"a", "b"}, 400, "realm_ambiguous"},
		{"/v1/check", []string{"a, b"}, 404, "realm_unknown"},
		{"/realms/a/v1/check", []string{"a"}, 200, ""},
		{"/realms/a/v1/check", []string{"b"}, 400, "realm_ambiguous"},
	}
	for _, tt := range tests {
		if a := ask(tt.path, tt.header...); a.status != tt.status || a.reason() != tt.reason {
			t.Errorf("%s %q: %d %s, want %d %s", tt.path, tt.header, a.status, a.text, tt.status, tt.reason)
		}
	}
	root := d.root["b"]
	form := strings.NewReader("grant_type=client_credentials&scope=PRINCIPAL_ROLE%3AALL")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.url+"/v1/oauth/tokens", form)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Realmgate-Realm", "b")
	req.SetBasicAuth(root.ClientID, root.ClientSecret)
	if a := d.do(req); a.status != http.StatusOK || a.body["access_token"] == nil {
		t.Errorf("a token by header: %d %s", a.status, a.text)
	}
}

func TestProviderThatIsDownAtStart(t *testing.T) {
	t.Parallel()
	idp := oidctest.Start(t, oidctest.Options{})
	token := idp.Token(t, oidctest.TokenOptions{Claims: identity(7, "carol", "PRINCIPAL_ROLE:ALL")})
	idp.Stop()
	d := start(t, strings.ReplaceAll(threeModes, "ISSUER", idp.Issuer))
	if a := d.check("outside", token); a.status != http.StatusServiceUnavailable || a.reason() != "unavailable" {
		t.Errorf("we cannot tell, so: %d %s", a.status, a.text)
	}
	if a := d.check("inside", d.rootToken("inside")); a.status != http.StatusOK {
		t.Errorf("the other realm: %d %s", a.status, a.text)
	}
}

// The examples of Polaris' documentation, through the whole daemon.
func TestPolarisExamples(t *testing.T) {
	t.Parallel()
	idp := oidctest.Start(t, oidctest.Options{})
	d := start(t, strings.ReplaceAll(`
tenant_defaults {
  identity_provider {
    issuer   = "ISSUER"
    audience = ["realmgate"]
  }
}
tenant "nested" {
  identity_provider {
    role_claim_path = "polaris/roles"
  }
  principal_mapper {
    id_claim_path   = "polaris/principal_id"
    name_claim_path = "polaris/principal_name"
  }
}
tenant "generic" {
  identity_provider {
    role_claim_path = "scope"
  }
  principal_mapper {
    id_claim_path   = "sub"
    name_claim_path = "preferred_username"
  }
  principal_roles_mapper {
    filter = "^(?!profile$|email$).*"
    mapping {
      regex       = "^.*$"
      replacement = "PRINCIPAL_ROLE:$0"
    }
  }
}
tenant "namespaced" {
  identity_provider {
    role_claim_path = "foo/\"https://ns/claim\"/bar"
  }
  principal_mapper {
    name_claim_path = "sub"
  }
}
authentication {
  type = "external"
  authenticator {
    type = "claims"
  }
}
realm "nested" {
  tenant = "nested"
}
realm "generic" {
  tenant = "generic"
}
realm "namespaced" {
  tenant = "namespaced"
}
`, "ISSUER", idp.Issuer))
	tests := []struct {
		realm               string
		claims              map[string]any
		principal, id, role string
	}{
		{"nested", identity(1, "root", "PRINCIPAL_ROLE:service_admin"), "root", "1", "service_admin"},
		{
			"generic", map[string]any{"sub": "1", "scope": "service_admin catalog_admin profile email", "preferred_username": "root"},
			"root", "1", "catalog_admin,service_admin",
		},
		{
			"namespaced", map[string]any{"sub": "eve", "foo": map[string]any{"https://ns/claim": map[string]any{"bar": "PRINCIPAL_ROLE:x"}}},
			"eve", "eve", "x",
		},
	}
	for _, tt := range tests {
		a := d.check(tt.realm, idp.Token(t, oidctest.TokenOptions{Claims: tt.claims}))
		if a.status != http.StatusOK || a.header.Get("Realmgate-Principal") != tt.principal || a.header.Get("Realmgate-Principal-Id") != tt.id || a.header.Get("Realmgate-Roles") != tt.role {
			t.Errorf("%s: %d %v %s", tt.realm, a.status, a.header, a.text)
		}
	}
}

// damaged changes the first character of a token's signature.
func damaged(token string) string {
	i := strings.LastIndexByte(token, '.') + 1
	c := "A"
	if token[i:i+1] == c {
		c = "B"
	}
	return token[:i] + c + token[i+1:]
}
