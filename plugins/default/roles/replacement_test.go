package roles

import (
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

func TestParseReplacement(t *testing.T) {
	t.Parallel()
	tests := []struct {
		regex, text, in, want, err string
	}{
		{"b", "x", "abc", "axc", ""},
		{"b", "$0$0", "abc", "abbc", ""},
		{"(a)(b)", "$2$1", "abc", "bac", ""},
		{"(a)", "$12", "abc", "a2bc", ""},
		{"(1)(2)(3)(4)(5)(6)(7)(8)(9)(a)(b)", "$11", "123456789ab", "b", ""},
		{"(1)(2)(3)(4)(5)(6)(7)(8)(9)(a)(b)", "$12", "123456789ab", "12", ""},
		{"(?P<x>b)", "<${x}>", "abc", "a<b>c", ""},
		{"b", `\$1`, "abc", "a$1c", ""},
		{"b", `\\`, "abc", `a\c`, ""},
		{"b", `\_`, "abc", "a_c", ""},
		{"b", `\ü`, "abc", "aüc", ""},
		{"b", "", "abc", "ac", ""},
		{"b", `x\`, "", "", "a backslash ends"},
		{"b", "$", "", "", "refers to no group"},
		{"b", "$x", "", "", "refers to no group"},
		{"b", "$1", "", "", "no group 1"},
		{"b", "${", "", "", "not closed"},
		{"b", "${}", "", "", "not the name"},
		{"(b)", "${1}", "", "", "not the name"},
		{"b", "${x}", "", "", `no group with the name "x"`},
	}
	for _, tt := range tests {
		for name, compile := range engines {
			e, err := compile(tt.regex)
			if err != nil {
				t.Fatal(err)
			}
			r, err := parseReplacement(tt.text, e)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) || r != nil {
					t.Errorf("%s: %q: %v, %v, want %q", name, tt.text, r, err, tt.err)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s: %q: %v", name, tt.text, err)
				continue
			}
			got, err := mapping{e, r}.apply(tt.in)
			if err != nil || got != tt.want {
				t.Errorf("%s: %q on %q gives %q, %v, want %q", name, tt.text, tt.in, got, err, tt.want)
			}
		}
	}
}

var engines = map[string]func(string) (engine, error){
	"linear":       func(s string) (engine, error) { return compileLinear(s) },
	"backtracking": func(s string) (engine, error) { return compileBacktracking(s) },
}

// print gives a replacement in the syntax that parses back to it. Literal digits are escaped: behind a reference they would
// be read as a part of its number.
func (r replacement) print() string {
	var b strings.Builder
	for _, p := range r {
		if p.group >= 0 {
			b.WriteString("$" + strconv.Itoa(p.group))
			continue
		}
		for i := range len(p.text) {
			if c := p.text[i]; c == '\\' || c == '$' || isDigit(c) {
				b.WriteByte('\\')
			}
			b.WriteByte(p.text[i])
		}
	}
	return b.String()
}

func FuzzParseReplacement(f *testing.F) {
	for _, s := range []string{"", "$0", `PRINCIPAL\_ROLE:$1`, "${name}x", `\$\\`, "$10$2", `\`, "$", "${", "ü$1"} {
		f.Add(s)
	}
	e, err := compileLinear(`(?P<name>a)(b)`)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parseReplacement(text, e)
		if err != nil {
			if r != nil {
				t.Fatal("an error came with a value")
			}
			return
		}
		again, err := parseReplacement(r.print(), e)
		if err == nil && !reflect.DeepEqual(r, again) {
			t.Fatalf("%q parses to %v, prints and parses to %v", text, r, again)
		}
		if err != nil && len(text) < maxReplacement/2 {
			t.Fatalf("%q prints to what does not parse: %v", text, err)
		}
		for _, p := range r {
			if p.group > e.groups() {
				t.Fatalf("%q refers to group %d", text, p.group)
			}
		}
	})
}

// TestEnginesAgree checks that both engines read what both can read in the same way, so that adding a look-ahead to an
// expression changes nothing else. The one difference: \b knows letters beyond ASCII in the backtracking engine only.
func TestEnginesAgree(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	atoms := []string{"a", "b", "_", ".", "[ab]", "[^a]", `\d`, `\w`, `\_`, "(a)", "(b|ab)", "(?:a|b)", "^", "$", `\b`, "(?P<x>b)"}
	quantifiers := []string{"", "", "", "*", "+", "?", "*?", "{1,2}"}
	letters := []rune("aab_1 ü\n")
	compared := 0
	for range 3000 {
		var expr strings.Builder
		for range 1 + rnd.IntN(4) {
			expr.WriteString(atoms[rnd.IntN(len(atoms))])
			expr.WriteString(quantifiers[rnd.IntN(len(quantifiers))])
		}
		l, err := compileLinear(expr.String())
		if err != nil {
			continue
		}
		b, err := compileBacktracking(expr.String())
		if err != nil {
			continue
		}
		compared++
		for range 5 {
			in := make([]rune, rnd.IntN(6))
			for i := range in {
				in[i] = letters[rnd.IntN(len(letters))]
			}
			s := string(in)
			if strings.Contains(expr.String(), `\b`) {
				s = strings.ReplaceAll(s, "ü", "u")
			}
			lf, _ := l.full(s)
			bf, err := b.full(s)
			if err != nil || lf != bf {
				t.Errorf("%q as a whole on %q: %v and %v, %v", expr.String(), s, lf, bf, err)
			}
			r := replacement{{text: "<", group: -1}, {group: 0}, {text: ">", group: -1}}
			lm, _ := mapping{l, r}.apply(s)
			bm, err := mapping{b, r}.apply(s)
			if err != nil || lm != bm {
				t.Errorf("%q replaced in %q: %q and %q, %v", expr.String(), s, lm, bm, err)
			}
		}
	}
	if compared < 1000 {
		t.Errorf("only %d expressions were compared", compared)
	}
}
