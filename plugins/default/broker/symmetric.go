package broker

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/realmgate/realmgate/plugins/default/privatefile"
	"github.com/realmgate/realmgate/sdk"
)

// minSecret is the least length of an HMAC key in bytes: that of the hash (RFC 7518 section 3.2).
const minSecret = 32

// SymmetricSettings are those of [Symmetric].
type SymmetricSettings struct {
	Secret        sdk.SecretRef `json:"secret,omitempty" doc:"reference to the key in a secret store, at least 32 bytes"`
	SecretFile    string        `json:"secret_file,omitempty" doc:"file of the key, instead of secret, readable by its owner only; a newline at its end does not belong to the key"`
	MaxGeneration sdk.Duration  `json:"max_token_generation" default:"PT1H" doc:"longest life of a token, between PT1M and P30D"`
}

// Symmetric is a token broker that signs with HS256. Whoever verifies its tokens could also issue them, so that it
// publishes no keys.
type Symmetric struct{ broker }

// NewSymmetric is the constructor of [Symmetric].
func NewSymmetric(ctx context.Context, setup sdk.Setup, s SymmetricSettings) (*Symmetric, error) {
	if s.Secret.IsZero() == (s.SecretFile == "") {
		return nil, sdk.At(errors.New("exactly one of secret and secret_file is needed"), "secret")
	}
	r, err := newRing(ctx, s.MaxGeneration.Std(), s.read)
	if err != nil {
		return nil, err
	}
	b, err := newBroker(setup, kinds{jwt.SigningMethodHS256.Name: jwt.SigningMethodHS256}, s.MaxGeneration, r)
	if err != nil {
		return nil, err
	}
	return &Symmetric{b}, nil
}

func (s SymmetricSettings) read(ctx context.Context) (*keys, error) {
	if s.SecretFile != "" {
		raw, err := privatefile.Read(s.SecretFile, maxKeyFile)
		if err == nil {
			raw = bytes.TrimSuffix(raw, []byte("\n"))
		}
		return symmetricKeys(raw, time.Time{}, err, "secret_file")
	}
	secret, err := s.Secret.Value(ctx)
	return symmetricKeys(secret.Reveal(), keepUntil(secret), err, "secret")
}

func symmetricKeys(raw []byte, until time.Time, err error, at string) (*keys, error) {
	if err == nil && len(raw) < minSecret {
		err = fmt.Errorf("the key has %d bytes; at least %d are wanted", len(raw), minSecret)
	}
	if err != nil {
		return nil, sdk.At(err, at)
	}
	k := key{id: symmetricID(raw), method: jwt.SigningMethodHS256, sign: raw, verify: raw}
	return &keys{signer: k, verifies: []key{k}, until: until}, nil
}

// symmetricID names a key without saying anything about it: it is not a hash of the bare key, which could be guessed at,
// but an HMAC under it.
func symmetricID(raw []byte) string {
	mac := hmac.New(sha256.New, raw)
	mac.Write([]byte("realmgate symmetric-key kid"))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:12])
}
