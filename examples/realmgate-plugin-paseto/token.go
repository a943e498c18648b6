package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"strings"
)

const header = "v4.public."

// signed is what the signature is made over: header, message, footer and implicit assertion, each with its
// length (PASETO version 4, Sign, and its pre-authentication encoding). The last two are empty here.
func signed(message []byte) []byte {
	parts := [][]byte{[]byte(header), message, nil, nil}
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(parts)))
	for _, p := range parts {
		out = binary.LittleEndian.AppendUint64(out, uint64(len(p)))
		out = append(out, p...)
	}
	return out
}

func sign(key ed25519.PrivateKey, message []byte) string {
	signature := ed25519.Sign(key, signed(message))
	return header + base64.RawURLEncoding.EncodeToString(append(message[:len(message):len(message)], signature...))
}

// open gives the message of a token. One with a footer is not of our making.
func open(key ed25519.PublicKey, token string) ([]byte, bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(strings.TrimPrefix(token, header))
	if err != nil || len(raw) < ed25519.SignatureSize {
		return nil, false
	}
	cut := len(raw) - ed25519.SignatureSize
	if !ed25519.Verify(key, signed(raw[:cut]), raw[cut:]) {
		return nil, false
	}
	return raw[:cut], true
}
