package sdk

import (
	"encoding/json"
	"reflect"
	"sync"
	"testing"
)

func TestClaims(t *testing.T) {
	t.Parallel()
	c := NewClaims([]byte(`{"sub":"a","id":12345678901234567890,"o":{"https://ns/x":{"y":["r"]},"n":null},"s":"t"}`))
	for text, want := range map[string]any{
		`sub`: "a", `id`: json.Number("12345678901234567890"), `o/"https://ns/x"/y`: []any{"r"}, `o/n`: nil, `"sub"`: "a",
	} {
		p, err := ParseClaimPath(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := c.Lookup(p); !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v %v", text, got, ok)
		}
	}
	for _, text := range []string{`none`, `sub/x`, `o/n/x`, `o/none`} {
		p, err := ParseClaimPath(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := c.Lookup(p); ok {
			t.Errorf("%s: %v", text, got)
		}
	}
	for _, raw := range []string{`{"a":1} {}`, `{"a":1}x`, `[]`, `null`, `{`} {
		if m := NewClaims([]byte(raw)).Map(); m != nil {
			t.Errorf("%s is no object, but has the claims %v", raw, m)
		}
	}
	if m := NewClaims([]byte(" {\"a\":1}\n")).Map(); len(m) != 1 {
		t.Errorf("white space around an object: %v", m)
	}
	if _, ok := c.Lookup(ClaimPath{}); ok {
		t.Error("the zero path leads somewhere")
	}
	if _, ok := c.String("id"); ok {
		t.Error("a number is a string")
	}
	if s, ok := c.String("sub"); !ok || s != "a" {
		t.Error(s, ok)
	}
}

func TestClaimsThatAreNone(t *testing.T) {
	t.Parallel()
	for _, c := range []*Claims{nil, NewClaims(nil), NewClaims([]byte(`[]`)), NewClaims([]byte(`{`)), NewClaims([]byte(`null`)), NewClaims([]byte(`"x"`))} {
		if len(c.Map()) != 0 {
			t.Errorf("%s has claims", c.Raw())
		}
		if _, ok := c.String("x"); ok {
			t.Errorf("%s has a claim", c.Raw())
		}
		if _, ok := c.Lookup(ClaimPath{[]string{"x"}}); ok {
			t.Errorf("%s has a claim at a path", c.Raw())
		}
	}
}

func TestClaimsAreParsedOnceByMany(t *testing.T) {
	t.Parallel()
	c := NewClaims([]byte(`{"a":"b"}`))
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if s, _ := c.String("a"); s != "b" {
				t.Error(s)
			}
		})
	}
	all.Wait()
}

func TestParseClaimPathErrors(t *testing.T) {
	t.Parallel()
	for _, text := range []string{``, `/`, `a/`, `/a`, `a//b`, `"a`, `"a"b`, `a"b`, `""`, `"a"/`, `a/""/b`} {
		if p, err := ParseClaimPath(text); err == nil || !p.IsZero() {
			t.Errorf("%q gives %v %v", text, p, err)
		}
	}
}

func FuzzClaimPath(f *testing.F) {
	for _, s := range []string{`a`, `a/b`, `foo/"https://ns/claim"/bar`, `"a"`, ``, `a//b`, `"`, `"a"/`, "\xff/a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParseClaimPath(text)
		if err != nil {
			if !p.IsZero() {
				t.Fatal("an error gives a value")
			}
			return
		}
		if p.IsZero() {
			t.Fatal("a path that leads nowhere")
		}
		q, err := ParseClaimPath(p.String())
		if err != nil || !reflect.DeepEqual(p, q) || q.String() != p.String() {
			t.Fatalf("%q prints as %q, which is %q: %v", text, p, q, err)
		}
	})
}
