package broker

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/realmgate/realmgate/sdk"
)

func TestRSASettings(t *testing.T) {
	t.Parallel()
	k := testKeys[0]()
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec8, err := x509.MarshalPKCS8PrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	good := file(t, privatePEM(k), 0o600)
	public := file(t, publicPEM(t, k), 0o644)
	pem8 := func(der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}) }
	tests := map[string]struct {
		settings  map[string]any
		path, err string
	}{
		"PKCS #1":           {map[string]any{"private_key_file": good}, "", ""},
		"PKCS #8":           {map[string]any{"private_key_file": file(t, pem8(pkcs8), 0o400)}, "", ""},
		"both keys":         {map[string]any{"private_key_file": good, "public_key_file": public}, "", ""},
		"a secret":          {map[string]any{"private_key": "urn:realmgate-secret:s:rsa"}, "", ""},
		"further keys":      {map[string]any{"private_key_file": good, "verification_key": []any{map[string]any{"public_key_file": public}, map[string]any{"public_key": "urn:realmgate-secret:s:public"}}}, "", ""},
		"readable":          {map[string]any{"private_key_file": file(t, privatePEM(k), 0o644)}, "/private_key_file", "0644"},
		"missing":           {map[string]any{"private_key_file": good + "x"}, "/private_key_file", "no such file"},
		"not PEM":           {map[string]any{"private_key_file": file(t, []byte("hunter2"), 0o600)}, "/private_key_file", "PEM is wanted"},
		"a public one":      {map[string]any{"private_key_file": file(t, publicPEM(t, k), 0o600)}, "/private_key_file", "not a private key"},
		"an EC one":         {map[string]any{"private_key_file": file(t, pem8(ec8), 0o600)}, "/private_key_file", "takes RSA keys only"},
		"too small":         {map[string]any{"private_key_file": file(t, privatePEM(small), 0o600)}, "/private_key_file", "1024 bits"},
		"another public":    {map[string]any{"private_key_file": good, "public_key_file": file(t, publicPEM(t, testKeys[1]()), 0o644)}, "/public_key_file", "does not belong"},
		"only public":       {map[string]any{"public_key_file": public}, "/public_key_file", "signs nothing"},
		"file and secret":   {map[string]any{"private_key_file": good, "private_key": "urn:realmgate-secret:s:rsa"}, "/private_key", "exclude"},
		"a pasted key":      {map[string]any{"private_key": "hunter2"}, "/private_key", "not the secret itself"},
		"an unknown secret": {map[string]any{"private_key": "urn:realmgate-secret:s:x"}, "/private_key", "no such secret"},
		"a bad secret":      {map[string]any{"private_key": "urn:realmgate-secret:s:junk"}, "/private_key", "PEM is wanted"},
		"an empty block":    {map[string]any{"verification_key": []any{map[string]any{}}}, "/verification_key/0", "exactly one of public_key_file, public_key and private_key"},
		"two in a block":    {map[string]any{"private_key_file": good, "verification_key": []any{map[string]any{"public_key": "urn:realmgate-secret:s:public", "private_key": "urn:realmgate-secret:s:rsa"}}}, "/verification_key/0", "exactly one of"},
		"the next key":      {map[string]any{"private_key_file": good, "verification_key": []any{map[string]any{"private_key": "urn:realmgate-secret:s:rsa"}}}, "", ""},
		"no private key":    {map[string]any{"private_key_file": good, "verification_key": []any{map[string]any{"private_key": "urn:realmgate-secret:s:public"}}}, "/verification_key/0/private_key", "not a private key"},
		"no next key":       {map[string]any{"private_key_file": good, "verification_key": []any{map[string]any{"private_key": "urn:realmgate-secret:s:x"}}}, "/verification_key/0/private_key", "no such secret"},
		"a bad further key": {map[string]any{"private_key_file": good, "verification_key": []any{map[string]any{"public_key": "urn:realmgate-secret:s:junk"}}}, "/verification_key/0/public_key", "PEM is wanted"},
		"a long life":       {map[string]any{"private_key_file": good, "max_token_generation": "P31D"}, "/max_token_generation", "P30D"},
		"a short life":      {map[string]any{"private_key_file": good, "max_token_generation": "PT59S"}, "/max_token_generation", "PT1M"},
	}
	host := &store{values: map[string]string{"rsa": string(privatePEM(k)), "public": string(publicPEM(t, testKeys[1]())), "junk": "hunter2"}}
	for name, tt := range tests {
		raw, err := json.Marshal(tt.settings)
		if err != nil {
			t.Fatal(err)
		}
		_, err = sdk.TokenBrokerType("rsa-key-pair", new(Ephemeral).NewRSA).Build(sdk.WithHost(t.Context(), host), realm1, raw)
		checkFault(t, name, err, tt.path, tt.err)
	}
}

func TestSymmetricSettings(t *testing.T) {
	t.Parallel()
	host := &store{values: map[string]string{"key": secret, "short": secret[1:]}}
	for name, tt := range map[string]struct{ settings, path, err string }{
		"a file":     {`{"secret_file":"` + file(t, []byte(secret), 0o600) + `"}`, "", ""},
		"a secret":   {`{"secret":"urn:polaris-secret:s:key"}`, "", ""},
		"neither":    {`{}`, "/secret", "exactly one of secret and secret_file"},
		"both":       {`{"secret_file":"x","secret":"urn:realmgate-secret:s:key"}`, "/secret", "exactly one of secret and secret_file"},
		"readable":   {`{"secret_file":"` + file(t, []byte(secret), 0o660) + `"}`, "/secret_file", "0660"},
		"short":      {`{"secret":"urn:realmgate-secret:s:short"}`, "/secret", "31 bytes"},
		"short file": {`{"secret_file":"` + file(t, []byte(secret[1:]+"\n"), 0o600) + `"}`, "/secret_file", "31 bytes"},
		"pasted":     {`{"secret":"` + secret + `"}`, "/secret", "not the secret itself"},
	} {
		_, err := sdk.TokenBrokerType("symmetric-key", NewSymmetric).Build(sdk.WithHost(t.Context(), host), realm1, []byte(tt.settings))
		checkFault(t, name, err, tt.path, tt.err)
	}
}

func checkFault(t *testing.T, name string, err error, path, want string) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		return
	}
	ps := sdk.Problems(err)
	if len(ps) != 1 || ps[0].Path != path || !strings.Contains(ps[0].Summary, want) || strings.Contains(ps[0].Summary, "hunter2") || strings.Contains(ps[0].Summary, secret) {
		t.Errorf("%s: %v, want one fault at %q with %q", name, err, path, want)
	}
}

func TestBrokerNeedsARealm(t *testing.T) {
	t.Parallel()
	for _, setup := range []sdk.Setup{{}, {Realm: "a", Issuer: "b"}, {Realm: "a", Audience: []string{"c"}}, {Issuer: "b", Audience: []string{"c"}}} {
		s := SymmetricSettings{SecretFile: file(t, []byte(secret), 0o600), MaxGeneration: sdk.Duration(time.Hour)}
		if _, err := NewSymmetric(t.Context(), setup, s); err == nil {
			t.Errorf("%+v was taken", setup)
		}
	}
}

func TestEphemeralKey(t *testing.T) {
	t.Parallel()
	e := new(Ephemeral)
	s := KeyPairSettings{MaxGeneration: sdk.Duration(time.Hour)}
	ctx, warnings := sdk.CollectWarnings(t.Context())
	var brokers []*KeyPair
	for _, setup := range []sdk.Setup{realm1, realm1, realm2} {
		b, err := e.NewRSA(ctx, setup, s)
		if err != nil {
			t.Fatal(err)
		}
		brokers = append(brokers, b)
	}
	if w := warnings(); len(w) != 3 || !strings.Contains(w[0].Summary, "no private key is configured") {
		t.Errorf("warnings %v", w)
	}
	if a, b := brokers[0].keys.(*ring).now.signer.id, brokers[1].keys.(*ring).now.signer.id; a != b {
		t.Error("a second generation has another key")
	}
	if a, b := brokers[0].keys.(*ring).now.signer.id, brokers[2].keys.(*ring).now.signer.id; a == b {
		t.Error("two realms share an ephemeral key")
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	old := file(t, publicPEM(t, testKeys[1]()), 0o644)
	s := KeyPairSettings{PrivateKeyFile: file(t, privatePEM(testKeys[0]()), 0o600), VerificationKeys: []VerificationKey{{File: old}, {File: old}}, MaxGeneration: sdk.Duration(time.Hour)}
	b, err := new(Ephemeral).NewRSA(t.Context(), realm1, s)
	if err != nil {
		t.Fatal(err)
	}
	raw, until, err := b.Keys(t.Context())
	if err != nil || !until.After(time.Now()) {
		t.Fatalf("%v, %v", until, err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(raw, &set); err != nil {
		t.Fatal(err)
	}
	if len(set.Keys) != 2 || bytes.Contains(raw, []byte(`"d"`)) {
		t.Fatalf("%s", raw)
	}
	for _, k := range set.Keys {
		sum, err := k.Thumbprint(crypto.SHA256)
		if err != nil || !k.IsPublic() || k.Algorithm != "RS256" || k.Use != "sig" || len(k.KeyID) < len(sum) {
			t.Errorf("%+v, %v", k, err)
		}
	}
	// The former key's tokens are accepted.
	token, err := rsaBroker(t, realm1, testKeys[1]()).Issue(t.Context(), grant(realm1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Verify(t.Context(), bearer(token.Value)); err != nil {
		t.Error(err)
	}
}

// A key in a secret store is read again when the store says so; the former one verifies for as long as its tokens live, and
// a store that is down ends nothing.
func TestRotationInASecretStore(t *testing.T) {
	t.Parallel()
	start := time.Now()
	host := &store{values: map[string]string{"key": secret}, until: start.Add(time.Minute)}
	ctx := sdk.WithHost(t.Context(), host)
	impl, err := sdk.TokenBrokerType("symmetric-key", NewSymmetric).Build(ctx, realm1, []byte(`{"secret":"urn:realmgate-secret:s:key"}`))
	if err != nil {
		t.Fatal(err)
	}
	b := impl.(*Symmetric)
	at := func(d time.Duration) { b.now = func() time.Time { return start.Add(d) } }
	issue := func() string {
		t.Helper()
		g := grant(realm1)
		g.Lifetime = time.Hour
		token, err := b.Issue(ctx, g)
		if err != nil {
			t.Fatal(err)
		}
		return token.Value
	}
	verify := func(token, want string) {
		t.Helper()
		if _, err := b.Verify(ctx, bearer(token)); reason(err) != want {
			t.Errorf("%v, want %q", err, want)
		}
	}
	first := issue()
	if host.reads != 1 {
		t.Errorf("read %d times before it was due", host.reads)
	}
	host.set("key", strings.Repeat("x", 32), start.Add(100*time.Hour), errors.New("down"))
	at(2 * time.Minute)
	verify(first, "")
	verify(first, "")
	if host.reads != 2 {
		t.Errorf("read %d times while the store is down, want one more", host.reads)
	}
	host.set("key", strings.Repeat("x", 32), start.Add(100*time.Hour), nil)
	at(3 * time.Minute)
	second := issue()
	if b.keys.(*ring).now.signer.id != symmetricID([]byte(strings.Repeat("x", 32))) {
		t.Error("the new key does not sign")
	}
	verify(first, "")
	verify(second, "")
	// The first token has expired by then, and its key is forgotten.
	at(3*time.Minute + time.Hour)
	verify(first, "token_expired")
	at(3*time.Minute + time.Hour + time.Second)
	verify(first, "key_unknown")
}

func TestBrokerIsConcurrent(t *testing.T) {
	t.Parallel()
	host := &store{values: map[string]string{"key": secret}, until: time.Now().Add(-time.Minute)}
	ctx := sdk.WithHost(t.Context(), host)
	impl, err := sdk.TokenBrokerType("symmetric-key", NewSymmetric).Build(ctx, realm1, []byte(`{"secret":"urn:realmgate-secret:s:key"}`))
	if err != nil {
		t.Fatal(err)
	}
	b := impl.(*Symmetric)
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			if i == 32 {
				host.set("key", strings.Repeat("x", 32), time.Now().Add(-time.Minute), nil)
			}
			token, err := b.Issue(ctx, grant(realm1))
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := b.Verify(ctx, bearer(token.Value)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
