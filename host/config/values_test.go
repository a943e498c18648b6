package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const valuesInput = `
public_url = "https://auth.example.com"
realm "a" {
  tenant = "t"
  authentication {
    type = "mixed"
    token_broker {
      type        = "other"
      private_key = "hunter2"
      nested {
        open   = "seen"
        closed = ["hunter2"]
      }
    }
  }
}
realm "b" {}
authentication {
  timeout = "2s"
}
tenant "t" {
  identity_provider {
    issuer = "https://me:hunter2@idp.example.com"
    count  = 3
  }
}
service_identity "aws_iam" {
  iam_arn     = "arn:aws:iam::123456789012:user/realmgate"
  credentials = "urn:realmgate-secret:s:x"
}
plugin "p" {
  args = ["hunter2"]
  env  = { A = "hunter2" }
}
secret_store "s" {
  type = "env"
}
`

// knownParts knows two texts that may be shown, and the defaults of one part.
type knownParts struct{}

func (knownParts) Shows(kind, typ string, path []string, text string) bool {
	return slices.Contains([]string{"token-broker other nested.open seen", "identity-provider oidc issuer https://me:hunter2@idp.example.com"},
		kind+" "+typ+" "+strings.Join(path, ".")+" "+text)
}

func (knownParts) Defaults(kind, typ string, written map[string]any) []SettingDefault {
	if kind+" "+typ != "token-broker other" {
		return nil
	}
	return []SettingDefault{{[]string{"keys"}, len(written)}, {[]string{"nested", "0", "x"}, "y"}}
}

// TestValuesAsTheyCount checks values, where they come from, and that no text is seen which may be a secret.
func TestValuesAsTheyCount(t *testing.T) {
	t.Parallel()
	cfg, diags := Load(Options{
		Files: []string{write(t, t.TempDir(), "c.hcl", []byte(valuesInput))}, Environ: []string{"REALMGATE_LOG__LEVEL=warn"},
		Flags: map[string]any{"log.format": "json"},
	})
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	got := map[string]string{}
	for _, v := range cfg.Values(knownParts{}) {
		name := strings.TrimSpace(v.Kind+" "+v.Name) + ": " + v.Key
		if _, twice := got[name]; twice {
			t.Errorf("%s is listed twice", name)
		}
		if got[name] = v.JSON + " " + regexp.MustCompile(`^.*/`).ReplaceAllString(v.From, ""); strings.Contains(v.JSON, "hunter2") {
			t.Errorf("%s shows a secret: %s", name, v.JSON)
		}
	}
	for name, want := range map[string]string{
		": public_url":                                         `"https://auth.example.com" c.hcl:2:1`,
		": shutdown_grace":                                     `"10s" `,
		"log: level":                                           `"warn" REALMGATE_LOG__LEVEL`,
		"log: format":                                          `"json" flag log.format`,
		"realm a: authentication.type":                         `"mixed" c.hcl:6:5`,
		"realm a: authentication.timeout":                      `"2s" c.hcl:19:3`,
		"realm a: authentication.token_broker.type":            `"other" c.hcl:8:7`,
		"realm a: authentication.token_broker.private_key":     `"…" c.hcl:9:7`,
		"realm a: authentication.token_broker.nested":          `[{"closed":["…"],"open":"seen"}] c.hcl:10:7`,
		"realm a: authentication.token_broker.keys":            `3 `,
		"realm a: authentication.token_broker.nested.0.x":      `"y" `,
		"realm b: authentication.type":                         `"internal" `,
		"realm b: authentication.timeout":                      `"2s" c.hcl:19:3`,
		"realm b: authentication.token_broker.type":            `"rsa-key-pair" `,
		"realm b: authentication.token_service.limit.failures": `5 `,
		"realm b: issuer":                                      `"https://auth.example.com/realms/b" c.hcl:2:1`,
		"realm b: connections.secret_prefix":                   `"b/" `,
		"tenant t: identity_provider.type":                     `"oidc" `,
		"tenant t: identity_provider.issuer":                   `"https://…@idp.example.com" c.hcl:23:5`,
		"tenant t: identity_provider.count":                    `3 c.hcl:24:5`,
		"service_identity aws_iam: credentials":                `"urn:realmgate-secret:s:x" c.hcl:29:3`,
		"plugin p: args":                                       `["…"] c.hcl:32:3`,
		"plugin p: env":                                        `{"A":"…"} c.hcl:33:3`,
		"credential_vendor OAUTH: type":                        `"oauth" `,
		"listener main: address":                               `"127.0.0.1:8642" `,
	} {
		if got[name] != want {
			t.Errorf("%s is %s, not %s", name, got[name], want)
		}
	}
}

// TestDefaultsAreTrue writes down every value that counts by default, and checks that this changes nothing, and that nothing
// of the host's own keys with a default in the manual is missing.
func TestDefaultsAreTrue(t *testing.T) {
	t.Parallel()
	const base = "realm \"r\" {}\nlistener \"l\" {}\nplugin \"p\" {}\ntenant \"t\" {}\nsecret_store \"s\" {\n  type = \"env\"\n}\n"
	before, diags := Load(Options{Default: []byte(base), DefaultName: "a"})
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	root := map[string]any{}
	for _, v := range before.Values(nil) {
		at := root
		var path []string
		if v.Kind != "" {
			path = []string{strings.TrimSpace(v.Kind + " " + quote(v.Name))}
		}
		path = append(path, strings.Split(v.Key, ".")...)
		for _, name := range path[:len(path)-1] {
			if at[name] == nil {
				at[name] = map[string]any{}
			}
			at = at[name].(map[string]any)
		}
		at[path[len(path)-1]] = v.JSON
	}
	var b strings.Builder
	writeTree(&b, root)
	after, diags := Load(Options{Default: []byte(b.String()), DefaultName: "b"})
	if len(diags) > 0 {
		t.Fatalf("%v\n%s", diags, b.String())
	}
	if x, y := plain(t, before), plain(t, after); x != y {
		t.Errorf("as it was:\n%s\nwith the defaults written down:\n%s", x, y)
	}
}

func quote(s string) string {
	if s == "" {
		return ""
	}
	return fmt.Sprintf("%q", s)
}

func writeTree(b *strings.Builder, at map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(at)) {
		if inner, ok := at[name].(map[string]any); ok {
			b.WriteString(name + " {\n")
			writeTree(b, inner)
			b.WriteString("}\n")
			continue
		}
		fmt.Fprintf(b, "%s = %s\n", name, at[name])
	}
}

// plain gives a configuration as text, without places and without whether a vendor was written.
func plain(t *testing.T, c *Config) string {
	t.Helper()
	text, err := json.MarshalIndent(c, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	text = regexp.MustCompile(`(?s)"Pos": \{.*?\}`).ReplaceAll(text, nil)
	return strings.NewReplacer(`"Written": true`, `"Written": false`, `"Env": {}`, `"Env": null`).Replace(string(text))
}
