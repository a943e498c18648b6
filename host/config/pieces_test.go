package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
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
