package generation_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/host/catalog"
	"github.com/realmgate/realmgate/host/child"
	"github.com/realmgate/realmgate/host/connection"
	"github.com/realmgate/realmgate/host/generation"
	"github.com/realmgate/realmgate/sdk/egress"
)

// sealed is a store that realm a may write.
func sealed(dir string) string {
	return fmt.Sprintf(`
secret_store "local" {
  type     = "sealed-file"
  dir      = %q
  key_file = %q
  grant {
    realm  = "a"
    prefix = "a/"
  }
}
`, filepath.Join(dir, "secrets"), filepath.Join(dir, "key"))
}

func TestFaultsOfConnections(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, nil)
	for name, tt := range map[string]struct{ hcl, place, want string }{
		"a secret as credentials": {
			"service_identity \"aws_iam\" {\n  iam_arn     = \"arn:aws:iam::123456789012:user/x\"\n  credentials = \"hunter2\"\n}\nrealm \"a\" {}\n",
			"test.hcl:3:", "not the secret itself",
		},
		"credentials of no store": {
			"realm \"a\" {\n  service_identity \"aws_iam\" {\n    iam_arn     = \"arn:aws:iam::123456789012:user/x\"\n    credentials = \"urn:realmgate-secret:nowhere:x\"\n  }\n}\n",
			"test.hcl:4:", `there is no secret_store "nowhere"`,
		},
		"a store that cannot be written": {
			"secret_store \"local\" {\n  type = \"file\"\n  dir  = \"" + dir + "\"\n  grant {\n    realm  = \"a\"\n    prefix = \"a/\"\n  }\n}\nrealm \"a\" {\n  connections {\n    secret_store = \"local\"\n  }\n}\n",
			"test.hcl:11:", `realm "a" cannot keep the secrets of its connections there`,
		},
		"a vendor that nobody offers": {
			"credential_vendor \"SIGV4\" {\n  type = \"acme\"\n}\nrealm \"a\" {}\n",
			"test.hcl:2:", `no plugin offers a credential-vendor of type "acme"`,
		},
	} {
		_, diags := generation.Build(t.Context(), load(t, tt.hcl), w.Deps)
		err := diags.Err()
		if err == nil || !strings.Contains(err.Error(), tt.place) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
		if strings.Contains(fmt.Sprint(diags), "hunter2") {
			t.Errorf("%s: the secret is repeated", name)
		}
	}
	if n := w.catalog.Plugins()[0].Instances; n != 0 {
		t.Errorf("%d instances are left", n)
	}
}

// operate sends a request of the operator to the connections of a realm.
func operate(t *testing.T, gen *generation.Generation, realm, method, rest, body string) *httptest.ResponseRecorder {
	t.Helper()
	s, err := gen.Connections(realm)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, "/", strings.NewReader(body))
	rec := httptest.NewRecorder()
	s.Serve(rec, r, connection.Actor{Operator: true}, rest)
	return rec
}

func create(name, authentication string) string {
	return fmt.Sprintf(`{"name":%q,"connectionConfigInfo":{"connectionType":"GENERIC_HTTP","uri":"https://203.0.113.7/x","authenticationParameters":%s}}`, name, authentication)
}

const (
	bearer = `{"authenticationType":"BEARER","bearerToken":"hunter2-bearer"}`
	sigv4  = `{"authenticationType":"SIGV4","roleArn":"arn:aws:iam::123456789012:role/r","signingRegion":"eu-central-1"}`
)

// A type of authentication that no plugin vends for by default is no fault of the configuration. It is refused when it is
// asked for, and takes nothing else down.
func TestVendorThatIsMissing(t *testing.T) {
	w := newWorld(t, nil)
	gen := w.build(t, sealed(t.TempDir())+`
service_identity "aws_iam" {
  iam_arn = "arn:aws:iam::123456789012:user/x"
}
realm "a" {
  connections {
    secret_store = "local"
  }
}
`)
	if rec := operate(t, gen, "a", http.MethodPost, "", create("c", bearer)); rec.Code != http.StatusCreated {
		t.Errorf("BEARER: %d %s", rec.Code, rec.Body)
	}
	if rec := operate(t, gen, "a", http.MethodPost, "/c/credentials", "{}"); rec.Code != http.StatusOK || !strings.Contains(rec.Body.String(), "hunter2-bearer") {
		t.Errorf("credentials: %d %s", rec.Code, rec.Body)
	}
	rec := operate(t, gen, "a", http.MethodPost, "", create("d", sigv4))
	if rec.Code != http.StatusNotImplemented || !strings.Contains(rec.Body.String(), "there is no credential vendor for SIGV4") {
		t.Errorf("SIGV4: %d %s", rec.Code, rec.Body)
	}
	if rec := operate(t, gen, "a", http.MethodGet, "/d", ""); rec.Code != http.StatusNotFound {
		t.Errorf("what was refused is there: %d %s", rec.Code, rec.Body)
	}
}

// A store whose plugin does not start is unavailable, and says so; the configuration is not to blame.
func TestStoreOfABrokenPlugin(t *testing.T) {
	w := newWorld(t, nil, catalog.Source{Name: "acme", Program: child.Program{Path: "/nonexistent/acme", TLS: true}})
	gen := w.build(t, strings.Replace(sealed(t.TempDir()), "sealed-file", "acme", 1)+`
realm "a" {
  connections {
    secret_store = "local"
  }
}
`)
	rec := operate(t, gen, "a", http.MethodPost, "", create("c", bearer))
	if rec.Code != http.StatusServiceUnavailable || strings.Contains(rec.Body.String(), "hunter2") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	if rec := operate(t, gen, "a", http.MethodGet, "/c", ""); rec.Code != http.StatusNotFound {
		t.Errorf("what could not be kept is there: %d %s", rec.Code, rec.Body)
	}
}

// Without a store secrets are refused, with one they are sealed on the disk; addresses are refused as configured.
func TestConnectionsAsConfigured(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, nil)
	gen := w.build(t, sealed(dir)+`
realm "a" {
  connections {
    secret_store   = "local"
    deny_addresses = ["203.0.113.0/24"]
  }
}
realm "b" {}
`)
	if rec := operate(t, gen, "b", http.MethodPost, "", create("c", bearer)); rec.Code != http.StatusBadRequest {
		t.Errorf("a secret without a store: %d %s", rec.Code, rec.Body)
	}
	if rec := operate(t, gen, "b", http.MethodPost, "", create("c", `{"authenticationType":"IMPLICIT"}`)); rec.Code != http.StatusCreated {
		t.Errorf("without a secret: %d %s", rec.Code, rec.Body)
	}
	if rec := operate(t, gen, "a", http.MethodPost, "", create("c", bearer)); rec.Code != http.StatusBadRequest || !strings.Contains(rec.Body.String(), "203.0.113.0/24") {
		t.Errorf("an address that is refused: %d %s", rec.Code, rec.Body)
	}
	at := strings.Replace(create("c", bearer), "203.0.113.7", "169.254.169.254", 1)
	if rec := operate(t, gen, "b", http.MethodPost, "", at); rec.Code != http.StatusBadRequest || !strings.Contains(rec.Body.String(), "169.254.0.0/16") {
		t.Errorf("an address that is refused by default: %d %s", rec.Code, rec.Body)
	}
	if rec := operate(t, gen, "a", http.MethodPost, "", at); rec.Code != http.StatusCreated {
		t.Errorf("an address that the realm's own list lets pass: %d %s", rec.Code, rec.Body)
	}
	if _, err := gen.Connections("nowhere"); err == nil {
		t.Error("a realm that does not exist has connections")
	}
	if _, err := gen.AccessKeys("a"); err != nil {
		t.Error(err)
	}
	if gen.Custody("a") == nil || gen.Custody("b") == nil || gen.Custody("nowhere") != nil {
		t.Error("whoever keeps the secrets of a realm is not found")
	}
}

// The manual names the addresses that are refused by default.
func TestDefaultOfTheManual(t *testing.T) {
	manual, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, prefix := range egress.DefaultPrefixes() {
		if !strings.Contains(string(manual), "`"+prefix+"`") {
			t.Errorf("the manual does not name %s", prefix)
		}
	}
}
