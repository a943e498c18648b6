package broker

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/realmgate/realmgate/plugins/default/privatefile"
)

const (
	minRSABits = 2048
	maxRSABits = 8192
	// maxKeyFile bounds a key file in bytes.
	maxKeyFile = 64 << 10
)

func privateKeyFile(path string) (*rsa.PrivateKey, error) {
	raw, err := privatefile.Read(path, maxKeyFile)
	if err != nil {
		return nil, err
	}
	k, err := parsePrivate(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

func publicKeyFile(path string) (*rsa.PublicKey, error) {
	raw, err := privatefile.ReadPublic(path, maxKeyFile)
	if err != nil {
		return nil, err
	}
	k, err := parsePublic(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

// parsePrivate takes PKCS #1 and PKCS #8. Errors say nothing about the content: it may be a key.
func parsePrivate(raw []byte) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, errors.New("a private key in PEM is wanted")
	}
	var k *rsa.PrivateKey
	switch block.Type {
	case "RSA PRIVATE KEY":
		k, _ = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "PRIVATE KEY":
		any8, _ := x509.ParsePKCS8PrivateKey(block.Bytes)
		k, _ = any8.(*rsa.PrivateKey)
	default:
		return nil, errors.New("the PEM block is not an RSA private key in PKCS #1 or #8 without a passphrase")
	}
	if k == nil {
		return nil, errors.New("the PEM block holds no valid RSA private key")
	}
	return k, checkSize(&k.PublicKey)
}

// parsePublic takes PKIX and PKCS #1.
func parsePublic(raw []byte) (*rsa.PublicKey, error) {
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, errors.New("a public key in PEM is wanted")
	}
	var k *rsa.PublicKey
	switch block.Type {
	case "PUBLIC KEY":
		pkix, _ := x509.ParsePKIXPublicKey(block.Bytes)
		k, _ = pkix.(*rsa.PublicKey)
	case "RSA PUBLIC KEY":
		k, _ = x509.ParsePKCS1PublicKey(block.Bytes)
	default:
		return nil, errors.New("the PEM block is not an RSA public key in PKIX or PKCS #1")
	}
	if k == nil {
		return nil, errors.New("the PEM block holds no valid RSA public key")
	}
	return k, checkSize(k)
}

func checkSize(k *rsa.PublicKey) error {
	if bits := k.N.BitLen(); bits < minRSABits || bits > maxRSABits {
		return fmt.Errorf("the key has %d bits; between %d and %d are wanted", bits, minRSABits, maxRSABits)
	}
	return nil
}
