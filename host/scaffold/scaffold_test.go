package scaffold

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"

	"github.com/realmgate/realmgate/sdk"
)

// A kind that the SDK gets has a beginning here, too.
func TestKindsAreThoseOfTheSDK(t *testing.T) {
	t.Parallel()
	var want []string
	for _, k := range sdk.Kinds() {
		want = append(want, k.String())
	}
	slices.Sort(want)
	if got := Kinds(); !slices.Equal(got, want) {
		t.Errorf("kinds are %q, the SDK has %q", got, want)
	}
	folders, err := fs.ReadDir(templates, "templates")
	if err != nil || len(folders) != len(want)+2 {
		t.Errorf("%d folders, %v", len(folders), err)
	}
	with, err := fs.ReadDir(templates, "templates/with")
	if err != nil || len(with) != len(Abilities()) {
		t.Errorf("%d folders, %v", len(with), err)
	}
}

// built says which abilities a kind begins with; the parts that are made have them in their manifests, as a test of the command
// sees.
var built = map[string]string{"key-publisher": "token-broker", "checker": "identity-provider, secret-resolver, token-broker"}

// An ability that the SDK gets can be had here, too: of a kind that begins with it, or where it is asked for.
func TestAbilitiesAreThoseOfTheSDK(t *testing.T) {
	t.Parallel()
	n := 0
	for a := sdk.Ability(1); !strings.HasPrefix(a.String(), "ability("); a++ {
		if _, with := built[a.String()]; with == slices.Contains(Abilities(), a.String()) {
			t.Errorf("%s: a new plugin has it in no way, or in two", a)
		}
		n++
	}
	if n != len(built)+len(Abilities()) {
		t.Errorf("the SDK has %d abilities, here are %d and %d", n, len(built), len(Abilities()))
	}
}

// A new module asks for the Go version that this one has, and for the SDK of the release that made it. Where there is none, the
// newest SDK is taken, or the checkout's.
func TestVersions(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	f, err := modfile.Parse("go.mod", raw, nil)
	if err != nil {
		t.Fatal(err)
	}
	if f.Go.Version != goVersion {
		t.Errorf("go %s, here it is %s", goVersion, f.Go.Version)
	}
	for version, want := range map[string]string{"v0.7.0": "\nrequire github.com/realmgate/realmgate/sdk v0.7.0\n", "": "go " + goVersion + "\n"} {
		files, err := Plugin{Name: "acme", Kind: "authenticator", Module: "example.com/acme", SDK: version}.Files()
		if err != nil {
			t.Fatal(err)
		}
		if text := string(files["go.mod"]); !strings.HasSuffix(text, want) {
			t.Errorf("sdk %q: %s", version, text)
		}
		if text := string(files["README.md"]); strings.Contains(text, "CHECKOUT") == (version != "") || strings.Contains(text, "\n\n\n") {
			t.Errorf("sdk %q: %s", version, text)
		}
	}
}

// What is needed until the modules are published stands where an author looks.
func TestREADMENamesWhatIsNeeded(t *testing.T) {
	t.Parallel()
	files, err := Plugin{Name: "acme", Kind: "token-broker", Module: "example.com/acme"}.Files()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"-replace github.com/realmgate/realmgate/sdk=CHECKOUT/sdk\n", "-replace github.com/realmgate/realmgate/proto=CHECKOUT/proto\n", "go mod tidy", "ACME_KEY="} {
		if !strings.Contains(string(files["README.md"]), want) {
			t.Errorf("README.md has no %q", want)
		}
	}
	if !strings.Contains(string(files["realmgate.hcl"]), "README.md") {
		t.Error("the configuration does not say where it is told how the plugin is built")
	}
}

// A mapper is at most 20 lines of an author's own: what is in its main.go but for comments, imports and blank lines.
func TestMapperIsShort(t *testing.T) {
	t.Parallel()
	files, err := Plugin{Name: "acme", Kind: "principal-mapper", Module: "example.com/acme"}.Files()
	if err != nil {
		t.Fatal(err)
	}
	_, code, ok := strings.Cut(string(files["main.go"]), "\n)\n")
	if !ok {
		t.Fatal("main.go has no imports")
	}
	own := 0
	for line := range strings.Lines(code) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
			own++
		}
	}
	if own > 20 || own < 10 {
		t.Errorf("%d lines:\n%s", own, code)
	}
}

func TestWrongNames(t *testing.T) {
	t.Parallel()
	good := Plugin{Name: "acme-2", Kind: "authenticator", Module: "example.com/acme"}
	if _, err := good.Files(); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		change func(*Plugin)
		want   string
	}{
		{func(p *Plugin) { p.Name = "" }, `name "": lower-case letters`},
		{func(p *Plugin) { p.Name = "Acme" }, `name "Acme": lower-case letters`},
		{func(p *Plugin) { p.Name = "../acme" }, `name "../acme": lower-case letters`},
		{func(p *Plugin) { p.Name = "acme-" }, "lower-case letters"},
		{func(p *Plugin) { p.Name = "a\nb" }, "lower-case letters"},
		{func(p *Plugin) { p.Name = strings.Repeat("a", 41) }, "41 characters, at most 40"},
		{func(p *Plugin) { p.Name = "default" }, "comes with the daemon"},
		{func(p *Plugin) { p.Kind = "mapper" }, `kind "mapper": it is none of active-roles-provider, authenticator,`},
		{func(p *Plugin) { p.With = []string{"key-publisher"} }, `with "key-publisher": it is none of request-signer, secret-writer`},
		{func(p *Plugin) { p.With = []string{"secret-writer"} }, `with "secret-writer": that is for the kind secret-resolver`},
		{func(p *Plugin) { p.Module = "a b" }, "module: malformed module path"},
		{func(p *Plugin) { p.Module = "" }, "module: malformed module path"},
		{func(p *Plugin) { p.Module = "fmt" }, "missing dot in first path element"},
		{func(p *Plugin) { p.Module = "unsafe" }, "missing dot in first path element"},
		{func(p *Plugin) { p.Module = "C" }, "module: malformed module path"},
		{func(p *Plugin) { p.Module = "toolchain" }, "missing dot in first path element"},
		{func(p *Plugin) { p.Module = "github.com/realmgate/realmgate/sdk" }, "github.com/realmgate/realmgate is not yours"},
		{func(p *Plugin) { p.Module = "golang.org/x/net" }, "golang.org/x is not yours"},
		{func(p *Plugin) { p.Module = "example.com/-x" }, "no element may begin with a -"},
	} {
		p := good
		c.change(&p)
		dir := filepath.Join(t.TempDir(), "new")
		if _, err := p.Write(dir); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, wanted %q", p, err, c.want)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%+v: the folder is there", p)
		}
	}
	_, err := Plugin{Name: "A", Kind: "b", Module: "c d"}.Files()
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("not all faults at once: %v", err)
	}
}

// What is there is left as it is.
func TestNothingIsOverwritten(t *testing.T) {
	t.Parallel()
	p := Plugin{Name: "acme", Kind: "principal-mapper", Module: "example.com/acme"}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, ".git"), 0o700); err != nil {
		t.Fatal(err)
	}
	written, err := p.Write(dir)
	if err != nil || !slices.Equal(written, []string{".gitignore", "README.md", "case.json", "conformance_test.go", "go.mod", "main.go", "main_test.go", "realmgate.hcl"}) {
		t.Fatalf("%q %v", written, err)
	}
	own := filepath.Join(dir, "main.go")
	if err := os.WriteFile(own, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Write(dir); err == nil || !strings.Contains(err.Error(), "the folder is not empty") {
		t.Error(err)
	}
	if raw, err := os.ReadFile(own); err != nil || string(raw) != "mine" {
		t.Errorf("%q %v", raw, err)
	}
	if _, err := p.Write(own); err == nil {
		t.Error("a file is taken for a folder")
	}
}

// Half a plugin would be in the way of the next attempt.
func TestHalfAFolderIsTakenBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	written, err := write(dir, map[string][]byte{"a": []byte("x"), "b/c": []byte("y")}) // there is no b
	if err == nil || written != nil {
		t.Errorf("%q %v", written, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}
