package keyset

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
)

func bytes64(t *testing.T, text string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The examples of RFC 7638 section 3.1 and RFC 8037 appendix A.3, and the key of RFC 7515 appendix A.3, whose thumbprint was
// computed apart from this code, as was that of the key on P-384, whose x begins with a zero.
func TestIDOfExamples(t *testing.T) {
	t.Parallel()
	n := "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
	x, y := "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
	point := append(append([]byte{4}, bytes64(t, x)...), bytes64(t, y)...)
	ec, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		t.Fatal(err)
	}
	x, y = "AH8YJ5UD8L4AkRWQl67RZKD7kbz9ex9SIenEKc8_7Fwxp-7lFSZn-e65rGCuxc59", "ISk6WFM-NyeqzYWMGHXGFZjxWkdeSD2AArhs3lqCmUS5OY2bwJc1YN4FwRbFcYvs"
	p384, err := ecdsa.ParseUncompressedPublicKey(elliptic.P384(), append(append([]byte{4}, bytes64(t, x)...), bytes64(t, y)...))
	if err != nil {
		t.Fatal(err)
	}
	for want, k := range map[string]crypto.PublicKey{
		"FrQq0G3b_l43ZDvEwFVez2sJT7kvoFcXqZ1C4lmhDbo": p384,
		"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs": &rsa.PublicKey{N: new(big.Int).SetBytes(bytes64(t, n)), E: 65537},
		"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k": ed25519.PublicKey(bytes64(t, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")),
		"oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U": ec,
	} {
		if got, err := ID(k); got != want || err != nil {
			t.Errorf("%T: %s, %v, want %s", k, got, err, want)
		}
	}
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []crypto.PublicKey{p521.Public(), "a key", nil} {
		if got, err := ID(k); err == nil || got != "" {
			t.Errorf("%T: %q", k, got)
		}
	}
}

func TestNewKey(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{RS256, ES256, EdDSA} {
		k, err := NewKey(algorithm, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Algorithm(k.Public()); got != algorithm || err != nil {
			t.Errorf("%s: %s, %v", algorithm, got, err)
		}
		raw, err := encodePrivate(k)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParsePrivate(raw)
		if err != nil || !again.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(k.Public()) {
			t.Errorf("%s: %v", algorithm, err)
		}
	}
	for _, tt := range []struct {
		algorithm string
		bits      int
	}{{RS256, 1024}, {RS256, 8193}, {ES256, 256}, {"HS256", 0}, {"", 0}, {"none", 0}} {
		if k, err := NewKey(tt.algorithm, tt.bits); err == nil || k != nil {
			t.Errorf("%+v gave a key", tt)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	der := func(k any) []byte {
		b, err := x509.MarshalPKCS8PrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	spki, err := x509.MarshalPKIXPublicKey(&p384.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	block := func(typ string, b []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: b}) }
	for name, tt := range map[string]struct {
		raw     []byte
		private bool
		want    string
	}{
		"no PEM":               {[]byte("hunter2"), true, "PEM is wanted"},
		"no PEM, public":       {[]byte("hunter2"), false, "PEM is wanted"},
		"a certificate":        {block("CERTIFICATE", []byte("hunter2")), true, "not a private key"},
		"encrypted":            {block("ENCRYPTED PRIVATE KEY", []byte("hunter2")), true, "without a passphrase"},
		"junk":                 {block("PRIVATE KEY", []byte("hunter2")), true, "no valid private key"},
		"RSA junk":             {block("RSA PRIVATE KEY", []byte("hunter2")), true, "no valid private key"},
		"EC junk":              {block("EC PRIVATE KEY", []byte("hunter2")), true, "no valid private key"},
		"public junk":          {block("PUBLIC KEY", []byte("hunter2")), false, "no valid public key"},
		"a private for public": {block("PRIVATE KEY", der(p384)), false, "not a public key"},
		"P-384":                {block("PRIVATE KEY", der(p384)), true, "on P-384"},
		"P-384, public":        {block("PUBLIC KEY", spki), false, "on P-384"},
		"too small":            {block("PRIVATE KEY", der(small)), true, "1024 bits"},
	} {
		var k any
		var err error
		if tt.private {
			k, err = ParsePrivate(tt.raw)
		} else {
			k, err = ParsePublic(tt.raw)
		}
		if err == nil || k != nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, %v, want %q", name, k, err, tt.want)
		}
	}
}

// OpenSSL writes the curve in front of a SEC 1 key.
func TestParseKeyOfOpenSSL(t *testing.T) {
	t.Parallel()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	raw := pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{6, 8, 42, 134, 72, 206, 61, 3, 1, 7}})
	raw = append(raw, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})...)
	if got, err := ParsePrivate(raw); err != nil || !k.Equal(got) {
		t.Error(err)
	}
}

func FuzzParseManifest(f *testing.F) {
	f.Add([]byte(`{"version":1,"keys":[{"kid":"a","algorithm":"ES256","file":"key-a.pem","created":"2026-01-02T03:04:05Z","sign_from":"2026-01-02T03:04:05Z"}]}`))
	f.Add([]byte(`{"version":1,"keys":[{"kid":"a","algorithm":"RS256","file":"../a","created":"2026-01-02T03:04:05Z","sign_from":"2026-01-02T03:04:05Z","retire_at":"2026-01-02T03:04:05+01:00"}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := parseManifest(raw)
		if err != nil {
			if m != nil {
				t.Fatal("a value beside an error")
			}
			return
		}
		out, err := m.encode()
		if err != nil {
			t.Fatalf("%q cannot be written: %v", raw, err)
		}
		again, err := parseManifest(out)
		if err != nil {
			t.Fatalf("%q became %q: %v", raw, out, err)
		}
		for i, e := range again.Keys {
			o := m.Keys[i]
			if e.ID != o.ID || e.File != o.File || !e.SignFrom.Equal(o.SignFrom) || !e.RetireAt.Equal(o.RetireAt) {
				t.Fatalf("%+v became %+v", o, e)
			}
		}
	})
}
