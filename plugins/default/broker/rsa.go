package broker

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/realmgate/realmgate/sdk"
)

// RSASettings are those of [RSA].
type RSASettings struct {
	PrivateKeyFile   string            `json:"private_key_file,omitempty" doc:"PEM file of the private key (PKCS #1 or #8), at least 2048 bits, readable by its owner only"`
	PublicKeyFile    string            `json:"public_key_file,omitempty" doc:"PEM file of the public key; needed by nothing, but checked against the private key"`
	PrivateKey       sdk.SecretRef     `json:"private_key,omitempty" doc:"reference to the private key in a secret store, instead of private_key_file"`
	VerificationKeys []VerificationKey `json:"verification_key,omitempty" doc:"further keys whose tokens are accepted, e.g. the former one after a rotation"`
	MaxGeneration    sdk.Duration      `json:"max_token_generation" default:"PT1H" doc:"longest life of a token, between PT1M and P30D"`
}

// VerificationKey is a public key, either in a file or in a secret store.
type VerificationKey struct {
	File string        `json:"public_key_file,omitempty" doc:"PEM file of the public key (PKIX or PKCS #1)"`
	Ref  sdk.SecretRef `json:"public_key,omitempty" doc:"reference to the public key in a secret store"`
}

// RSA is a token broker that signs with RS256 and publishes its keys.
type RSA struct{ broker }

// Ephemeral keeps the keys of realms that configure none, for as long as the process lives, so that a new generation of
// the configuration does not end every token. The zero Ephemeral is ready; it is safe for concurrent use.
type Ephemeral struct {
	mu   sync.Mutex
	keys map[string]*rsa.PrivateKey
}

func (e *Ephemeral) key(realm string) (*rsa.PrivateKey, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if k := e.keys[realm]; k != nil {
		return k, nil
	}
	k, err := rsa.GenerateKey(rand.Reader, minRSABits)
	if err != nil {
		return nil, err
	}
	if e.keys == nil {
		e.keys = map[string]*rsa.PrivateKey{}
	}
	e.keys[realm] = k
	return k, nil
}

// NewRSA is the constructor of [RSA]. Without a private key the realm gets an ephemeral one, and the operator a warning.
func (e *Ephemeral) NewRSA(ctx context.Context, setup sdk.Setup, s RSASettings) (*RSA, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	if s.PrivateKeyFile == "" && s.PrivateKey.IsZero() {
		sdk.Warn(ctx, "no private key is configured: tokens are signed with a key that lives in this process only; they end with it, and no other node accepts them. Set private_key_file or private_key")
	}
	read := func(ctx context.Context) (*keys, error) { return e.read(ctx, setup.Realm, s) }
	r, err := newRing(ctx, s.MaxGeneration.Std(), read)
	if err != nil {
		return nil, err
	}
	b, err := newBroker(setup, jwt.SigningMethodRS256, s.MaxGeneration, r)
	if err != nil {
		return nil, err
	}
	return &RSA{b}, nil
}

func (s *RSASettings) check() error {
	var faults []error
	if s.PrivateKeyFile != "" && !s.PrivateKey.IsZero() {
		faults = append(faults, sdk.At(errors.New("private_key_file and private_key exclude each other"), "private_key"))
	}
	if s.PublicKeyFile != "" && s.PrivateKeyFile == "" && s.PrivateKey.IsZero() {
		faults = append(faults, sdk.At(errors.New("a public key without a private one signs nothing; use a verification_key block"), "public_key_file"))
	}
	for i, v := range s.VerificationKeys {
		if (v.File == "") == v.Ref.IsZero() {
			faults = append(faults, sdk.At(errors.New("exactly one of public_key_file and public_key is needed"), "verification_key", i))
		}
	}
	return errors.Join(faults...)
}

// read loads all keys; an error blames the key of the settings.
func (e *Ephemeral) read(ctx context.Context, realm string, s RSASettings) (*keys, error) {
	out := &keys{}
	private, until, err := e.private(ctx, realm, s)
	if err != nil {
		return nil, err
	}
	out.until = until
	out.signer = rsaKey(&private.PublicKey)
	out.signer.sign = private
	out.verifies = []key{out.signer}
	if s.PublicKeyFile != "" {
		public, err := publicKeyFile(s.PublicKeyFile)
		if err == nil && !public.Equal(&private.PublicKey) {
			err = errors.New("the public key does not belong to the private one")
		}
		if err != nil {
			return nil, sdk.At(err, "public_key_file")
		}
	}
	for i, v := range s.VerificationKeys {
		public, until, err := v.read(ctx)
		if err != nil {
			return nil, sdk.At(err, "verification_key", i)
		}
		out.until = earlier(out.until, until)
		if k := rsaKey(public); !slices.ContainsFunc(out.verifies, func(x key) bool { return x.id == k.id }) {
			out.verifies = append(out.verifies, k)
		}
	}
	return out, nil
}

func (e *Ephemeral) private(ctx context.Context, realm string, s RSASettings) (k *rsa.PrivateKey, until time.Time, err error) {
	switch {
	case s.PrivateKeyFile != "":
		k, err = privateKeyFile(s.PrivateKeyFile)
		return k, until, sdk.At(err, "private_key_file")
	case !s.PrivateKey.IsZero():
		secret, err := s.PrivateKey.Value(ctx)
		if err == nil {
			k, err = parsePrivate(secret.Reveal())
		}
		return k, keepUntil(secret), sdk.At(err, "private_key")
	}
	k, err = e.key(realm)
	return k, until, err
}

func (v VerificationKey) read(ctx context.Context) (*rsa.PublicKey, time.Time, error) {
	if v.File != "" {
		k, err := publicKeyFile(v.File)
		return k, time.Time{}, sdk.At(err, "public_key_file")
	}
	secret, err := v.Ref.Value(ctx)
	if err != nil {
		return nil, time.Time{}, sdk.At(err, "public_key")
	}
	k, err := parsePublic(secret.Reveal())
	return k, keepUntil(secret), sdk.At(err, "public_key")
}

// rsaKey names a key by its thumbprint (RFC 7638).
func rsaKey(k *rsa.PublicKey) key {
	sum, err := (&jose.JSONWebKey{Key: k}).Thumbprint(crypto.SHA256)
	if err != nil { // an RSA key always has one
		sum = nil
	}
	return key{id: base64.RawURLEncoding.EncodeToString(sum), verify: k}
}

// Keys gives all keys that verify as a JWK set (RFC 7517 section 5), to be kept for five minutes at most.
func (b *RSA) Keys(ctx context.Context) ([]byte, time.Time, error) {
	now := b.now()
	k := b.ring.current(ctx, now)
	var set jose.JSONWebKeySet
	for _, x := range k.verifies {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: x.verify, KeyID: x.id, Algorithm: b.method.Alg(), Use: "sig"})
	}
	raw, err := json.Marshal(set)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("token broker: %w", err)
	}
	until := now.Add(defaultKeep)
	if now.Before(k.until) {
		until = earlier(until, k.until)
	}
	return raw, until, nil
}
