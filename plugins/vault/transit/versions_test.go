package transit

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

func public(t *testing.T, k crypto.Signer) string {
	t.Helper()
	if ed, ok := k.Public().(ed25519.PublicKey); ok {
		return base64.StdEncoding.EncodeToString(ed)
	}
	der, err := x509.MarshalPKIXPublicKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// key is what a server says of one, with a public key for each version.
func key(typ string, least int, publics ...string) map[string]any {
	all := map[string]any{}
	for i, p := range publics {
		all[fmt.Sprint(i+1)] = map[string]any{"creation_time": time.Unix(int64(1000*(i+1)), 0).Format(time.RFC3339), "public_key": p, "name": typ}
	}
	return map[string]any{"type": typ, "min_decryption_version": json.Number(fmt.Sprint(least)), "keys": all}
}

func TestTypesOfKeys(t *testing.T) {
	t.Parallel()
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	rsa2048, _ := rsa.GenerateKey(rand.Reader, 2048)
	derived := key("ed25519", 1, public(t, ed))
	derived["derived"] = true
	unnumbered := key("ed25519", 1, public(t, ed))
	unnumbered["keys"].(map[string]any)["0"] = unnumbered["keys"].(map[string]any)["1"]
	for name, x := range map[string]struct {
		data       map[string]any
		wish, want string // an algorithm, or what the error has
		id         crypto.PublicKey
	}{
		"RSA":                   {key("rsa-2048", 1, public(t, rsa2048)), "", "RS256", rsa2048.Public()},
		"RSA with PSS":          {key("rsa-2048", 1, public(t, rsa2048)), "PS256", "PS256", rsa2048.Public()},
		"P-256":                 {key("ecdsa-p256", 1, public(t, p256)), "", "ES256", p256.Public()},
		"P-384":                 {key("ecdsa-p384", 1, public(t, p384)), "ES384", "ES384", p384.Public()},
		"P-384, not asked for":  {key("ecdsa-p384", 1, public(t, p384)), "", "set algorithm to ES384", nil},
		"Ed25519":               {key("ed25519", 1, public(t, ed)), "EdDSA", "EdDSA", ed.Public()},
		"another algorithm":     {key("ed25519", 1, public(t, ed)), "RS256", "not for RS256", nil},
		"a symmetric key":       {key("aes256-gcm96", 1, ""), "", "no token is signed", nil},
		"P-521":                 {key("ecdsa-p521", 1, ""), "", "no token is signed", nil},
		"derived":               {derived, "", "is derived", nil},
		"another type of key":   {key("rsa-2048", 1, public(t, p256)), "", "version 1 of the key: it is not a public key of the type rsa-2048", nil},
		"another length":        {key("rsa-4096", 1, public(t, rsa2048)), "", "it is not a public key", nil},
		"another curve":         {key("ecdsa-p256", 1, public(t, p384)), "", "it is not a public key", nil},
		"a short Ed25519 key":   {key("ed25519", 1, "AAAA"), "", "it is not a public key", nil},
		"no PEM":                {key("rsa-2048", 1, "x"), "", "it is not a public key", nil},
		"none that may be used": {key("ed25519", 2, public(t, ed)), "", "no version that may be used", nil},
		"not numbered":          {unnumbered, "", "has no number", nil},
		"of another engine":     {map[string]any{"type": "ed25519", "keys": []any{"a"}}, "", "not one of a transit engine", nil},
	} {
		v, err := parse(x.data, x.wish)
		if err != nil && !strings.Contains(err.Error(), x.want) || err == nil && v.algorithm != x.want {
			t.Errorf("%s: %+v %v, want %s", name, v, err, x.want)
		}
		if x.id != nil && err == nil { // as others compute it
			sum, err := (&jose.JSONWebKey{Key: x.id}).Thumbprint(crypto.SHA256)
			if id := base64.RawURLEncoding.EncodeToString(sum); err != nil || v.all[0].id != id {
				t.Errorf("%s: %s, %s %v", name, v.all[0].id, id, err)
			}
		}
	}
}

// The clock decides which version signs, within what the server allows.
func TestSigner(t *testing.T) {
	t.Parallel()
	v := &versions{}
	for n := 1; n <= 3; n++ {
		v.all = append(v.all, version{number: n, created: time.Unix(int64(1000*n), 0)})
	}
	for _, x := range []struct {
		now          int64
		first, least int
		want         int
	}{
		{now: 1000, want: 1}, {now: 2000, want: 1}, {now: 2599, want: 1}, {now: 2600, want: 2}, {now: 3599, want: 2}, {now: 3600, want: 3},
		{now: 2000, first: 1, want: 2},           // version 1 is ruled out: there is no other than a young one
		{now: 2000, least: 2, want: 2},           // the server does not sign with version 1
		{now: 3000, least: 3, want: 3},           // nor with version 2
		{now: 9000, least: 4, want: 0},           // nor with any
		{now: 9000, first: 2, least: 2, want: 3}, // both
	} {
		some := &versions{all: v.all[x.first:], leastSigns: x.least}
		if got, ok := some.signer(time.Unix(x.now, 0), 600*time.Second); got.number != x.want || ok != (x.want != 0) {
			t.Errorf("%+v: version %d", x, got.number)
		}
	}
}
