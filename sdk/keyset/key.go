package keyset

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
)

// The signature algorithms (RFC 7518 section 3.1, RFC 8037 section 3.1). The kind of a key decides which one is its own.
const (
	RS256 = "RS256"
	ES256 = "ES256"
	EdDSA = "EdDSA"
)

const (
	minBits = 2048
	maxBits = 8192
)

// Algorithm gives the one algorithm that a public key is used with: RS256 for RSA keys, ES256 for those on P-256, EdDSA
// for Ed25519 keys. Other keys, and RSA keys that are too short or too long, are errors.
func Algorithm(public crypto.PublicKey) (string, error) {
	switch k := public.(type) {
	case *rsa.PublicKey:
		return RS256, checkBits(k.N.BitLen())
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return "", fmt.Errorf("the key is on %s; P-256 is wanted", k.Curve.Params().Name)
		}
		return ES256, nil
	case ed25519.PublicKey:
		return EdDSA, nil
	}
	return "", errors.New("the key is neither an RSA, a P-256 nor an Ed25519 key")
}

var errBits = errors.New("only keys for " + RS256 + " have a choice of bits")

func checkBits(n int) error {
	if n < minBits || n > maxBits {
		return fmt.Errorf("the key has %d bits; between %d and %d are wanted", n, minBits, maxBits)
	}
	return nil
}

// ID names a public key by its SHA-256 thumbprint (RFC 7638 section 3, RFC 8037 section 2), the kid of its tokens. It takes RSA
// keys, Ed25519 keys, and those on P-256 and P-384: a key has one name, whoever signs with it. [Algorithm] says which ones a
// folder may have.
func ID(public crypto.PublicKey) (string, error) {
	var members string
	switch k := public.(type) {
	case *rsa.PublicKey:
		members = fmt.Sprintf(`{"e":%q,"kty":"RSA","n":%q}`, text64(big.NewInt(int64(k.E)).Bytes()), text64(k.N.Bytes()))
	case *ecdsa.PublicKey:
		point, err := k.Bytes()
		if err != nil || k.Curve != elliptic.P256() && k.Curve != elliptic.P384() {
			return "", errors.New("the key is no point on P-256 or P-384")
		}
		half := len(point) / 2
		members = fmt.Sprintf(`{"crv":%q,"kty":"EC","x":%q,"y":%q}`, k.Curve.Params().Name, text64(point[1:1+half]), text64(point[1+half:]))
	case ed25519.PublicKey:
		members = fmt.Sprintf(`{"crv":"Ed25519","kty":"OKP","x":%q}`, text64(k))
	default:
		return "", errors.New("the key is neither an RSA, an elliptic curve nor an Ed25519 key")
	}
	sum := sha256.Sum256([]byte(members))
	return text64(sum[:]), nil
}

func text64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// NewKey makes a key for an algorithm. bits is the length of an RSA key, 2048 if it is zero; other keys have one length.
func NewKey(algorithm string, bits int) (crypto.Signer, error) {
	if bits != 0 && algorithm != RS256 {
		return nil, errBits
	}
	switch algorithm {
	case RS256:
		if bits == 0 {
			bits = minBits
		}
		if err := checkBits(bits); err != nil {
			return nil, err
		}
		return rsa.GenerateKey(rand.Reader, bits)
	case ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case EdDSA:
		_, k, err := ed25519.GenerateKey(rand.Reader)
		return k, err
	}
	return nil, fmt.Errorf("there is no algorithm %q; there are %s, %s and %s", algorithm, ES256, RS256, EdDSA)
}
