package broker

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/realmgate/realmgate/sdk"
)

func edKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// The key decides the algorithm. Its id is what another library gives as its thumbprint (RFC 7638).
func TestKeyPairKinds(t *testing.T) {
	t.Parallel()
	for algorithm, private := range map[string]crypto.Signer{"RS256": testKeys[0](), "ES256": testECKey(), "EdDSA": edKey(t)} {
		b := keyPairBroker(t, realm1, private)
		token, err := b.Issue(t.Context(), grant(realm1))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Verify(t.Context(), bearer(token.Value)); err != nil {
			t.Errorf("%s: %v", algorithm, err)
		}
		raw, _, err := b.Keys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var set jose.JSONWebKeySet
		if err := json.Unmarshal(raw, &set); err != nil || len(set.Keys) != 1 {
			t.Fatalf("%s: %s, %v", algorithm, raw, err)
		}
		k := set.Keys[0]
		sum, err := k.Thumbprint(crypto.SHA256)
		if err != nil || !k.IsPublic() || k.Algorithm != algorithm || k.Use != "sig" || k.KeyID != base64.RawURLEncoding.EncodeToString(sum) {
			t.Errorf("%s: %s, %v", algorithm, raw, err)
		}
		// A foreign verifier takes the token.
		jws, err := jose.ParseSignedCompact(token.Value, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(algorithm)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := jws.Verify(k); err != nil || jws.Signatures[0].Protected.KeyID != k.KeyID {
			t.Errorf("%s: %v", algorithm, err)
		}
	}
}

// A token is verified with the algorithm of the key that it names, and with no other that the realm has keys for.
func TestAlgorithmIsTheKeys(t *testing.T) {
	t.Parallel()
	ec, ed := testECKey(), edKey(t)
	s := KeyPairSettings{
		PrivateKeyFile:   file(t, pkcs8PEM(t, ec), 0o600),
		VerificationKeys: []VerificationKey{{File: file(t, pkixPEM(t, ed.Public()), 0o644)}, {File: file(t, publicPEM(t, testKeys[0]()), 0o644)}},
		MaxGeneration:    sdk.Duration(time.Hour),
	}
	b, err := new(Ephemeral).NewKeyPair(t.Context(), realm1, s)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]string{}
	for _, k := range b.keys.current(t.Context(), time.Now()).verifies {
		ids[k.method.Alg()] = k.id
	}
	if len(ids) != 3 {
		t.Fatalf("the keys are %v", ids)
	}
	const payload = `{"iss":"https://auth.example.com/realms/realm1","aud":"realmgate:realm1","sub":"17","realm":"realm1","jti":"1","exp":9999999999}`
	spki, err := x509.MarshalPKIXPublicKey(&ec.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		method jwt.SigningMethod
		key    any
		kid    string
		reason string
	}{
		"ES256":                          {jwt.SigningMethodES256, ec, ids["ES256"], ""},
		"EdDSA, a further key":           {jwt.SigningMethodEdDSA, ed, ids["EdDSA"], ""},
		"RS256, a further key":           {jwt.SigningMethodRS256, testKeys[0](), ids["RS256"], ""},
		"ES256 with the kid of RS256":    {jwt.SigningMethodES256, ec, ids["RS256"], "algorithm_not_allowed"},
		"RS256 with the kid of ES256":    {jwt.SigningMethodRS256, testKeys[0](), ids["ES256"], "algorithm_not_allowed"},
		"EdDSA with the kid of ES256":    {jwt.SigningMethodEdDSA, ed, ids["ES256"], "algorithm_not_allowed"},
		"the public key's PEM as HMAC":   {jwt.SigningMethodHS256, pkixPEM(t, &ec.PublicKey), ids["ES256"], "algorithm_not_allowed"},
		"its DER as HMAC":                {jwt.SigningMethodHS256, spki, ids["ES256"], "algorithm_not_allowed"},
		"an Ed25519 public key as HMAC":  {jwt.SigningMethodHS256, []byte(ed.Public().(ed25519.PublicKey)), ids["EdDSA"], "algorithm_not_allowed"},
		"PS256 with the kid of RS256":    {jwt.SigningMethodPS256, testKeys[0](), ids["RS256"], "algorithm_not_allowed"},
		"another key of the right curve": {jwt.SigningMethodES256, otherECKey(t), ids["ES256"], "signature_invalid"},
		"another Ed25519 key":            {jwt.SigningMethodEdDSA, edKey(t), ids["EdDSA"], "signature_invalid"},
		"none":                           {jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, ids["ES256"], "algorithm_not_allowed"},
	} {
		token := forge(t, tt.method, tt.key, map[string]any{"alg": tt.method.Alg(), "typ": "at+jwt", "kid": tt.kid}, payload)
		if _, err := b.Verify(t.Context(), bearer(token)); reason(err) != tt.reason {
			t.Errorf("%s: %v, want %q", name, err, tt.reason)
		}
	}
}

func otherECKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(testECKey().Curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func pkixPEM(t testing.TB, public any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}
