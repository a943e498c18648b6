package transit

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/realmgate/realmgate/sdk/keyset"
)

// algorithm is how tokens are signed with a type of key.
type algorithm struct {
	method jwt.SigningMethod
	hash   crypto.Hash    // zero: the input is signed as it is
	ask    map[string]any // what the server must be told beside input and version
}

// The server hashes nothing: it gets the hash, so that it sees no claims. Ed25519 signs what it gets (RFC 8037 section 3.1).
var algorithms = map[string]algorithm{
	"RS256": {jwt.SigningMethodRS256, crypto.SHA256, map[string]any{"hash_algorithm": "sha2-256", "signature_algorithm": "pkcs1v15", "prehashed": true}},
	"PS256": {jwt.SigningMethodPS256, crypto.SHA256, map[string]any{"hash_algorithm": "sha2-256", "signature_algorithm": "pss", "salt_length": "hash", "prehashed": true}},
	"ES256": {jwt.SigningMethodES256, crypto.SHA256, map[string]any{"hash_algorithm": "sha2-256", "prehashed": true}},
	"ES384": {jwt.SigningMethodES384, crypto.SHA384, map[string]any{"hash_algorithm": "sha2-384", "prehashed": true}},
	"EdDSA": {jwt.SigningMethodEdDSA, 0, map[string]any{}},
}

// fits lists the algorithms of a type of key, the one that is used by itself first.
var fits = map[string][]string{
	"rsa-2048": {"RS256", "PS256"}, "rsa-3072": {"RS256", "PS256"}, "rsa-4096": {"RS256", "PS256"},
	"ecdsa-p256": {"ES256"}, "ecdsa-p384": {"ES384"}, "ed25519": {"EdDSA"},
}

// choose gives the algorithm for a type of key; wish is that of the settings, if any.
func choose(keyType, wish string) (string, error) {
	possible := fits[keyType]
	switch {
	case len(possible) == 0:
		return "", fmt.Errorf("the key is of the type %q, with which no token is signed", keyType)
	case wish != "" && !slices.Contains(possible, wish):
		return "", fmt.Errorf("the key is of the type %s, which is not for %s", keyType, wish)
	case wish != "":
		return wish, nil
	case possible[0] == "ES384":
		return "", errors.New("the key is of the type ecdsa-p384, whose tokens are costly to verify: set algorithm to ES384 if it is to be so, or take ecdsa-p256")
	}
	return possible[0], nil
}

// version is one version of the key.
type version struct {
	number  int
	id      string // kid
	public  crypto.PublicKey
	created time.Time
}

// versions are those that are in use at one time, from the oldest on. They do not change.
type versions struct {
	asked      time.Time // when the server was asked for them
	algorithm  string
	all        []version
	leastSigns int // the least that the server signs with
	exportable bool
}

// signer is the newest version that is older than ahead; the oldest one if none is.
func (v *versions) signer(now time.Time, ahead time.Duration) (version, bool) {
	var out version
	for _, x := range v.all {
		if x.number < v.leastSigns {
			continue
		}
		if out.number == 0 || !now.Before(x.created.Add(ahead)) {
			out = x
		}
	}
	return out, out.number != 0
}

func (v *versions) byID(id string) (version, bool) {
	for _, x := range v.all {
		if x.id == id {
			return x, true
		}
	}
	return version{}, false
}

// jwks gives the public keys (RFC 7517 section 5).
func (v *versions) jwks() ([]byte, error) {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, x := range slices.Backward(v.all) {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: x.public, KeyID: x.id, Algorithm: v.algorithm, Use: "sig"})
	}
	return json.Marshal(set)
}

// parse reads what the server says of the key.
func parse(data map[string]any, wish string) (*versions, error) {
	raw, err := json.Marshal(data)
	if err != nil {
		return nil, errors.New("the server's answer about the key cannot be read")
	}
	var key struct {
		Type     string `json:"type"`
		Derived  bool   `json:"derived"`
		Export   bool   `json:"exportable"`
		Least    int    `json:"min_decryption_version"`
		Signs    int    `json:"min_encryption_version"`
		Versions map[string]struct {
			Created time.Time `json:"creation_time"`
			Public  string    `json:"public_key"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(raw, &key); err != nil {
		return nil, errors.New("the server's answer about the key is not one of a transit engine, or the key is not one to sign with")
	}
	if key.Derived {
		return nil, errors.New("the key is derived: each of its signatures would be of another key")
	}
	v := &versions{leastSigns: key.Signs, exportable: key.Export}
	if v.algorithm, err = choose(key.Type, wish); err != nil {
		return nil, err
	}
	for text, x := range key.Versions {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return nil, errors.New("a version of the key has no number")
		}
		if n < key.Least {
			continue
		}
		public, err := publicKey(key.Type, x.Public)
		if err != nil {
			return nil, fmt.Errorf("version %d of the key: %w", n, err)
		}
		id, err := keyset.ID(public)
		if err != nil {
			return nil, fmt.Errorf("version %d of the key: %w", n, err)
		}
		v.all = append(v.all, version{number: n, id: id, public: public, created: x.Created})
	}
	if len(v.all) == 0 {
		return nil, errors.New("the key has no version that may be used")
	}
	slices.SortFunc(v.all, func(a, b version) int { return cmp.Compare(a.number, b.number) })
	return v, nil
}

// publicKey reads a key as the engine gives it: Ed25519 in base64, others in PEM. It must be of the type that the engine says.
func publicKey(keyType, text string) (crypto.PublicKey, error) {
	wrong := errors.New("it is not a public key of the type " + keyType)
	if keyType == "ed25519" {
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(raw) != ed25519.PublicKeySize {
			return nil, wrong
		}
		return ed25519.PublicKey(raw), nil
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, wrong
	}
	k, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, wrong
	}
	switch k := k.(type) {
	case *rsa.PublicKey:
		if "rsa-"+strconv.Itoa(k.N.BitLen()) == keyType {
			return k, nil
		}
	case *ecdsa.PublicKey:
		if k.Curve == map[string]elliptic.Curve{"ecdsa-p256": elliptic.P256(), "ecdsa-p384": elliptic.P384()}[keyType] {
			return k, nil
		}
	}
	return nil, wrong
}
