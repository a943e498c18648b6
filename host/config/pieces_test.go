package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// long gives the text of many realms, more than one piece holds, with something in their midst.
func long(midst string) string {
	var out strings.Builder
	for i := 0; i < 1000 || out.Len() < 3*pieceSize; i++ {
		fmt.Fprintf(&out, "realm \"r%d\" {\n  hosts = [\"r%d.example.com\"]\n}\n", i, i)
		if i == 500 {
			out.WriteString(midst)
		}
	}
	return out.String()
}

// A file that is read in pieces says what it says as a whole, at the same places.
func TestPieces(t *testing.T) {
	t.Parallel()
	lines := strings.Repeat("realm is no block here, nor }\n", 2*pieceSize/30) // a piece would end in it
	for name, tt := range map[string]struct {
		text  string
		whole bool // it cannot be read in pieces
	}{
		"blocks":               {text: long("")},
		"Windows":              {text: strings.ReplaceAll(long(""), "\n", "\r\n")},
		"faults":               {text: long("realm \"x\" {\n  host = 1\n}\nrealm \"r0\" {}\nunknown \"y\" {}\n"), whole: true},
		"one name twice":       {text: "log = 1\n" + long("log {}\n"), whole: true},
		"a key for a block":    {text: "realm = 1\n" + long(""), whole: true},
		"no line at its end":   {text: strings.TrimSuffix(long(""), "\n")},
		"a short file":         {text: "realm \"a\" {}\n", whole: true},
		"a text of many lines": {text: long("realm \"x\" {\n  issuer = <<EOT\n" + lines + "EOT\n}\n"), whole: true},
		"a comment":            {text: long("/*\n" + lines + "*/\n"), whole: true},
		"a comment of lines":   {text: long(strings.ReplaceAll(lines, "realm", "# realm"))},
		"a block of lines":     {text: long("realm \"x\" {\n" + strings.Repeat("issuer = \"https://x\"\n", pieceSize/10) + "}\n"), whole: true},
		"a key twice":          {text: "public_url = \"https://a\"\n" + long("public_url = \"https://b\"\n"), whole: true},
		"an open brace":        {text: long("realm \"x\" {\n"), whole: true},
		"a brace too many":     {text: long("}\n"), whole: true},
		"an open string":       {text: long("realm \"x {\n}\n"), whole: true},
		"a bracket of another": {text: long("public_url = (1]\n"), whole: true},
		"an open template":     {text: long("public_url = \"${1\"\n"), whole: true},
		"many dashes":          {text: long("realm \"x\" {\n  hosts = [\"" + strings.Repeat("-", 200) + "\"]\n}\n")},
		"nested too deep":      {text: long("public_url = " + strings.Repeat("(", 200) + "1" + strings.Repeat(")", 200) + "\n"), whole: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if ok := samePieces(t, tt.text, pieceSize); ok == tt.whole {
				t.Fatalf("read in pieces: %v", ok)
			}
		})
	}
}

// Whatever a file says, and wherever it is cut, it says no more and nothing else in pieces.
func FuzzPieces(f *testing.F) {
	for _, text := range []string{
		"realm \"a\" {}\nrealm \"b\" {\n  hosts = [\"b\"]\n}\nlog {\n  level = \"info\"\n}\n",
		"role_prefix = \"a\"\nlog {}\nrealm \"a\" {}\nlog {\n  format = \"json\"\n}\n",
		"realm \"a\" {\n  issuer = <<EOT\nrealm x\nEOT\n}\nplugin \"p\" {\n  path = \"p\"\n}\n",
		"/*\nrealm */ realm \"a\" {\r\n}\r\ntenant \"t\" {\r\n  identity_provider {\n    a = {\nb = (1\n)\n}\n  }\n}\n",
	} {
		for _, size := range []uint16{1, 20, 40} {
			f.Add(text, size)
		}
	}
	f.Fuzz(func(t *testing.T, text string, size uint16) { samePieces(t, text, int(size)) })
}

// samePieces says whether a text can be read in pieces, and compares what comes of it with what the whole says.
func samePieces(t *testing.T, text string, size int) bool {
	t.Helper()
	var diags, faults Diagnostics
	src := &source{file: "c.hcl"}
	p, w := &parser{src: src, diags: &diags, root: &trace{}}, &parser{src: src, diags: &faults, root: &trace{}}
	got, ok := p.pieces([]byte(text), size)
	if len(diags) > 0 {
		t.Errorf("what was found is not forgotten: %v", diags)
	}
	if !ok {
		return false
	}
	want := w.whole([]byte(text))
	if len(faults) > 0 {
		t.Errorf("as a whole there are faults: %v", faults)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the values are not the same: %v\nas a whole: %v", got, want)
	}
	if !reflect.DeepEqual(positions(p.root), positions(w.root)) {
		t.Error("the places are not the same")
	}
	return true
}

// positions gives the places of all that is in a trace.
func positions(t *trace) map[string]any {
	out := map[string]any{"": t.position()}
	for name, c := range t.children.all() {
		out[name] = positions(c)
	}
	return out
}

// What skims a text sees the brackets that the lexer sees, or leaves it to the lexer.
func FuzzSkim(f *testing.F) {
	for _, text := range []string{
		"a = [\"]\", (1 - -2), \"\\\"}\", {}]\n", "a \"b\" {\n # }\n // }\n}\n", "a = \"${[}\"", "a = <<E\n}\nE\n", "/* } */ a {", "a = !-!b", "a = b ? [c] : d",
		"a = \"$${\"", "a = \"%{ if x }]%{ endif }\"", "}{", "a = b-c--d", "a\r\n{ # x", "a = \"\\\n\"}\n\"", strings.Repeat("[", maxNesting+1), "\xd6(", strings.Repeat("!\n", maxNesting+1),
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := skim([]byte(text))
		if !ok {
			return
		}
		tokens, found := hclsyntax.LexConfig([]byte(text), "", hcl.InitialPos)
		if len(found) > 0 || slices.ContainsFunc(tokens, func(t hclsyntax.Token) bool {
			return t.Type == hclsyntax.TokenInvalid || t.Type == hclsyntax.TokenBadUTF8
		}) {
			return // no parser takes it
		}
		if want, ok := nestingOf([]byte(text)); !ok || got.isOver() != want.isOver() {
			t.Errorf("%+v, and by tokens %+v (%v)", got, want, ok)
		}
	})
}

// What is read of a file for a word's sake says of that word what the file says.
func FuzzAbout(f *testing.F) {
	for _, text := range []string{
		"/*\n x\nadmin {\n socket = \"a\"\n}\n y\nz\n*/\nrealm \"r\" {}\nlog {}\n",
		"realm \"r\" {\n  issuer = <<EOT\nadmin {\n}\nEOT\n}\nadmin {\n  socket = \"b\"\n}\n",
		"log {}\nadmin {}\nrealm \"a\" {\n}\n# admin\n",
		"realm \"admin\" {\nhosts = [\n\"admin\"]\n}\nadmin {\nsocket = \"${1}\"\n}\n",
	} {
		for _, size := range []uint16{1, 10, 40} {
			f.Add(text, size)
		}
	}
	f.Fuzz(func(t *testing.T, text string, size uint16) {
		var diags, faults Diagnostics
		p, w := &parser{src: &source{file: "c.hcl"}, about: "admin", diags: &diags, root: &trace{}}, &parser{src: &source{file: "c.hcl"}, diags: &faults, root: &trace{}}
		got, ok := p.pieces([]byte(text), int(size))
		want := w.whole([]byte(text))
		if ok && len(faults) == 0 && !reflect.DeepEqual(got["admin"], want["admin"]) {
			t.Errorf("%v, as a whole %v", got["admin"], want["admin"])
		}
	})
}

// A word of the top is found wherever it stands, and what is at fault elsewhere is left to the daemon.
func TestLoadAdmin(t *testing.T) {
	t.Parallel()
	socket := "admin {\n  socket = \"/run/other.sock\"\n}\n"
	fill := strings.Repeat("# filler\n", pieceSize/4)
	for name, tt := range map[string]struct{ text, variable, socket, fault string }{
		"none":               {text: long(""), socket: "data/admin.sock"},
		"in the midst":       {text: long(socket), socket: "/run/other.sock"},
		"at the end":         {text: long("") + fill + socket, socket: "/run/other.sock"},
		"short":              {text: socket, socket: "/run/other.sock"},
		"by the environment": {text: long(socket), variable: "REALMGATE_ADMIN__SOCKET=/run/third.sock", socket: "/run/third.sock"},
		"in a text":          {text: long("realm \"x\" {\n  issuer = <<EOT\n" + strings.Repeat("realm\n", pieceSize/5) + socket + "EOT\n}\n"), socket: "data/admin.sock"},
		"in a comment":       {text: long("/*\n" + strings.Repeat("realm\n", pieceSize/5) + socket + "*/\n"), socket: "data/admin.sock"},
		"in a comment of lines that begin no piece": {text: "/*\n" + strings.Repeat(" words\n", pieceSize/7+1) + socket + strings.Repeat(" # more\n", pieceSize/8+1) + "words\n*/\n" + strings.Repeat(" # more\n", pieceSize/8+1) + "log {}\n", socket: "data/admin.sock"},
		"a fault elsewhere":                         {text: long("") + "realm \"y\" {\n  host = 1\n}\n" + fill + socket, socket: "/run/other.sock"},
		"a fault of its own":                        {text: long("admin {\n  sockets = 1\n}\n"), fault: `unknown key "sockets"`},
		"a brace that is open":                      {text: long("realm \"x\" {\n"), fault: "c.hcl:"},
		"in a block of another":                     {text: long("realm \"x\" {\n" + socket + "}\n"), fault: `unknown block "admin"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "c.hcl")
			if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, diags := LoadAdmin(Options{Files: []string{file}, Environ: []string{tt.variable}})
			if got.Socket != tt.socket {
				t.Errorf("%q, want %q", got.Socket, tt.socket)
			}
			if err := diags.Err(); tt.fault == "" && err != nil || tt.fault != "" && (err == nil || !strings.Contains(err.Error(), tt.fault)) {
				t.Errorf("%v, want %q", err, tt.fault)
			}
		})
	}
}
