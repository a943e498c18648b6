package polaris

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/realmgate/realmgate/host/config"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestGolden translates whole files. Each output is a configuration without a fault, has every property of its input once, and
// no secret.
func TestGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.properties")
	if err != nil || len(files) < 6 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			out, diags := Import(content, Options{File: filepath.Base(file), Tenants: map[string]string{"analytics.eu": "opaque"}})
			if err := diags.Err(); err != nil {
				t.Fatal(err)
			}
			var warnings strings.Builder
			if err := diags.Write(&warnings); err != nil {
				t.Fatal(err)
			}
			compare(t, strings.TrimSuffix(file, ".properties")+".hcl", string(out))
			compare(t, strings.TrimSuffix(file, ".properties")+".warnings", warnings.String())
			if _, diags := config.Load(config.Options{Default: out, DefaultName: "out"}); diags.Err() != nil {
				t.Error(diags.Err())
			}
			if strings.Contains(strings.ToLower(string(out)+warnings.String()), "canary") {
				t.Error("a secret was copied")
			}
			complete(t, content, out)
		})
	}
}

// complete checks that every property stands in one comment.
func complete(t *testing.T, content, out []byte) {
	t.Helper()
	all := read(content, func(line int, summary, _ string) { t.Errorf("%d: %s", line, summary) })
	text := comments(out)
	for _, p := range all {
		name := regexp.QuoteMeta(shownKey(p.written()))
		n := len(regexp.MustCompile(`(?m)(^|[ :])`+name+`($|[,:]|\.$)`).FindAllString(text, -1))
		if want := count(all, p); n != want {
			t.Errorf("%s stands %d times in the output, in the input %d times", p.written(), n, want)
		}
	}
}

func count(all []*property, p *property) int {
	n := 0
	for _, o := range all {
		if o.written() == p.written() {
			n++
		}
	}
	return n
}

// comments gives what is behind # outside of strings, by lines.
func comments(out []byte) string {
	tokens, _ := hclsyntax.LexConfig(out, "out", hcl.InitialPos)
	var b strings.Builder
	for _, token := range tokens {
		if token.Type == hclsyntax.TokenComment {
			b.WriteString(strings.TrimSpace(strings.TrimLeft(string(token.Bytes), "# ")) + "\n")
		}
	}
	return b.String()
}

func compare(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is otherwise:\n%s", file, got)
	}
}

// TestFaults has one fault each, at its line.
func TestFaults(t *testing.T) {
	t.Parallel()
	const tenant = "quarkus.oidc.auth-server-url=https://idp.example.com\nquarkus.oidc.client-id=c\npolaris.oidc.principal-mapper.id-claim-path=sub\n"
	const two = tenant + "quarkus.oidc.t.auth-server-url=https://t.example.com\nquarkus.oidc.t.client-id=c\n"
	for name, c := range map[string]struct{ in, want string }{
		"escape":           {"a=b\nx=\\u12\n", "f:2:1: this is no property"},
		"encoding":         {"a=b\nx=\xff\n", "f:2:1: this is no text in UTF-8"},
		"quotes":           {`polaris."a=b`, "f:1:1: the key cannot be read"},
		"half a character": {`a=\ud83d`, "f:1:1: the value has half a character in it"},
		"type":             {"\npolaris.authentication.type=both", "f:2:1: polaris.authentication.type must be internal, external or mixed"},
		"realm":            {"polaris.realm-context.realms=a b", "f:1:1: a realm has a name that cannot be used here"},
		"no tenant":        {"polaris.authentication.type=external", "but no tenant is enabled"},
		"which tenant":     {two + "polaris.authentication.type=external\npolaris.realm-context.realms=r", "f:6:1: it cannot be seen which tenant realm r uses"},
		"no principal":     {"quarkus.oidc.auth-server-url=https://x\nquarkus.oidc.client-id=c\npolaris.authentication.type=external\n", "f:1:1: tenant default finds no principal"},
		"no audience":      {"quarkus.oidc.auth-server-url=https://x", "f:1:1: the tenant says nothing of the audience of its tokens"},
		"no keys":          {tenant + "quarkus.oidc.discovery-enabled=false", "f:1:1: the provider's keys cannot be found"},
		"no endpoint":      {tenant + "quarkus.oidc.token.require-jwt-introspection-only=true", "f:1:1: the introspection endpoint is not known"},
		"no client":        {tenant + "quarkus.oidc.token.require-jwt-introspection-only=true\nquarkus.oidc.introspection-path=x", "f:5:1: introspection needs a client and its secret"},
		"half a mapping":   {"polaris.oidc.principal-roles-mapper.mappings[0].regex=x", "f:1:1: mappings[0] has no replacement"},
		"no variable":      {"quarkus.oidc.auth-server-url=${IDP}\nquarkus.oidc.client-id=c", "${IDP} has no value: set the variable"},
		"no end":           {"quarkus.oidc.auth-server-url=${IDP", "An expression ${ has no end"},
		"endless":          {"a=${b}\nb=${a}\nquarkus.oidc.auth-server-url=${a}", "refer to each other more than"},
		"bomb":             {"a=" + strings.Repeat("x", 6000) + "\nb=" + strings.Repeat("${a}", 20) + "\nquarkus.oidc.client-id=c\nquarkus.oidc.auth-server-url=${b}", "It is longer than"},
		"secret by name":   {"quarkus.oidc.auth-server-url=https://${quarkus.oidc.credentials.secret}\nquarkus.oidc.credentials.secret=canary", "refers to a secret"},
		"secret by env":    {"quarkus.oidc.auth-server-url=https://${DB_PASSWORD:canary}", "refers to a secret"},
		"user in a URL":    {"quarkus.oidc.auth-server-url=https://me:canary@idp.example.com", "has a password in it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, diags := Import([]byte(c.in+"\nquarkus.oidc.tenant-enabled=true"), Options{File: "f", Lookup: func(name string) (string, bool) { return "canary", name == "DB_PASSWORD" }})
			err := diags.Err()
			if err == nil || out != nil {
				t.Fatalf("no error, but\n%s", out)
			}
			if !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "f:") {
				t.Errorf("it says\n%s", err)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("a secret is shown: %s", err)
			}
		})
	}
}

// TestEnvironment takes variables before the file, by the names by which Quarkus looks for them.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	in := "quarkus.oidc.auth-server-url=${idp.url:https://default.example.com}\nquarkus.oidc.client-id=c\nidp.url=https://file.example.com\nquarkus.oidc.tenant-enabled=true"
	for name, want := range map[string]string{"IDP_URL": "variable", "idp.url": "variable", "X": "file"} {
		out, diags := Import([]byte(in), Options{Lookup: func(v string) (string, bool) { return "https://variable.example.com", v == name }})
		if diags.Err() != nil || !strings.Contains(string(out), want+".example.com") {
			t.Errorf("%s: %v\n%s", name, diags.Err(), out)
		}
	}
}

func TestLogicalLines(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][]logicalLine{
		"a\r\nb\rc":           {{"a", 1}, {"b", 2}, {"c", 3}},
		"# x\\\na\n\n ! y\nb": {{"a", 2}, {"b", 5}},
		"a=1\\\n  # 2\\\n\t3": {{"a=1# 23", 1}},
		`a=\\` + "\nb":        {{`a=\\`, 1}, {"b", 2}},
		`a=1\`:                {{"a=1", 1}},
	} {
		if got := logicalLines(in); !slices.Equal(got, want) {
			t.Errorf("%q: %v", in, got)
		}
	}
}

// FuzzImport: whatever comes in, what comes out is HCL, has each property once, and the value of no secret.
func FuzzImport(f *testing.F) {
	files, err := filepath.Glob("testdata/*.properties")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content, "pass\nword")
	}
	f.Fuzz(func(t *testing.T, content []byte, secret string) {
		const canary = "wY9-canary-wY9"
		if strings.Contains(string(content), canary) {
			t.Skip()
		}
		content = append(slices.Clone(content), "\nquarkus.oidc.zz.credentials.secret="+canary+"\nquarkus.oidc.zz.auth-server-url=https://zz\nquarkus.oidc.zz.client-id=c\nquarkus.oidc.zz.introspection-path=/i\nquarkus.oidc.zz.token.require-jwt-introspection-only=true\n"...)
		out, diags := Import(content, Options{File: secret})
		if diags.Err() != nil {
			if out != nil {
				t.Fatal("an error gives a configuration")
			}
			return
		}
		if strings.Contains(string(out), canary) {
			t.Fatalf("a secret was copied:\n%s", out)
		}
		if _, diags := hclsyntax.ParseConfig(out, "out", hcl.InitialPos); diags.HasErrors() {
			t.Fatalf("%s\n%s", diags, out)
		}
		text := comments(out)
		for _, p := range read(content, func(int, string, string) {}) {
			if !strings.Contains(text, shownKey(p.written())) {
				t.Fatalf("%q is lost:\n%s", p.written(), out)
			}
		}
	})
}
