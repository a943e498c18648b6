package oidc

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/realmgate/realmgate/plugins/default/foreign"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/breaker"
	"github.com/realmgate/realmgate/sdk/egress"
	"github.com/realmgate/realmgate/sdk/verified"
)

// Provider verifies the tokens of one issuer.
type Provider struct {
	settings Settings
	types    []string // lower case, without application/
	keys     *source
	verified *verified.Memory
	header   atomic.Pointer[header] // of the last token
	now      func() time.Time
}

// NewProvider checks the settings. It fetches nothing: a provider that is down now may be up when the first token comes.
func NewProvider(ctx context.Context, _ sdk.Setup, s Settings) (*Provider, error) {
	if err := s.complete(); err != nil {
		return nil, err
	}
	roots, err := egress.Authorities(s.CAFile)
	if err != nil {
		return nil, sdk.At(err, "ca_file")
	}
	known, err := verified.New(ctx, s.VerifiedTokens)
	if err != nil {
		return nil, sdk.At(err, "verified_tokens")
	}
	p := &Provider{settings: s, verified: known, now: time.Now}
	for _, t := range s.TokenTypes {
		p.types = append(p.types, shortType(t))
	}
	p.keys = newSource(newFetcher(s, roots, breaker.OutboundOf(ctx)), s.RefreshInterval.Std(), s.MaxStale.Std())
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
	t, err := p.parse(r.Token)
	if err != nil {
		return sdk.Identity{}, err
	}
	c, err := foreign.ReadClaims(t.claims)
	if err != nil {
		return sdk.Identity{}, err
	}
	notes := sdk.NotesOf(ctx)
	if notes != nil {
		notes.Add("the token says: issuer %q, audience %s, signed with the key %q (%s)", c.Issuer, foreign.Quoted(c.Audience), t.keyID, t.method.Alg())
	}
	if err := p.checkClaims(ctx, c); err != nil {
		return sdk.Identity{}, err
	}
	if err := p.checkSignature(ctx, verified.Token{Realm: r.Realm, Text: r.Token, Now: p.now(), Expires: c.Expires}, t); err != nil {
		return sdk.Identity{}, err
	}
	roles, err := foreign.Roles(t.claims, p.settings.RoleClaimPath)
	if err != nil {
		return sdk.Identity{}, err
	}
	if notes != nil {
		notes.Add("the role claim %s has %s", p.settings.RoleClaimPath, foreign.Quoted(roles))
	}
	id := sdk.Identity{
		Issuer: c.Issuer, Subject: c.Subject, Audience: c.Audience, TokenID: c.ID,
		Claims: t.claims, Roles: roles, AuthTime: c.AuthTime,
	}
	if !c.Expires.IsZero() {
		id.Expires = c.Expires.Add(p.settings.ClockSkew.Std())
	}
	return id, nil
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

// checkSignature looks for the key that the token names, though the token may have been verified before: a key that is gone
// verifies nothing. A token without a key id is accepted only if there is exactly
// one key that fits.
func (p *Provider) checkSignature(ctx context.Context, whole verified.Token, t presented) error {
	kid, algorithm := t.keyID, t.method.Alg()
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
	whole.Keys = set.digest
	if p.verified.Verify(ctx, whole, func() bool { return t.verifies(fitting) }) {
		return nil
	}
	return sdk.Deny("signature_invalid", "the signature of the token is not valid")
}

func (p *Provider) set(ctx context.Context, kid string) (*keySet, error) {
	if kid == "" {
		return p.keys.current(ctx)
	}
	return p.keys.knowing(ctx, kid)
}
