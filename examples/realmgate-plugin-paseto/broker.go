package main

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"time"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/accesstoken"
)

type settings struct {
	PrivateKey    sdk.SecretRef `json:"private_key" doc:"reference to the Ed25519 private key in a secret store, PKCS #8 in PEM"`
	MaxGeneration sdk.Duration  `json:"max_token_generation" default:"PT1H" doc:"longest life of a token, between PT1M and P30D"`
}

type broker struct {
	key    ed25519.PrivateKey
	realm  accesstoken.Realm
	issuer string
}

// payload has the times as PASETO wants them (RFC 3339), in place of the seconds of a JWT.
type payload struct {
	accesstoken.Claims
	IssuedAt time.Time `json:"iat"`
	Expires  time.Time `json:"exp"`
}

func newBroker(ctx context.Context, setup sdk.Setup, s settings) (*broker, error) {
	realm, err := accesstoken.ForRealm(setup, s.MaxGeneration)
	if err != nil {
		return nil, err
	}
	secret, err := s.PrivateKey.Value(ctx)
	if err != nil {
		return nil, sdk.At(err, "private_key")
	}
	key, err := parseKey(secret.Reveal())
	if err != nil {
		return nil, sdk.At(err, "private_key")
	}
	return &broker{key: key, realm: realm, issuer: setup.Issuer}, nil
}

// parseKey never repeats what it was given.
func parseKey(text []byte) (ed25519.PrivateKey, error) {
	errKey := errors.New("no Ed25519 private key in PKCS #8 and PEM")
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errKey
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, errKey
	}
	return key, nil
}

func (b *broker) Issue(_ context.Context, g sdk.Grant) (sdk.Token, error) {
	c, err := b.realm.Claims(g, time.Now(), time.Time{})
	if err != nil {
		return sdk.Token{}, err
	}
	p := payload{Claims: c, IssuedAt: time.Unix(c.IssuedAt, 0).UTC(), Expires: time.Unix(c.Expires, 0).UTC()}
	message, err := json.Marshal(p)
	if err != nil {
		return sdk.Token{}, err
	}
	return sdk.Token{Value: sign(b.key, message), ID: c.ID, Type: "Bearer", Expires: p.Expires}, nil
}

// Verify leaves tokens of another kind to a mixed realm's identity provider. What is revoked the host knows by the token's id.
func (b *broker) Verify(_ context.Context, r sdk.Request) (sdk.Credential, error) {
	if r.Scheme != "bearer" || !strings.HasPrefix(r.Token, header) {
		return sdk.Credential{}, sdk.NotMine()
	}
	message, ok := open(b.key.Public().(ed25519.PublicKey), r.Token)
	if !ok {
		return sdk.Credential{}, sdk.Deny("signature_invalid", "the signature of the token is not valid")
	}
	var p payload
	if err := json.Unmarshal(message, &p); err != nil {
		return sdk.Credential{}, sdk.Deny("token_malformed", "the claims of the token cannot be read")
	}
	if p.Issuer != b.issuer {
		return sdk.Credential{}, sdk.Deny("issuer_mismatch", "the token is of another issuer")
	}
	p.Claims.IssuedAt, p.Claims.Expires = p.IssuedAt.Unix(), p.Expires.Unix()
	return b.realm.Credential(p.Claims, time.Now())
}
