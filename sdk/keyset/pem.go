package keyset

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
)

// ParsePrivate reads a private key in PEM: PKCS #8, PKCS #1 or SEC 1, without a passphrase. Errors say nothing about the
// content, since it may be a key all the same.
func ParsePrivate(raw []byte) (crypto.Signer, error) {
	block := firstBlock(raw)
	if block == nil {
		return nil, errors.New("a private key in PEM is wanted")
	}
	var k any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		k, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		k, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		k, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return nil, errors.New("the PEM block is not a private key in PKCS #8, PKCS #1 or SEC 1 without a passphrase")
	}
	signer, ok := k.(crypto.Signer)
	if err != nil || !ok {
		return nil, errors.New("the PEM block holds no valid private key")
	}
	if _, err := Algorithm(signer.Public()); err != nil {
		return nil, err
	}
	return signer, nil
}

// ParsePublic reads a public key in PEM: PKIX or PKCS #1.
func ParsePublic(raw []byte) (crypto.PublicKey, error) {
	block := firstBlock(raw)
	if block == nil {
		return nil, errors.New("a public key in PEM is wanted")
	}
	var k any
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		k, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		k, err = x509.ParsePKCS1PublicKey(block.Bytes)
	default:
		return nil, errors.New("the PEM block is not a public key in PKIX or PKCS #1")
	}
	if err != nil {
		return nil, errors.New("the PEM block holds no valid public key")
	}
	if _, err := Algorithm(k); err != nil {
		return nil, err
	}
	return k, nil
}

// firstBlock passes over the curve that OpenSSL writes in front of an EC key.
func firstBlock(raw []byte) *pem.Block {
	block, rest := pem.Decode(raw)
	if block != nil && block.Type == "EC PARAMETERS" {
		block, _ = pem.Decode(rest)
	}
	return block
}

func encodePrivate(k crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
