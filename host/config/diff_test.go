package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const before = `
authentication {
  timeout = "2s"
  token_broker {
    type                 = "rsa-key-pair"
    max_token_generation = "PT1H"
  }
}
connections {
  use_roles = ["use"]
}
realm "gone" {}
realm "same" {
  issuer = "https://idp.example.com/same"
  authentication {
    timeout = "5s"
    token_broker {
      max_token_generation = "PT2H"
    }
  }
  connections {
    use_roles = ["own"]
  }
}
realm "takes" {
  issuer = "https://idp.example.com/takes"
}
realm "foreign" {
  issuer = "https://idp.example.com/foreign"
  tenant = "t"
  authentication {
    type    = "external"
    timeout = "5s"
  }
  connections {
    use_roles = ["own"]
  }
}
tenant "t" {
  identity_provider {
    issuer  = "https://user:hunter2@idp.example.com"
    secret  = "urn:realmgate-secret:vars:A"
    leeway  = 5
    scopes  = ["a", "b"]
  }
}
secret_store "vars" {
  type      = "env"
  variables = ["A"]
  grant {
    realm  = "takes"
    prefix = "a/"
  }
}
plugin "acme" {
  path = "/opt/acme"
  args = ["--password", "hunter2"]
  env  = { TOKEN = "hunter2" }
}
`

// after is before with changes; each line that differs is named in the test.
var after = strings.NewReplacer(
	`timeout = "2s"`, `timeout = "3s"`,
	`max_token_generation = "PT1H"`, `max_token_generation = "PT30M"`,
	`use_roles = ["use"]`, `use_roles = ["use", "more"]`,
	`realm "gone" {}`, `realm "new" {}`,
	`hunter2@idp`, `hunter3@idp`,
	`vars:A"`, `vars:B"`,
	`leeway  = 5`, `leeway  = 6`,
	`["a", "b"]`, `["a", "c"]`,
	`prefix = "a/"`, `prefix = "b/"`,
	`"hunter2"]`, `"hunter3"]`,
	`TOKEN = "hunter2"`, `TOKEN = "hunter3"`,
).Replace(before)

// diffLines gives a difference as lines.
func diffLines(changes []BlockChange) []string {
	var out []string
	for _, b := range changes {
		block := "top level"
		if b.Kind != "" {
			block = title(b.Kind, b.Name)
		}
		out = append(out, fmt.Sprintf("%s %s %s", block, b.Change, b.Pos))
		for _, k := range b.Keys {
			out = append(out, fmt.Sprintf("  %s: %s -> %s %s", k.Key, k.Old, k.New, k.Pos))
		}
	}
	return out
}

// A realm is named by every key that counts for it, wherever it was written; one that sets its own is not.
func TestDiff(t *testing.T) {
	t.Parallel()
	old, now := loadText(t, before), loadText(t, after)
	all := func(string, string) bool { return true }
	want := []string{
		`plugin "acme" changed c.hcl:55:1`,
		`  args.1: "…" -> "…" c.hcl:57:25`,
		`  env.TOKEN: "…" -> "…" c.hcl:58:12`,
		`realm "gone" removed c.hcl:12:1`,
		`realm "new" added c.hcl:12:1`,
		`realm "takes" changed c.hcl:25:1`,
		`  authentication.timeout: "2s" -> "3s" c.hcl:3:3`,
		`  authentication.token_broker.max_token_generation: "PT1H" -> "PT30M" c.hcl:6:5`,
		`  connections.use_roles: ["use"] -> ["use","more"] c.hcl:10:3`,
		`secret_store "vars" changed c.hcl:47:1`,
		`  grant.0.prefix: "a/" -> "b/" c.hcl:52:5`,
		`tenant "t" changed c.hcl:39:1`,
		`  identity_provider.issuer: "https://…@idp.example.com" -> "https://…@idp.example.com" c.hcl:41:5`,
		`  identity_provider.leeway: 5 -> 6 c.hcl:43:5`,
		`  identity_provider.scopes.1: "b" -> "c" c.hcl:44:21`,
		`  identity_provider.secret: "urn:realmgate-secret:vars:A" -> "urn:realmgate-secret:vars:B" c.hcl:42:5`,
	}
	if got := diffLines(Diff(old, now, all)); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := Diff(now, now, all); len(got) > 0 {
		t.Errorf("a configuration differs from itself: %v", diffLines(got))
	}
}

// The texts of a part that may take a secret as it stands are not shown, whatever its keys are called; nor are those of one
// that was such a part before.
func TestDiffHidesTexts(t *testing.T) {
	t.Parallel()
	for _, shown := range []Shown{nil, func(string, string) bool { return false }} {
		text := strings.Join(diffLines(Diff(loadText(t, before), loadText(t, after), shown)), "\n")
		for _, secret := range []string{"hunter", "idp.example.com", `"b" -> "c"`, "PT30M"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s is shown:\n%s", secret, text)
			}
		}
		for _, open := range []string{"urn:realmgate-secret:vars:B", "5 -> 6", `"2s" -> "3s"`, `issuer: "…" -> "…"`} {
			if !strings.Contains(text, open) {
				t.Errorf("%s is not shown:\n%s", open, text)
			}
		}
	}
	was := loadText(t, "secret_store \"s\" {\n  type = \"acme\"\n  pin = \"hunter2\"\n}\n")
	is := loadText(t, "secret_store \"s\" {\n  type = \"file\"\n  dir = \"/x\"\n}\n")
	var asked []string
	text := fmt.Sprint(diffLines(Diff(was, is, func(kind, typ string) bool { asked = append(asked, kind+"/"+typ); return typ == "file" })))
	if strings.Contains(text, "hunter2") || !strings.Contains(text, `"acme" -> "file"`) || !slices.Contains(asked, "secret-resolver/acme") {
		t.Errorf("%s %v", text, asked)
	}
}

// public_url is where the issuers of realms come from that set none.
func TestDiffOfIssuers(t *testing.T) {
	t.Parallel()
	const realms = "\nrealm \"a\" {}\nrealm \"b\" {\n  issuer = \"https://b.example.com\"\n}\n"
	got := diffLines(Diff(loadText(t, `public_url = "https://one.example.com"`+realms), loadText(t, `public_url = "https://two.example.com"`+realms), nil))
	want := []string{
		"top level changed ",
		`  public_url: "https://one.example.com" -> "https://two.example.com" c.hcl:1:1`,
		`realm "a" changed c.hcl:2:1`,
		`  issuer: "https://one.example.com/realms/a" -> "https://two.example.com/realms/a" c.hcl:1:1`,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

func TestRestart(t *testing.T) {
	t.Parallel()
	const old = `
listener "main" {
  address         = "127.0.0.1:1"
  trusted_proxies = ["10.0.0.0/8"]
  tls {
    cert_file = "a"
    key_file  = "a"
  }
}
listener "other" {
  address = "127.0.0.1:2"
}
`
	for name, tt := range map[string]struct{ from, to, place, want string }{
		"address":         {`:1"`, `:3"`, "c.hcl:3:3", "address of listener \"main\" cannot be changed"},
		"trusted proxies": {`10.0.0.0/8`, `10.0.0.0/9`, "c.hcl:4:3", "trusted_proxies of listener \"main\""},
		"tls":             {"tls {\n    cert_file = \"a\"\n    key_file  = \"a\"\n  }", "", "c.hcl:2:1", "tls of listener \"main\""},
		"renamed":         {`"other"`, `"another"`, "c.hcl:10:1", "\"another\" cannot be opened"},
		"removed":         {"listener \"other\" {\n  address = \"127.0.0.1:2\"\n}", "", "c.hcl:10:1", "\"other\" cannot be closed"},
		"admin":           {"\nlistener \"main\"", "admin { socket = \"x\" }\nlistener \"main\"", "c.hcl:1:9", "admin.socket cannot"},
		"directory":       {"\nlistener \"main\"", "directory { path = \"x\" }\nlistener \"main\"", "c.hcl:1:13", "directory.path cannot"},
		"audit":           {"\nlistener \"main\"", "audit { decisions = true }\nlistener \"main\"", "c.hcl:1:9", "audit.decisions cannot"},
		"metrics":         {"\nlistener \"main\"", "metrics { address = \"127.0.0.1:0\" }\nlistener \"main\"", "c.hcl:1:11", "metrics.address cannot"},
		"audit path":      {"\nlistener \"main\"", "audit { path = \"x\" }\nlistener \"main\"", "c.hcl:1:9", "audit.path cannot"},
		"audit refuse":    {"\nlistener \"main\"", "audit { on_failure = \"continue\" }\nlistener \"main\"", "c.hcl:1:9", "audit.on_failure cannot"},
		"log format":      {"\nlistener \"main\"", "log { format = \"json\" }\nlistener \"main\"", "c.hcl:1:7", "log.format cannot"},
	} {
		changed := strings.Replace(old, tt.from, tt.to, 1)
		if changed == old {
			t.Fatalf("%s changes nothing", name)
		}
		diags := Restart(loadText(t, old), loadText(t, changed))
		err := diags.Err()
		if err == nil || !strings.Contains(err.Error(), tt.place) || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "Restart the daemon") {
			t.Errorf("%s: %v", name, err)
		}
	}
	const free = "log { level = \"debug\" }\nshutdown_grace = \"1s\"\nplugin_dir = \"/x\"\npublic_url = \"https://x\"\nrealm \"a\" {}\n"
	with := strings.ReplaceAll(old, `= "a"`, `= "b"`)
	if diags := Restart(loadText(t, old), loadText(t, free+with)); len(diags) > 0 {
		t.Errorf("what can change is refused: %v", diags)
	}
}

// TestAddresses: what may be secret in an address is not shown, whatever characters it has.
func TestAddresses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`https://user:canary@idp.example.com/a`:          `"https://…@idp.example.com/a"`,
		`https://user:can/canary@idp.example.com`:        `"https://…@idp.example.com"`,
		`https://user:can@canary@idp.example.com`:        `"https://…@idp.example.com"`,
		"https://user:c\"a n\nary@idp.example.com":       `"https://…@idp.example.com"`,
		`https://idp.example.com/a?client_secret=canary`: `"https://idp.example.com/a?…"`,
		`https://idp.example.com/a?x="canary`:            `"https://idp.example.com/a?…"`,
		`https://idp.example.com/a#canary`:               `"https://idp.example.com/a#…"`,
		`alice@example.com`:                              `"alice@example.com"`,
		`^role_?(.*)#$`:                                  `"^role_?(.*)#$"`,
	} {
		if got := display(text, false); got != want {
			t.Errorf("%s: %s", text, got)
		}
	}
	if got := display(map[string]any{"https://u:canary@h": true}, false); got != `{"https://…@h":true}` {
		t.Errorf("as a key: %s", got)
	}
}
