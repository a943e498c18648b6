package broker

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/realmgate/realmgate/plugins/default/privatefile"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/keyset"
	"github.com/realmgate/realmgate/sdk/verified"
)

// maxKeyFile bounds a key file in bytes.
const maxKeyFile = 64 << 10

// KeyPairSettings are those of [KeyPair].
type KeyPairSettings struct {
	KeyDir           string             `json:"key_dir,omitempty" doc:"folder of keys that rotate (realmgate key generate, rotate), accessible to its owner only; instead of private_key_file and private_key"`
	PrivateKeyFile   string             `json:"private_key_file,omitempty" doc:"PEM file of the private key (PKCS #1, PKCS #8 or SEC 1), readable by its owner only"`
	PublicKeyFile    string             `json:"public_key_file,omitempty" doc:"PEM file of the public key; needed by nothing, but checked against the private key"`
	PrivateKey       sdk.SecretRef      `json:"private_key,omitempty" doc:"reference to the private key in a secret store, instead of private_key_file"`
	VerificationKeys []VerificationKey  `json:"verification_key,omitempty" doc:"further keys that are published and whose tokens are accepted: the one that is to sign next, and the former one until its tokens have expired"`
	MaxGeneration    sdk.Duration       `json:"max_token_generation" default:"PT1H" doc:"longest life of a token, between PT1M and P30D"`
	VerifiedTokens   *verified.Settings `json:"verified_tokens,omitempty" doc:"what is remembered of tokens whose signature was good; everything else about a token is checked each time"`
}

// VerificationKey is a key that only verifies, in a file or in a secret store.
type VerificationKey struct {
	File    string        `json:"public_key_file,omitempty" doc:"PEM file of the public key (PKIX or PKCS #1)"`
	Ref     sdk.SecretRef `json:"public_key,omitempty" doc:"reference to the public key in a secret store"`
	Private sdk.SecretRef `json:"private_key,omitempty" doc:"reference to a private key in a secret store, of which only the public half is used: one that is to sign next, or signed before"`
}

// KeyPair is a token broker that signs with a private key and publishes the public ones. Each key has one algorithm, which
// the key itself decides: RS256, ES256 or EdDSA.
type KeyPair struct{ broker }

// kinds are the algorithms of the keys that a type of broker takes, with the methods that jwt has for them.
type kinds map[string]jwt.SigningMethod

var (
	rsaKeys = kinds{keyset.RS256: jwt.SigningMethodRS256}
	allKeys = kinds{keyset.RS256: jwt.SigningMethodRS256, keyset.ES256: jwt.SigningMethodES256, keyset.EdDSA: jwt.SigningMethodEdDSA}
)

// Ephemeral keeps the keys of realms that configure none, for as long as the process lives, so that a new generation of
// the configuration does not end every token. The zero Ephemeral is ready; it is safe for concurrent use.
type Ephemeral struct {
	mu   sync.Mutex
	keys map[ephemeralKey]crypto.Signer
}

type ephemeralKey struct{ realm, algorithm string }

func (e *Ephemeral) key(realm, algorithm string) (crypto.Signer, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	at := ephemeralKey{realm, algorithm}
	if k := e.keys[at]; k != nil {
		return k, nil
	}
	k, err := keyset.NewKey(algorithm, 0)
	if err != nil {
		return nil, err
	}
	if e.keys == nil {
		e.keys = map[ephemeralKey]crypto.Signer{}
	}
	e.keys[at] = k
	return k, nil
}

// NewKeyPair is the constructor of a [KeyPair] with keys of any kind. Without a private key the realm gets an ephemeral one
// for ES256, and the operator a warning.
func (e *Ephemeral) NewKeyPair(ctx context.Context, setup sdk.Setup, s KeyPairSettings) (*KeyPair, error) {
	return e.build(ctx, setup, s, allKeys, keyset.ES256)
}

// NewRSA is the constructor of a [KeyPair] with RSA keys only. Without a private key the realm gets an ephemeral one, and
// the operator a warning.
func (e *Ephemeral) NewRSA(ctx context.Context, setup sdk.Setup, s KeyPairSettings) (*KeyPair, error) {
	return e.build(ctx, setup, s, rsaKeys, keyset.RS256)
}

func (e *Ephemeral) build(ctx context.Context, setup sdk.Setup, s KeyPairSettings, of kinds, ephemeral string) (*KeyPair, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	from, err := e.source(ctx, setup.Realm, s, of, ephemeral)
	if err != nil {
		return nil, err
	}
	b, err := newBroker(setup, of, s.MaxGeneration, from)
	if err != nil {
		return nil, err
	}
	if b.verified, err = verified.New(ctx, s.VerifiedTokens); err != nil {
		return nil, sdk.At(err, "verified_tokens")
	}
	return &KeyPair{b}, nil
}

// source is where the keys come from: a folder, or one key and its settings.
func (e *Ephemeral) source(ctx context.Context, realm string, s KeyPairSettings, of kinds, ephemeral string) (source, error) {
	r := reader{KeyPairSettings: s, of: of}
	if s.KeyDir != "" {
		return r.folder(ctx)
	}
	if s.PrivateKeyFile == "" && s.PrivateKey.IsZero() {
		sdk.Warn(ctx, errors.New("no private key is configured: tokens are signed with a key that lives in this process only; they end with it, and no other node accepts them. Set key_dir, private_key_file or private_key"))
		r.ephemeral = func() (crypto.Signer, error) { return e.key(realm, ephemeral) }
	}
	return newRing(ctx, s.MaxGeneration.Std(), r.all)
}

func (s *KeyPairSettings) check() error {
	var faults []error
	fault := func(text string, at ...any) { faults = append(faults, sdk.At(errors.New(text), at...)) }
	if s.PrivateKeyFile != "" && !s.PrivateKey.IsZero() {
		fault("private_key_file and private_key exclude each other", "private_key")
	}
	if s.KeyDir != "" && (s.PrivateKeyFile != "" || !s.PrivateKey.IsZero() || s.PublicKeyFile != "") {
		fault("key_dir has all keys of its own: private_key_file, private_key and public_key_file do not go with it", "key_dir")
	} else if s.PublicKeyFile != "" && s.PrivateKeyFile == "" && s.PrivateKey.IsZero() {
		fault("a public key without a private one signs nothing; use a verification_key block", "public_key_file")
	}
	for i, v := range s.VerificationKeys {
		if n := count(v.File != "", !v.Ref.IsZero(), !v.Private.IsZero()); n != 1 {
			fault("exactly one of public_key_file, public_key and private_key is needed", "verification_key", i)
		}
	}
	return errors.Join(faults...)
}

func count(all ...bool) (n int) {
	for _, b := range all {
		if b {
			n++
		}
	}
	return n
}

// reader reads the keys that settings name one by one. An error blames the key of the settings.
type reader struct {
	KeyPairSettings
	of        kinds
	ephemeral func() (crypto.Signer, error)
}

// folder gives the keys of key_dir, and the further ones with them.
func (r reader) folder(ctx context.Context) (*folder, error) {
	f, err := newFolder(r.KeyDir, r.of, time.Now())
	if err != nil {
		return nil, sdk.At(err, "key_dir")
	}
	if len(r.VerificationKeys) > 0 {
		if f.further, err = newRing(ctx, 0, r.further); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// all gives the private key, which signs, and the further ones.
func (r reader) all(ctx context.Context) (*keys, error) {
	signer, until, err := r.private(ctx)
	if err != nil {
		return nil, err
	}
	if r.PublicKeyFile != "" {
		public, err := publicKeyFile(r.PublicKeyFile)
		if k, ok := signer.verify.(interface{ Equal(crypto.PublicKey) bool }); err == nil && (!ok || !k.Equal(public)) {
			err = errors.New("the public key does not belong to the private one")
		}
		if err != nil {
			return nil, sdk.At(err, "public_key_file")
		}
	}
	out, err := r.further(ctx)
	if err != nil {
		return nil, err
	}
	out.signer, out.until = signer, earlier(out.until, until)
	out.verifies = union([]key{signer}, out.verifies)
	return out, nil
}

// further gives the keys that only verify.
func (r reader) further(ctx context.Context) (*keys, error) {
	out := &keys{}
	for i, v := range r.VerificationKeys {
		public, until, err := v.read(ctx)
		if err != nil {
			return nil, sdk.At(err, "verification_key", i)
		}
		k, err := r.of.public(public)
		if err != nil {
			return nil, sdk.At(err, "verification_key", i)
		}
		out.until = earlier(out.until, until)
		out.verifies = union(out.verifies, []key{k})
	}
	return out, nil
}

func (r reader) private(ctx context.Context) (key, time.Time, error) {
	var private crypto.Signer
	var until time.Time
	var err error
	var at string
	switch {
	case r.PrivateKeyFile != "":
		at = "private_key_file"
		private, err = privateKeyFile(r.PrivateKeyFile)
	case !r.PrivateKey.IsZero():
		at = "private_key"
		var secret sdk.Secret
		if secret, err = r.PrivateKey.Value(ctx); err == nil {
			until = keepUntil(secret)
			private, err = keyset.ParsePrivate(secret.Reveal())
		}
	default:
		if private, err = r.ephemeral(); err != nil {
			return key{}, until, err
		}
	}
	if err != nil {
		return key{}, until, sdk.At(err, at)
	}
	k, err := r.of.pair(private)
	return k, until, sdk.At(err, at)
}

func privateKeyFile(path string) (crypto.Signer, error) {
	raw, err := privatefile.Read(path, maxKeyFile)
	if err != nil {
		return nil, err
	}
	k, err := keyset.ParsePrivate(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

func publicKeyFile(path string) (crypto.PublicKey, error) {
	raw, err := privatefile.ReadPublic(path, maxKeyFile)
	if err != nil {
		return nil, err
	}
	k, err := keyset.ParsePublic(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

func (v VerificationKey) read(ctx context.Context) (crypto.PublicKey, time.Time, error) {
	if v.File != "" {
		k, err := publicKeyFile(v.File)
		return k, time.Time{}, sdk.At(err, "public_key_file")
	}
	if !v.Private.IsZero() {
		secret, err := v.Private.Value(ctx)
		if err != nil {
			return nil, time.Time{}, sdk.At(err, "private_key")
		}
		k, err := keyset.ParsePrivate(secret.Reveal())
		if err != nil {
			return nil, time.Time{}, sdk.At(err, "private_key")
		}
		return k.Public(), keepUntil(secret), nil
	}
	secret, err := v.Ref.Value(ctx)
	if err != nil {
		return nil, time.Time{}, sdk.At(err, "public_key")
	}
	k, err := keyset.ParsePublic(secret.Reveal())
	return k, keepUntil(secret), sdk.At(err, "public_key")
}

// public makes a key that only verifies. A kind of key that this type of broker does not take is an error.
func (of kinds) public(k crypto.PublicKey) (key, error) {
	algorithm, err := keyset.Algorithm(k)
	if err != nil {
		return key{}, err
	}
	method := of[algorithm]
	if method == nil {
		return key{}, fmt.Errorf("the key is for %s, and the type rsa-key-pair takes RSA keys only; the type key-pair takes all", algorithm)
	}
	id, err := keyset.ID(k)
	return key{id: id, method: method, verify: k}, err
}

// pair makes a key that signs.
func (of kinds) pair(private crypto.Signer) (key, error) {
	k, err := of.public(private.Public())
	k.sign = private
	return k, err
}

// union appends those of b whose ids a does not have.
func union(a, b []key) []key {
	for _, k := range b {
		if !slices.ContainsFunc(a, func(x key) bool { return x.id == k.id }) {
			a = append(a, k)
		}
	}
	return a
}

// Keys gives all keys that verify as a JWK set (RFC 7517 section 5), to be kept for five minutes at most, and not beyond
// the time at which one of them retires.
func (b *KeyPair) Keys(ctx context.Context) ([]byte, time.Time, error) {
	now := b.now()
	k := b.keys.current(ctx, now)
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	until := now.Add(defaultKeep)
	for _, x := range k.verifies {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: x.verify, KeyID: x.id, Algorithm: x.method.Alg(), Use: "sig"})
		until = earlier(until, x.till)
	}
	raw, err := json.Marshal(set)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("token broker: %w", err)
	}
	return raw, until, nil
}
