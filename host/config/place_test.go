package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// places has a part with every kind of value in it.
const places = `tenant_defaults {
  identity_provider {
    audience = ["a", "b"]
    labels = {
      "x/y" = 1
      "p~q" = { deep = true }
    }
  }
}
tenant "t" {
  identity_provider {
    issuer = "https://idp.example.com"
    mapping {
      regex = "a"
    }
    mapping {
      regex = "b"
      list = [
        { z = "secret" },
      ]
    }
  }
}
tenant "bare" {
}
authentication {
  type = "external"
  timeout = "1s"
}
realm "r" {
  tenant = "t"
}
secret_store "s" {
  type = "env"
  grant {
    realm = "r"
    prefix = "a/"
  }
}
plugin "p" {
  path = "/opt/p"
}
listener "l" {
  tls {
    cert_file = "c"
    key_file = "k"
  }
}
`

func loadText(t *testing.T, text string, environ ...string) *Config {
	t.Helper()
	cfg, diags := Load(Options{Default: []byte(text), DefaultName: "c.hcl", Environ: environ})
	if cfg == nil {
		t.Fatal(diags.Err())
	}
	return cfg
}

func TestPartDiagnose(t *testing.T) {
	t.Parallel()
	cfg := loadText(t, places, "REALMGATE_TENANT__T__IDENTITY_PROVIDER__ISSUER=https://other.example.com")
	tenant, bare := cfg.Tenants[1], cfg.Tenants[0]
	if tenant.Name != "t" || bare.Name != "bare" {
		t.Fatal("tenants are sorted by name")
	}
	for _, test := range []struct {
		name    string
		part    Part
		pointer string
		want    string
	}{
		{"whole", tenant.IdentityProvider, "", `c.hcl:11:3: bad | 11 |   identity_provider {`},
		{"no pointer", tenant.IdentityProvider, "mapping", `c.hcl:11:3: bad | 11 |   identity_provider {`},
		{"block", tenant.IdentityProvider, "/mapping", `c.hcl:13:5: bad | 13 |     mapping {`},
		{"second block", tenant.IdentityProvider, "/mapping/1", `c.hcl:16:5: bad | 16 |     mapping {`},
		{"key in block", tenant.IdentityProvider, "/mapping/1/regex", `c.hcl:17:7: bad | 17 |       regex = "b"`},
		{"list item", tenant.IdentityProvider, "/mapping/1/list/0/z", `c.hcl:19:11: bad | 19 |         { z = "secret" },`},
		{"missing key climbs", tenant.IdentityProvider, "/mapping/1/replacement", `c.hcl:16:5: bad | 16 |     mapping {`},
		{"missing block climbs", tenant.IdentityProvider, "/mapping/2/regex", `c.hcl:13:5: bad | 13 |     mapping {`},
		{"inherited", tenant.IdentityProvider, "/audience/1", `c.hcl:3:22: bad | 3 |     audience = ["a", "b"]`},
		{"escaped slash", tenant.IdentityProvider, "/labels/x~1y", `c.hcl:5:7: bad | 5 |       "x/y" = 1`},
		{"escaped tilde", tenant.IdentityProvider, "/labels/p~0q/deep", `c.hcl:6:17: bad | 6 |       "p~q" = { deep = true }`},
		{"environment", tenant.IdentityProvider, "/issuer", `REALMGATE_TENANT__T__IDENTITY_PROVIDER__ISSUER: bad`},
		{"inherited whole", bare.IdentityProvider, "", `c.hcl:2:3: bad | 2 |   identity_provider {`},
		{"not written", bare.PrincipalMapper, "/id_claim_path", `c.hcl:24:1: bad | 24 | tenant "bare" {`},
		{"type", cfg.SecretStores[0].Part, "/type", `c.hcl:34:3: bad | 34 |   type = "env"`},
		{"a part nowhere in the file", cfg.ActiveRoles, "/prefix", `bad`},
		{"the zero part", Part{}, "/x", `bad`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := test.part.Diagnose(test.pointer, "bad", "", false, func([]string, string) bool { return true })
			if flat := flatten(got); flat != test.want {
				t.Errorf("got  %s\nwant %s", flat, test.want)
			}
		})
	}
}

// TestPartDiagnoseShowsWhatIsKnown: a line is shown only if nothing that stands under its key may be a secret.
func TestPartDiagnoseShowsWhatIsKnown(t *testing.T) {
	t.Parallel()
	known := func(path []string, text string) bool {
		return slices.Contains([]string{"open", "number", "mapping regex", "mapping", "list", "empty"}, strings.Join(path, " ")) && text != "hunter2"
	}
	for _, test := range []struct{ line, pointer, want string }{
		{`open = "seen"`, "/open", `open = "seen"`},
		{`open = "seen" # was "hunter2"`, "/open", `open = "seen"`},
		{`/* hunter2 */ open = "seen"`, "/open", `open = "seen"`},
		{"/*\nhunter2 */ open = \"seen\"", "/open", `…`},
		{`open = "hunter2"`, "/open", `open = …`},
		{`closed = "hunter2"`, "/closed", `closed = …`},
		{`closed = "hunter2"`, "/closed/0/x", `closed = …`},
		{`closed = 271828`, "/closed", `closed = …`},
		{`closed = "urn:realmgate-secret:s:hunter2"`, "/closed", `closed = "urn:realmgate-secret:s:hunter2"`},
		{`number = 271828`, "/number", `number = 271828`},
		{`list = ["seen", "hunter2"]`, "/list/0", `list = …`},
		{`list = ["seen", "also"]`, "/list/1", `list = ["seen", "also"]`},
		{`mapping = [{ regex = "seen", pin = "hunter2" }]`, "/mapping/0/regex", `mapping = …`},
		{`mapping = [{ regex = "seen", pin = ("hunter2") }]`, "/mapping/0/other", `mapping = …`},
		{`mapping = [{ regex = { "hunter2" = {} } }]`, "/mapping/0", `mapping = …`},
		{`mapping = [{ regex = "seen" }]`, "/mapping/0/regex", `mapping = [{ regex = "seen" }]`},
		{`empty = {}`, "/empty", `empty = {}`},
	} {
		text := "realm \"r\" {\n  authentication {\n    token_broker {\n" + test.line + "\n}\n  }\n}\n"
		cfg, diags := Load(Options{Default: []byte(text), DefaultName: "c.hcl"})
		if cfg == nil {
			t.Fatal(test.line, diags)
		}
		part := cfg.Realms[0].Authentication.TokenBroker
		if got := strings.TrimSpace(part.Diagnose(test.pointer, "bad", "", false, known).Snippet); got != test.want {
			t.Errorf("%s, %s: got %q, want %q", test.line, test.pointer, got, test.want)
		}
		if got := part.Diagnose(test.pointer, "bad", "", true, nil); strings.Contains(got.Snippet, `"`) && !strings.Contains(got.Snippet, `"urn:`) || !got.Warning {
			t.Errorf("%s, %s: nothing is known, and %q is shown", test.line, test.pointer, got.Snippet)
		}
	}
	cfg := loadText(t, "realm \"r\" {\n  authentication {\n    token_broker { pin = \"hunter2\" }\n  }\n}\n")
	all := func([]string, string) bool { return true }
	if got := cfg.Realms[0].Authentication.TokenBroker.Diagnose("/secret", "bad", "", false, all); got.Snippet != `    token_broker { …` {
		t.Errorf("of a key that is not there, %q is shown", got.Snippet)
	}
}

func TestDiagnoseKeys(t *testing.T) {
	t.Parallel()
	cfg := loadText(t, places)
	for _, test := range []struct{ name, got, want string }{
		{"realm", flatten(cfg.Realms[0].Diagnose("", "bad", "")), `c.hcl:30:1: bad | 30 | realm "r" {`},
		{"realm key", flatten(cfg.Realms[0].Diagnose("tenant", "bad", "")), `c.hcl:31:3: bad | 31 |   tenant = …`},
		{"realm inherited", flatten(cfg.Realms[0].Diagnose("authentication.type", "bad", "")), `c.hcl:27:3: bad | 27 |   type = …`},
		{"realm not written", flatten(cfg.Realms[0].Diagnose("hosts", "bad", "")), `c.hcl:30:1: bad | 30 | realm "r" {`},
		{"part", flatten(cfg.Tenants[1].IdentityProvider.Blame("bad", true)), `c.hcl:11:3: warning: bad | 11 |   identity_provider {`},
		{"part on a line", flatten(loadText(t, "realm \"r\" {\n  authentication {\n    token_broker { key = \"secret\" }\n  }\n}\n").Realms[0].Authentication.TokenBroker.Blame("bad", false)), `c.hcl:3:5: bad | 3 |     token_broker { …`},
		{"tenant", flatten(cfg.Tenants[1].Diagnose("identity_provider", "bad", "")), `c.hcl:11:3: bad | 11 |   identity_provider {`},
		{"plugin", flatten(cfg.Plugins[0].Diagnose("path", "bad", "")), `c.hcl:41:3: bad | 41 |   path = …`},
		{"listener", flatten(cfg.Listeners[0].Diagnose("tls.key_file", "bad", "")), `c.hcl:46:5: bad | 46 |     key_file = …`},
		{"grant", flatten(cfg.SecretStores[0].Grants[0].Diagnose("prefix", "bad", "")), `c.hcl:37:5: bad | 37 |     prefix = …`},
		{"top", flatten(cfg.Diagnose("authentication.timeout", "bad", "")), `c.hcl:28:3: bad | 28 |   timeout = …`},
		{"top default", flatten(cfg.Diagnose("log.level", "bad", "")), `bad`},
	} {
		if test.got != test.want {
			t.Errorf("%s: got  %s\nwant %s", test.name, test.got, test.want)
		}
	}
	if got, want := cfg.Realms[0].Pos, (Position{"c.hcl", 30, 1}); got != want {
		t.Errorf("realm is at %v, want %v", got, want)
	}
}

func flatten(d Diagnostic) string { return strings.ReplaceAll(d.String(), "\n  ", " | ") }

func TestDiagnostics(t *testing.T) {
	t.Parallel()
	var none Diagnostics
	if none.Err() != nil || (Diagnostics{{Warning: true, Summary: "w"}}).Err() != nil {
		t.Error("warnings are no error")
	}
	ds := Diagnostics{
		{File: "b", Line: 1, Column: 1, Summary: "last"},
		{File: "a", Line: 10, Column: 1, Summary: "third"},
		{File: "a", Line: 9, Column: 2, Summary: "second", Warning: true},
		{File: "a", Line: 9, Column: 1, Summary: "first", Detail: "one\ntwo"},
		{File: "a", Line: 10, Column: 1, Summary: "third"},
	}.Sort()
	var out strings.Builder
	if err := ds.Write(&out); err != nil {
		t.Fatal(err)
	}
	const want = "a:9:1: first\n  one\n  two\na:9:2: warning: second\na:10:1: third\nb:1:1: last\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
	var d Diagnostic
	if err := fmt.Errorf("load: %w", ds.Err()); !errors.As(err, &d) || d.Summary != "first" || strings.Contains(err.Error(), "second") {
		t.Errorf("got %v", err)
	}
	if err := ds.Write(brokenWriter{}); err == nil {
		t.Error("a failed write must be reported")
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("full") }

func TestSnippetIsSafeForATerminal(t *testing.T) {
	t.Parallel()
	s := newSource("c.hcl", []byte("a\t= \"\x1b[31m\"\r\n"+strings.Repeat("x", 1000)))
	if got := s.line(1); got != "a = \"\ufffd[31m\"" {
		t.Errorf("got %q", got)
	}
	if got := []rune(s.line(2)); len(got) != maxSnippet+1 {
		t.Errorf("got %d runes", len(got))
	}
	if s.line(0) != "" || s.line(4) != "" {
		t.Error("a line that is not there is empty")
	}
}

func TestMasked(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		`  key = "hunter2"`:           `  key = …`,
		`key="hunter2" # hunter2`:     `key= …`,
		`realm "a" {`:                 `realm "a" {`,
		`log { level = "hunter2" }`:   `log { …`,
		`  "hunter2",`:                `  …`,
		`hunter2`:                     `…`,
		`  }`:                         `  }`,
		`  ] , [`:                     `  …`,
		``:                            ``,
		`{ z = "hunter2" }`:           `…`,
		`key "hunter2`:                `key …`,
		`key x = { "hunter2" = "{" }`: `key …`,
		`# password: hunter2`:         `…`,
		`pin: "hunter2{"`:             `pin …`,
		`pin ("hunter2{")`:            `pin …`,
		`grüße "a" {`:                 `grüße "a" {`,
	} {
		if got := newSource("", []byte(line)).masked(1); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}
