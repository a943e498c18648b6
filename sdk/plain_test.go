package sdk

import (
	"reflect"
	"strings"
	"testing"
)

const plainClaims = `{"iss":"https://idp.example.com/realms/x","sub":"f3b1c0de","aud":["polaris","other"],"exp":1900000000,"iat":1800000000,` +
	`"azp":"client","scope":"openid profile email","polaris":{"principal_id":17,"principal_name":"alice","roles":["ops","dev"]},"ok":true,"no":null}`

var odd = []string{
	``, ` `, `{}`, ` { } `, `{"a":1}`, `{"a":01}`, `{"a":-1}`, `{"a":1.5}`, `{"a":1e3}`, `{"a":1x}`, `{"a":0}`, `{"a":00}`, `{"a":"\u0041"}`, `{"a":"\n"}`, "{\"a\":\"\n\"}",
	`{"a":"ä"}`, "{\"a\":\"\xff\"}", `{"a":tru}`, `{"a":true}`, `{"a":truex}`, `{"a":null,"a":2}`, `{"a":{"b":1},"a":{"c":2}}`, `{"a":[1,[2,{}],"x"]}`, `{"a":[1,]}`, `{"a":1,}`,
	`{"a"}`, `{a:1}`, `{"a":1} {}`, `{"a":1}x`, `[]`, `null`, `"x"`, `1`, `{"":""}`, `{"a":"\\"}`, `{"a":"`, `{"a":[`, "\xef\xbb\xbf{}", `{"a" : [ ] , "b" : { } }`,
	`{"a":` + strings.Repeat(`[`, 100) + strings.Repeat(`]`, 100) + `}`, `{"a":` + strings.Repeat(`[`, 20000), "{\"a\":\"\x7f\"}",
}

// Whatever plainObject takes is what encoding/json makes of it.
func FuzzPlainObject(f *testing.F) {
	f.Add([]byte(plainClaims))
	for _, text := range odd {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, ok := plainObject(raw)
		want := anyObject(raw)
		if ok && !reflect.DeepEqual(got, want) {
			t.Errorf("%q is %v, and %v for encoding/json", raw, got, want)
		}
		if m := NewClaims(raw).Map(); !reflect.DeepEqual(m, want) {
			t.Errorf("claims of %q are %v, and %v for encoding/json", raw, m, want)
		}
	})
}

// The claims of usual tokens are plain, or nothing would be gained.
func TestUsualClaimsArePlain(t *testing.T) {
	t.Parallel()
	if m, ok := plainObject([]byte(plainClaims)); !ok || len(m) != 10 {
		t.Errorf("%v %v", m, ok)
	}
}

func BenchmarkClaims(b *testing.B) {
	raw := []byte(plainClaims)
	for name, read := range map[string]func() map[string]any{
		"json":  func() map[string]any { return anyObject(raw) },
		"plain": func() map[string]any { m, _ := plainObject(raw); return m },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if len(read()) != 10 {
					b.Fatal("other claims")
				}
			}
		})
	}
}
