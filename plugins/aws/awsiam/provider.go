package awsiam

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/realmgate/realmgate/plugins/aws/client"
	"github.com/realmgate/realmgate/sdk"
)

// Provider has STS confirm who signed a request.
type Provider struct {
	settings  Settings
	endpoints endpoints
	http      *http.Client
	memory    *memory
	turnstile *turnstile
	flights   singleflight.Group
	now       func() time.Time
	ctx       context.Context // ends with the provider
	stop      context.CancelFunc
}

// NewProvider checks the settings. It asks nobody.
func NewProvider(ctx context.Context, setup sdk.Setup, s Settings) (*Provider, error) {
	c, err := s.Client(ctx, "aws-iam", client.Endpoint{URL: s.STSEndpoint, URLKey: "sts_endpoint"})
	if err := errors.Join(s.check(), err); err != nil {
		return nil, err
	}
	es, err := newEndpoints(ctx, s)
	if err != nil {
		return nil, err
	}
	if s.Roles == nil {
		s.Roles = []string{cmp.Or(setup.RolePrefix, "PRINCIPAL_ROLE:") + "ALL"}
	}
	p := &Provider{
		settings: s, endpoints: es, http: c, memory: newMemory(), turnstile: newTurnstile(s.RequestsPerSecond), now: time.Now,
	}
	p.ctx, p.stop = context.WithCancel(context.Background())
	return p, nil
}

// Close ends what the provider has under way.
func (p *Provider) Close() error {
	p.stop()
	p.http.CloseIdleConnections()
	return nil
}

// Identify has STS confirm a proof (see PrefixK8s and PrefixVault), unless its answer is remembered; another credential is
// sdk.NotMine.
//
// A proof is denied for one of token_malformed, token_expired, token_not_yet_valid, endpoint_not_allowed, action_not_allowed,
// parameter_not_allowed, header_not_allowed, header_not_signed, audience_missing, audience_mismatch, scope_mismatch,
// proof_refused and, with 403, account_not_allowed. An error that is no denial says that STS does not answer, or not as STS
// does. The decision may be remembered until the proof ends.
func (p *Provider) Identify(ctx context.Context, r sdk.Request) (sdk.Identity, error) {
	if r.Scheme != "bearer" {
		return sdk.Identity{}, sdk.NotMine()
	}
	got, err := p.read(ctx, r.Token) // also of one whose answer is remembered: its time is looked at anew
	if err != nil {
		return sdk.Identity{}, err
	}
	at := proofHash(sha256.Sum256([]byte(r.Token)))
	v, ok := p.memory.get(at, p.now())
	if !ok {
		if v, err = p.ask(ctx, at, got); err != nil {
			return sdk.Identity{}, err
		}
	}
	sdk.CacheFor(ctx, v.until.Sub(p.now()))
	if v.denial != nil {
		return sdk.Identity{}, v.denial
	}
	return v.identity, nil
}

// ask joins the request about the proof that is under way, or sends one. It does not depend on the caller, since others
// wait for it too.
func (p *Provider) ask(ctx context.Context, at proofHash, got proof) (verdict, error) {
	answer := p.flights.DoChan(string(at[:]), func() (v any, err error) {
		err = sdk.Guard(func() (err error) {
			v, err = p.fly(at, got)
			return err
		})
		return v, err
	})
	select {
	case <-ctx.Done():
		return verdict{}, ctx.Err()
	case a := <-answer:
		if a.Err != nil {
			return verdict{}, a.Err
		}
		return a.Val.(verdict), nil
	}
}

func (p *Provider) fly(at proofHash, got proof) (verdict, error) {
	now := p.now()
	if v, ok := p.memory.get(at, now); ok { // of a request that has just ended
		return v, nil
	}
	if !p.turnstile.admit(got.keyID, now) {
		return verdict{}, fmt.Errorf("%w: more than %d requests per second are not sent to STS", sdk.ErrBusy, p.settings.RequestsPerSecond)
	}
	who, err := ask(p.ctx, p.http, got)
	if err != nil && sdk.AsDenial(err) == nil {
		return verdict{}, err
	}
	v := verdict{denial: err, until: now.Add(refusedFor)}
	if err == nil {
		if v, err = p.judge(who, got, at); err != nil {
			return verdict{}, fmt.Errorf("sts at %s: %w", got.host, err)
		}
		if v.denial == nil {
			p.turnstile.confirm(got.keyID, now)
		}
	}
	if end := got.expires().Add(p.settings.ClockSkew.Std()); end.Before(v.until) {
		v.until = end
	}
	p.memory.keep(at, v)
	return v, nil
}

// judge makes an identity of what STS says. The error says that STS does not say what it should.
func (p *Provider) judge(who caller, got proof, at proofHash) (verdict, error) {
	x, err := newPrincipal(who, got.endpoint.partition)
	if err != nil {
		return verdict{}, err
	}
	if len(p.settings.Accounts) > 0 && !slices.Contains(p.settings.Accounts, x.account) {
		return verdict{
			denial: sdk.Forbid("account_not_allowed", "identities of the account %s are not accepted", x.account), until: p.now().Add(refusedFor),
		}, nil
	}
	claims, err := json.Marshal(x.claims(got.keyID))
	if err != nil {
		return verdict{}, err
	}
	end := got.expires().Add(p.settings.ClockSkew.Std())
	return verdict{until: end, identity: sdk.Identity{
		Issuer: got.endpoint.scheme + "://" + got.host, Subject: x.canonical, Audience: []string{p.settings.Audience},
		TokenID: hex.EncodeToString(at[:8]), Claims: sdk.NewClaims(claims), Roles: slices.Clone(p.settings.Roles), AuthTime: got.at, Expires: end,
	}}, nil
}
