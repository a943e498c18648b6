package oidc

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/realmgate/realmgate/plugins/default/foreign"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/egress"
)

const (
	maxToken = 16 << 10
	maxKeyID = 256
)

// Provider verifies the tokens of one issuer.
type Provider struct {
	settings Settings
	types    []string // lower case, without application/
	keys     *source
	parser   *jwt.Parser
	now      func() time.Time
}

// NewProvider checks the settings. It fetches nothing: a provider that is down now may be up when the first token comes.
func NewProvider(_ context.Context, _ sdk.Setup, s Settings) (*Provider, error) {
	if err := s.complete(); err != nil {
		return nil, err
	}
	roots, err := egress.Authorities(s.CAFile)
	if err != nil {
		return nil, sdk.At(err, "ca_file")
	}
	p := &Provider{settings: s, parser: jwt.NewParser(jwt.WithStrictDecoding()), now: time.Now}
	for _, t := range s.TokenTypes {
		p.types = append(p.types, shortType(t))
	}
	p.keys = newSource(newFetcher(s, roots), s.RefreshInterval.Std(), s.MaxStale.Std())
	return p, nil
}

// Close ends what the provider has under way.
func (p *Provider) Close() error {
	p.keys.close()
	return nil
}

// Check says whether the provider's keys can be had.
func (p *Provider) Check(ctx context.Context) error {
	_, err := p.keys.current(ctx)
	return err
}

// Identify verifies a bearer token; another scheme is sdk.NotMine.
//
// A token is denied for one of token_malformed, token_opaque, type_not_allowed, algorithm_not_allowed, issuer_mismatch,
// audience_mismatch, authorized_party_mismatch, token_expired, token_not_yet_valid, key_unknown, signature_invalid and
// claim_invalid. Everything that needs no key is checked before a key is looked for. An error that is no denial says that
// the provider's keys cannot be had.
func (p *Provider) Identify(ctx context.Context, r sdk.Request) (sdk.Identity, error) {
	if r.Scheme != "bearer" {
		return sdk.Identity{}, sdk.NotMine()
	}
	if err := shape(r.Token); err != nil {
		return sdk.Identity{}, err
	}
	var body payload
	t, parts, err := p.parser.ParseUnverified(r.Token, &body)
	if err := p.checkHeader(t, err); err != nil {
		return sdk.Identity{}, err
	}
	c, err := foreign.ReadClaims(body.Claims)
	if err != nil {
		return sdk.Identity{}, err
	}
	if err := p.checkClaims(ctx, c); err != nil {
		return sdk.Identity{}, err
	}
	if err := p.checkSignature(ctx, t, parts[0]+"."+parts[1]); err != nil {
		return sdk.Identity{}, err
	}
	roles, err := foreign.Roles(body.Claims, p.settings.RoleClaimPath)
	if err != nil {
		return sdk.Identity{}, err
	}
	id := sdk.Identity{
		Issuer: c.Issuer, Subject: c.Subject, Audience: c.Audience, TokenID: c.ID,
		Claims: body.Claims, Roles: roles, AuthTime: c.AuthTime,
	}
	if !c.Expires.IsZero() {
		id.Expires = c.Expires.Add(p.settings.ClockSkew.Std())
	}
	return id, nil
}

// shape refuses what is no JWT before anything of its size is allocated.
func shape(token string) error {
	if token == "" || len(token) > maxToken {
		return sdk.Deny("token_malformed", "the token is empty or longer than %d bytes", maxToken)
	}
	switch dots := strings.Count(token, "."); {
	case dots < 2:
		return errOpaque()
	case dots > 2:
		return sdk.Deny("token_malformed", "the token is not a signed JWT: it has %d parts", dots+1)
	}
	return nil
}

func errOpaque() error {
	return sdk.Deny("token_opaque", "the token is opaque, and this tenant reads JWTs only; an introspecting identity provider is needed for such tokens")
}

// checkHeader sees to the header of a token, and to the error with which it was parsed.
func (p *Provider) checkHeader(t *jwt.Token, err error) error {
	if t == nil || t.Header == nil {
		return errOpaque()
	}
	algorithm, _ := t.Header["alg"].(string)
	typ, isText := t.Header["typ"].(string)
	_, hasType := t.Header["typ"]
	_, critical := t.Header["crit"]
	kid, kidIsText := t.Header["kid"].(string)
	_, hasKid := t.Header["kid"]
	switch {
	case !slices.Contains(p.settings.Algorithms, algorithm):
		return sdk.Deny("algorithm_not_allowed", "the token is signed with an algorithm that this tenant does not accept")
	case err != nil:
		return sdk.Deny("token_malformed", "the token is not a well-formed JWT")
	case hasType && !isText || !slices.Contains(p.types, shortType(typ)):
		return sdk.Deny("type_not_allowed", "the token is of a type that this tenant does not accept")
	case critical:
		return sdk.Deny("token_malformed", "the token has critical extensions, and none is known")
	case hasKid && !kidIsText || len(kid) > maxKeyID:
		return sdk.Deny("token_malformed", "the key id of the token is not a string of at most %d bytes", maxKeyID)
	}
	return nil
}

// shortType gives a media type in the form in which types are compared (RFC 7515 section 4.1.9).
func shortType(t string) string {
	return strings.TrimPrefix(strings.ToLower(t), "application/")
}

func (p *Provider) checkClaims(ctx context.Context, c foreign.Claims) error {
	s, now := &p.settings, p.now()
	skew := s.ClockSkew.Std()
	switch {
	case c.Issuer != s.Issuer:
		return sdk.Deny("issuer_mismatch", "the token is from another issuer")
	case !foreign.Intersect(c.Audience, s.Audience):
		return sdk.Deny("audience_mismatch", "the token is for another audience")
	case len(s.AuthorizedParty) > 0 && !slices.Contains(s.AuthorizedParty, c.Party):
		return sdk.Deny("authorized_party_mismatch", "the token was issued to a client that this tenant does not accept")
	case c.Expires.IsZero() && s.RequireExpiry:
		return sdk.Deny("token_expired", "the token has no expiry")
	case !c.Expires.IsZero() && !now.Before(c.Expires.Add(skew)):
		return sdk.Deny("token_expired", "the token has expired")
	case now.Add(skew).Before(c.Begin()):
		sdk.CacheFor(ctx, c.Begin().Sub(now.Add(skew)))
		return sdk.Deny("token_not_yet_valid", "the token is not valid yet")
	}
	return nil
}

// checkSignature looks for the key that the token names. A token without a key id is accepted only if there is exactly
// one key that fits.
func (p *Provider) checkSignature(ctx context.Context, t *jwt.Token, signed string) error {
	kid, _ := t.Header["kid"].(string)
	algorithm := t.Method.Alg()
	set, err := p.set(ctx, kid)
	if err != nil {
		return fmt.Errorf("identity-provider(oidc): %w", err)
	}
	if set == nil {
		sdk.NoCache(ctx)
		return sdk.Deny("key_unknown", "the token is signed with a key that the issuer does not publish")
	}
	fitting := set.fitting(kid, algorithm)
	switch {
	case kid != "" && len(fitting) == 0:
		return sdk.Deny("algorithm_not_allowed", "the key that the token names is not for its algorithm")
	case kid == "" && len(fitting) != 1:
		sdk.NoCache(ctx)
		return sdk.Deny("key_unknown", "the token names no key, and there are %d that it may mean", len(fitting))
	}
	for _, k := range fitting {
		if t.Method.Verify(signed, t.Signature, k) == nil {
			return nil
		}
	}
	return sdk.Deny("signature_invalid", "the signature of the token is not valid")
}

func (p *Provider) set(ctx context.Context, kid string) (*keySet, error) {
	if kid == "" {
		return p.keys.current(ctx)
	}
	return p.keys.knowing(ctx, kid)
}
