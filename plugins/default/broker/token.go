package broker

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/realmgate/realmgate/sdk"
)

const (
	// maxToken bounds a token in bytes. The broker issues no longer one, so a longer one is not its own.
	maxToken = 16 << 10
	// tokenType is the media type of an access token (RFC 9068 section 2.1).
	tokenType = "at+jwt"
)

// claims are the payload of a token.
type claims struct {
	Issuer        string   `json:"iss"`
	Audience      audience `json:"aud"`
	Subject       string   `json:"sub,omitempty"`
	PrincipalName string   `json:"principal_name,omitempty"`
	Realm         string   `json:"realm"`
	ClientID      string   `json:"client_id,omitempty"`
	Scope         string   `json:"scope,omitempty"`
	ID            string   `json:"jti"`
	IssuedAt      int64    `json:"iat"`
	Expires       int64    `json:"exp"`
	AuthTime      int64    `json:"auth_time,omitempty"`
	SecretVersion string   `json:"csv,omitempty"`
}

// audience is a list that may be written as a single string (RFC 7519 section 4.1.3).
type audience []string

// UnmarshalJSON takes either form.
func (a *audience) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte(`"`)) {
		*a = audience{""}
		return json.Unmarshal(b, &(*a)[0])
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// broker issues and verifies tokens with the keys of a source, whatever kind they are.
type broker struct {
	setup sdk.Setup
	kinds kinds
	most  time.Duration
	keys  source
	now   func() time.Time
}

// newBroker checks what the host says about the realm.
func newBroker(setup sdk.Setup, of kinds, most sdk.Duration, from source) (broker, error) {
	b := broker{setup: setup, kinds: of, most: most.Std(), keys: from, now: time.Now}
	var faults []error
	if setup.Realm == "" || setup.Issuer == "" || len(setup.Audience) == 0 {
		faults = append(faults, errors.New("a token broker belongs to a realm that has an issuer and an audience"))
	}
	if b.most < time.Minute || b.most > 30*24*time.Hour {
		faults = append(faults, sdk.At(errors.New("the longest life of a token lies between PT1M and P30D"), "max_token_generation"))
	}
	return b, errors.Join(faults...)
}

// Issue makes a token for the grant. Its life is the grant's, at most max_token_generation, less the fraction of a second by
// which that ends later than a whole one. No token outlives the key that signs it. A grant for another realm, issuer or audience is an error.
func (b *broker) Issue(ctx context.Context, g sdk.Grant) (sdk.Token, error) {
	t, err := b.issue(ctx, g)
	if err != nil {
		return sdk.Token{}, fmt.Errorf("token broker: %w", err)
	}
	return t, nil
}

func (b *broker) issue(ctx context.Context, g sdk.Grant) (sdk.Token, error) {
	switch {
	case g.Realm != b.setup.Realm || g.Issuer != b.setup.Issuer:
		return sdk.Token{}, errors.New("a grant is for another realm or issuer than the broker's")
	case slices.ContainsFunc(g.Audience, func(a string) bool { return !slices.Contains(b.setup.Audience, a) }):
		return sdk.Token{}, errors.New("a grant is for an audience that is not among the realm's")
	case g.Principal == sdk.PrincipalRef{}:
		return sdk.Token{}, errors.New("a grant names no principal")
	case g.Lifetime < 0:
		return sdk.Token{}, errors.New("a grant has a negative life")
	}
	life := b.most
	if g.Lifetime > 0 {
		life = min(life, g.Lifetime)
	}
	now := b.now()
	k := b.keys.current(ctx, now).signer
	if k.sign == nil {
		return sdk.Token{}, errors.New("none of the realm's keys signs now")
	}
	expires := now.Add(life).Unix()
	if !k.till.IsZero() {
		expires = min(expires, k.till.Unix())
	}
	c := claims{
		Issuer: g.Issuer, Audience: g.Audience, Subject: g.Principal.ID, PrincipalName: g.Principal.Name,
		Realm: g.Realm, ClientID: g.ClientID, Scope: strings.Join(g.Scope, " "), ID: g.TokenID,
		IssuedAt: now.Unix(), Expires: expires, SecretVersion: g.SecretVersion,
	}
	if len(c.Audience) == 0 {
		c.Audience = b.setup.Audience
	}
	if c.ID == "" {
		c.ID = rand.Text()
	}
	if !g.AuthTime.IsZero() {
		c.AuthTime = g.AuthTime.Unix()
	}
	value, err := sign(k, c)
	if err != nil {
		return sdk.Token{}, err
	}
	if len(value) > maxToken {
		return sdk.Token{}, fmt.Errorf("the token would be longer than %d bytes", maxToken)
	}
	return sdk.Token{Value: value, ID: c.ID, Type: "Bearer", Expires: time.Unix(c.Expires, 0)}, nil
}

func sign(k key, c claims) (string, error) {
	t := jwt.Token{Method: k.method, Header: map[string]any{"typ": tokenType, "alg": k.method.Alg(), "kid": k.id}, Claims: c}
	return t.SignedString(k.sign)
}

// Verify recognises the broker's own tokens. What is not a bearer token, not a JWT, or a JWT of another issuer is
// sdk.NotMine. Everything else is final: signature_invalid, token_expired, realm_mismatch, audience_mismatch,
// algorithm_not_allowed, type_not_allowed, key_unknown, token_malformed.
func (b *broker) Verify(ctx context.Context, r sdk.Request) (sdk.Credential, error) {
	if r.Scheme != "bearer" || len(r.Token) > maxToken || strings.Count(r.Token, ".") != 2 {
		return sdk.Credential{}, sdk.NotMine()
	}
	var p payload
	t, parts, err := jwt.NewParser(jwt.WithStrictDecoding()).ParseUnverified(r.Token, &p)
	if p.Issuer != b.setup.Issuer {
		return sdk.Credential{}, sdk.NotMine()
	}
	if errors.Is(err, jwt.ErrTokenMalformed) || p.err != nil {
		return sdk.Credential{}, sdk.Deny("token_malformed", "the token is not a well-formed JWT with the claims of an access token")
	}
	if err := b.checkHeader(t); err != nil { // an algorithm that jwt does not know, the other error, is not ours either
		return sdk.Credential{}, err
	}
	if err := b.checkSignature(ctx, t, parts[0]+"."+parts[1]); err != nil {
		return sdk.Credential{}, err
	}
	if err := b.checkClaims(p.claims); err != nil {
		return sdk.Credential{}, err
	}
	return credential(p.claims), nil
}

// checkHeader comes before any key is looked at.
func (b *broker) checkHeader(t *jwt.Token) error {
	if algorithm, _ := t.Header["alg"].(string); b.kinds[algorithm] == nil {
		return sdk.Deny("algorithm_not_allowed", "the token is not signed with an algorithm of this realm")
	}
	if typ, _ := t.Header["typ"].(string); !strings.EqualFold(typ, tokenType) {
		return sdk.Deny("type_not_allowed", "the token is not of the type %s", tokenType)
	}
	if _, ok := t.Header["crit"]; ok {
		return sdk.Deny("token_malformed", "the token has critical extensions")
	}
	return nil
}

// checkSignature uses a key with its own algorithm only, whatever the token says, so that a public key never serves as an
// HMAC secret (RFC 8725 section 3.1). A decision lives no longer than the key; that a key is not known may change at once.
func (b *broker) checkSignature(ctx context.Context, t *jwt.Token, signed string) error {
	kid, _ := t.Header["kid"].(string)
	now := b.now()
	k, ok := b.keys.current(ctx, now).byID(kid)
	if !ok {
		sdk.NoCache(ctx)
		return sdk.Deny("key_unknown", "the token is signed with a key that this realm does not have")
	}
	if t.Header["alg"] != k.method.Alg() {
		return sdk.Deny("algorithm_not_allowed", "the token is not signed with the algorithm of its key")
	}
	if k.method.Verify(signed, t.Signature, k.verify) != nil {
		return sdk.Deny("signature_invalid", "the signature of the token is not valid")
	}
	if !k.till.IsZero() {
		sdk.CacheFor(ctx, k.till.Sub(now))
	}
	return nil
}

func (b *broker) checkClaims(c claims) error {
	switch {
	case c.Realm != b.setup.Realm:
		return sdk.Deny("realm_mismatch", "the token is for another realm")
	case !slices.ContainsFunc(c.Audience, func(a string) bool { return slices.Contains(b.setup.Audience, a) }):
		return sdk.Deny("audience_mismatch", "the token is for another audience")
	case c.Expires <= b.now().Unix():
		return sdk.Deny("token_expired", "the token has expired")
	case c.Subject == "" && c.PrincipalName == "" || c.ID == "":
		return sdk.Deny("token_malformed", "the token names no principal or has no id")
	}
	return nil
}

func credential(c claims) sdk.Credential {
	out := sdk.Credential{
		Realm: c.Realm, Source: sdk.SourceInternal, Principal: sdk.PrincipalRef{ID: c.Subject, Name: c.PrincipalName},
		RequestedRoles: strings.Fields(c.Scope), Issuer: c.Issuer, Audience: c.Audience, TokenID: c.ID, ClientID: c.ClientID,
		SecretVersion: c.SecretVersion, Expires: time.Unix(c.Expires, 0),
	}
	if c.IssuedAt != 0 {
		out.IssuedAt = time.Unix(c.IssuedAt, 0)
	}
	if c.AuthTime != 0 {
		out.AuthTime = time.Unix(c.AuthTime, 0)
	}
	return out
}

// payload is what a token presents as claims. One that says it is ours is told from others even if the rest is not of the
// right kind.
type payload struct {
	claims
	err error
}

// UnmarshalJSON never fails on a JSON object; err keeps what is wrong with it.
func (p *payload) UnmarshalJSON(b []byte) error {
	if p.err = json.Unmarshal(b, &p.claims); p.err != nil {
		var only struct {
			Issuer string `json:"iss"`
		}
		_ = json.Unmarshal(b, &only) // what is not even an object has no issuer
		p.Issuer = only.Issuer
	}
	return nil
}

// The claims are checked by the broker itself: jwt's own checks are never asked for.

// GetExpirationTime satisfies jwt.Claims.
func (claims) GetExpirationTime() (*jwt.NumericDate, error) { return nil, nil }

// GetIssuedAt satisfies jwt.Claims.
func (claims) GetIssuedAt() (*jwt.NumericDate, error) { return nil, nil }

// GetNotBefore satisfies jwt.Claims.
func (claims) GetNotBefore() (*jwt.NumericDate, error) { return nil, nil }

// GetIssuer satisfies jwt.Claims.
func (claims) GetIssuer() (string, error) { return "", nil }

// GetSubject satisfies jwt.Claims.
func (claims) GetSubject() (string, error) { return "", nil }

// GetAudience satisfies jwt.Claims.
func (claims) GetAudience() (jwt.ClaimStrings, error) { return nil, nil }
