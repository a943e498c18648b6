package introspection

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/realmgate/realmgate/plugins/default/foreign"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/breaker"
	"github.com/realmgate/realmgate/sdk/egress"
)

// maxToken bounds a token in bytes. Opaque ones are far shorter.
const maxToken = 4 << 10

// Provider asks one introspection endpoint.
type Provider struct {
	settings Settings
	endpoint *endpoint
	secret   secret
	memory   *memory
	flights  singleflight.Group
	now      func() time.Time
	ctx      context.Context // ends with the provider
	stop     context.CancelFunc
}

// NewProvider checks the settings. It asks nobody: a provider that is down now may be up when the first token comes.
func NewProvider(ctx context.Context, _ sdk.Setup, s Settings) (*Provider, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	roots, err := egress.Authorities(s.CAFile)
	if err != nil {
		return nil, sdk.At(err, "ca_file")
	}
	p := &Provider{settings: s, secret: secret{ref: s.ClientSecret}, memory: newMemory(), now: time.Now}
	p.endpoint = newEndpoint(s, roots, breaker.OutboundOf(ctx), func() time.Time { return p.now() })
	p.ctx, p.stop = context.WithCancel(context.Background())
	return p, nil
}

// Close ends what the provider has under way.
func (p *Provider) Close() error {
	p.stop()
	p.endpoint.close()
	return nil
}

// verdict is what an answer means for a token. It does not change.
type verdict struct {
	identity sdk.Identity
	denial   error // nil if the token is good
	until    time.Time
	size     int // of the answer in bytes
}

// Identify has a bearer token introspected, unless its answer is remembered; another scheme is sdk.NotMine.
//
// A token is denied for one of token_malformed, token_inactive, type_not_allowed, token_bound, issuer_mismatch,
// audience_mismatch, authorized_party_mismatch, token_expired, token_not_yet_valid and claim_invalid. An error that is no
// denial says that there is no answer, or none that means anything. The decision may be remembered for as long as the
// answer.
func (p *Provider) Identify(ctx context.Context, r sdk.Request) (sdk.Identity, error) {
	if r.Scheme != "bearer" {
		return sdk.Identity{}, sdk.NotMine()
	}
	if r.Token == "" || len(r.Token) > maxToken {
		return sdk.Identity{}, sdk.Deny("token_malformed", "the token is empty or longer than %d bytes", maxToken)
	}
	at := tokenHash(sha256.Sum256([]byte(r.Token)))
	v, ok := p.memory.get(at, p.now())
	if !ok {
		var err error
		q := question{token: r.Token, peer: networkOf(r.Peer), known: p.memory.knew(at)}
		if v, err = p.ask(ctx, at, q); err != nil {
			sdk.NoCache(ctx) // maybe it is for this peer only that nobody is asked
			return sdk.Identity{}, fmt.Errorf("identity-provider(introspection): %w", err)
		}
	}
	sdk.CacheFor(ctx, v.until.Sub(p.now()))
	if v.denial != nil {
		return sdk.Identity{}, v.denial
	}
	return v.identity, nil
}

// ask joins the request for the token that is under way, or sends one. The request does not depend on the caller, since
// others wait for it too; only the client's secret is resolved on behalf of a caller.
func (p *Provider) ask(ctx context.Context, at tokenHash, q question) (verdict, error) {
	secret, err := p.secret.value(ctx, p.now())
	if err != nil {
		return verdict{}, fmt.Errorf("client_secret: %w", err)
	}
	answer := p.flights.DoChan(string(at[:]), func() (v any, err error) {
		err = sdk.Guard(func() (err error) {
			v, err = p.fly(at, q, secret)
			return err
		})
		return v, err
	})
	select {
	case <-ctx.Done():
		return verdict{}, ctx.Err()
	case got := <-answer:
		if got.Err != nil {
			return verdict{}, got.Err
		}
		return got.Val.(verdict), nil
	}
}

func (p *Provider) fly(at tokenHash, q question, secret sdk.Secret) (verdict, error) {
	if v, ok := p.memory.get(at, p.now()); ok { // of a request that has just ended
		return v, nil
	}
	if p.ctx.Err() != nil {
		return verdict{}, errors.New("the identity provider was released")
	}
	raw, err := p.endpoint.introspect(p.ctx, p.now, q, secret)
	if err != nil {
		if errors.Is(err, errUnauthorized) {
			p.secret.forget(p.now())
		}
		return verdict{}, err
	}
	v, err := p.judge(raw, p.now())
	if err != nil {
		return verdict{}, fmt.Errorf("%s: %w", p.settings.Endpoint, err)
	}
	if v.denial != nil {
		p.endpoint.refuse(p.now(), q)
	}
	p.memory.keep(at, v)
	return v, nil
}

// judge reads an answer (RFC 7662 section 2.2). The error is the provider's fault; a token that is not good is a verdict.
func (p *Provider) judge(raw []byte, now time.Time) (verdict, error) {
	claims := sdk.NewClaims(raw)
	m := claims.Map()
	if m == nil {
		return verdict{}, errors.New("the answer is not a JSON object")
	}
	active, isBool := m["active"].(bool)
	if !isBool {
		return verdict{}, errors.New(`the answer does not say true or false in "active"`)
	}
	maxAge := p.settings.MaxAge.Std()
	refused := func(err error) (verdict, error) {
		return verdict{denial: err, until: now.Add(min(maxAge, inactiveFor))}, nil
	}
	if !active {
		return refused(sdk.Deny("token_inactive", "the provider of the token says that it is not active"))
	}
	c, err := foreign.ReadClaims(claims)
	if err != nil {
		return refused(err)
	}
	if err := p.check(m, c, now); err != nil {
		v, err := refused(err)
		if begins := c.Begin().Add(-p.settings.ClockSkew.Std()); begins.After(now) && begins.Before(v.until) {
			v.until = begins // it may be good then
		}
		return v, err
	}
	roles, err := foreign.Roles(claims, p.settings.RoleClaimPath)
	if err != nil {
		return refused(err)
	}
	id := sdk.Identity{
		Issuer: c.Issuer, Subject: c.Subject, Audience: c.Audience, TokenID: c.ID, Claims: claims, Roles: roles, AuthTime: c.AuthTime,
	}
	if p.settings.Issuer != "" {
		id.Issuer = p.settings.Issuer
	}
	until := now.Add(maxAge)
	if !c.Expires.IsZero() {
		id.Expires = c.Expires.Add(p.settings.ClockSkew.Std())
		if id.Expires.Before(until) {
			until = id.Expires
		}
	}
	return verdict{identity: id, until: until, size: len(raw)}, nil
}

func (p *Provider) check(m map[string]any, c foreign.Claims, now time.Time) error {
	s := &p.settings
	skew := s.ClockSkew.Std()
	switch {
	case !isAccessToken(m):
		return sdk.Deny("type_not_allowed", "the token is not a bearer access token")
	case m["cnf"] != nil:
		// Whoever holds such a token has to prove more (RFC 7800 section 3, RFC 8705, RFC 9449), and nobody looks at that here.
		return sdk.Deny("token_bound", "the token is bound to a key of its holder, and not a bearer token")
	case s.Issuer != "" && m["iss"] != nil && c.Issuer != s.Issuer:
		return sdk.Deny("issuer_mismatch", "the token is from another issuer")
	case !p.audienceFits(c.Audience):
		return sdk.Deny("audience_mismatch", "the token is for another audience")
	case len(s.AuthorizedParty) > 0 && !slices.Contains(s.AuthorizedParty, c.Party):
		return sdk.Deny("authorized_party_mismatch", "the token was issued to a client that this tenant does not accept")
	case !c.Expires.IsZero() && !now.Before(c.Expires.Add(skew)):
		return sdk.Deny("token_expired", "the token has expired")
	case now.Add(skew).Before(c.Begin()):
		return sdk.Deny("token_not_yet_valid", "the token is not valid yet")
	}
	return nil
}

// audienceFits: a token that names audiences must name one of ours, whatever is required.
func (p *Provider) audienceFits(of []string) bool {
	if len(of) == 0 {
		return !p.settings.RequireAudience
	}
	return len(p.settings.Audience) == 0 || foreign.Intersect(of, p.settings.Audience)
}

// isAccessToken looks at what the answer says about the kind of token: an active refresh token opens nothing.
func isAccessToken(m map[string]any) bool {
	for name, accepted := range map[string][]string{
		"token_type": {"bearer", "access_token"}, // RFC 7662 section 2.2; some providers tell the use of the token here
		"token_use":  {"access_token", "access"}, // of some providers
	} {
		v, present := m[name]
		text, _ := v.(string)
		if present && !slices.ContainsFunc(accepted, func(a string) bool { return strings.EqualFold(a, text) }) {
			return false
		}
	}
	return true
}
