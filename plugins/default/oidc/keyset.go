package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	maxKeys    = 100
	minRSABits = 2048
	maxRSABits = 8192
)

// keySet is a provider's keys at one time. It does not change.
type keySet struct {
	keys    []webKey
	digest  string // of all that was read: another one may have other keys
	fetched time.Time
}

type webKey struct {
	id, algorithm string // algorithm: empty if the key does not say
	public        crypto.PublicKey
}

// parseKeySet reads a JWK set (RFC 7517 section 5). Keys that are private, symmetric, too weak, not for signatures or not
// understood are left out; a set without any key is an error.
func parseKeySet(raw []byte, now time.Time) (*keySet, error) {
	var doc struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, errors.New("the keys are not a JWK set")
	}
	if len(doc.Keys) > maxKeys {
		return nil, fmt.Errorf("the JWK set has more than %d keys", maxKeys)
	}
	digest := sha256.Sum256(raw)
	set := &keySet{digest: string(digest[:]), fetched: now}
	for _, k := range doc.Keys {
		var jwk jose.JSONWebKey
		if jwk.UnmarshalJSON(k) != nil || jwk.Use != "" && jwk.Use != "sig" || !usable(jwk.Key) {
			continue
		}
		set.keys = append(set.keys, webKey{id: jwk.KeyID, algorithm: jwk.Algorithm, public: jwk.Key})
	}
	if len(set.keys) == 0 {
		return nil, errors.New("the JWK set has no public key for signatures that can be used")
	}
	return set, nil
}

func usable(k any) bool {
	switch k := k.(type) {
	case *rsa.PublicKey:
		return k.N.BitLen() >= minRSABits && k.N.BitLen() <= maxRSABits
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return true
	}
	return false
}

// has says whether the set knows a key id.
func (s *keySet) has(kid string) bool {
	for _, k := range s.keys {
		if k.id == kid {
			return true
		}
	}
	return false
}

// same says whether two sets have the same keys in the same order.
func (s *keySet) same(as *keySet) bool {
	return slices.EqualFunc(s.keys, as.keys, func(a, b webKey) bool {
		public, ok := a.public.(interface{ Equal(crypto.PublicKey) bool })
		return a.id == b.id && a.algorithm == b.algorithm && ok && public.Equal(b.public)
	})
}

// fitting gives the keys of an id, of any id if it is empty, that serve for an algorithm.
func (s *keySet) fitting(kid, algorithm string) []crypto.PublicKey {
	var out []crypto.PublicKey
	for _, k := range s.keys {
		if (kid == "" || k.id == kid) && k.fits(algorithm) {
			out = append(out, k.public)
		}
	}
	return out
}

// fits says whether the key's type and curve are the algorithm's, and its own alg as well if it has one (RFC 8725
// section 3.1).
func (k webKey) fits(algorithm string) bool {
	if k.algorithm != "" && k.algorithm != algorithm {
		return false
	}
	switch public := k.public.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(algorithm, "RS") || strings.HasPrefix(algorithm, "PS")
	case *ecdsa.PublicKey:
		return public.Curve == curves[algorithm]
	case ed25519.PublicKey:
		return algorithm == "EdDSA"
	}
	return false
}

var curves = map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()}
