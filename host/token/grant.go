package token

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/host/limit"
	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/sdk"
)

// issued is a token and what is said about it in answer and log.
type issued struct {
	token     sdk.Token
	principal sdk.PrincipalRef
	clientID  string
	scope     []string
	expires   time.Duration
}

// grant serves a token request, and notes in f that the client was authenticated. The error is a *Fault, or one that makes
// the service unavailable.
func (s *Service) grant(ctx context.Context, f *form) (issued, error) {
	ctx, cancel := context.WithTimeout(ctx, s.c.Timeout)
	defer cancel()
	if f.grantType == grantTokenExchange {
		return s.exchange(ctx, f)
	}
	p, version, err := s.authenticate(ctx, limit.Token, &f.client)
	if err != nil {
		return issued{}, err
	}
	return s.clientCredentials(ctx, *f, p, version)
}

// authenticate finds the principal of a client that presents its secret, and notes in c that it did.
func (s *Service) authenticate(ctx context.Context, at limit.Endpoint, c *client) (directory.Principal, string, error) {
	p, version, err := s.c.Guard.Authenticate(ctx, at, c.id, c.secret)
	if errors.Is(err, directory.ErrBadCredentials) {
		return p, "", badClient
	}
	if err != nil {
		return p, "", fmt.Errorf("authenticate client: %w", err)
	}
	c.authenticated = true
	return p, version, nil
}

// clientCredentials serves the grant of RFC 6749 section 4.4 for a client that has authenticated.
func (s *Service) clientCredentials(ctx context.Context, f form, p directory.Principal, version string) (issued, error) {
	scope, fault := s.requested(f)
	if fault != nil {
		return issued{}, fault
	}
	return s.begin(ctx, scope, p, version)
}

// begin issues the first token of a session.
func (s *Service) begin(ctx context.Context, scope []string, p directory.Principal, version string) (issued, error) {
	return s.issue(ctx, order{
		principal: sdk.PrincipalRef{ID: p.ID, Name: p.Name}, clientID: p.ClientID, scope: scope, authTime: s.c.Now(), version: version,
	})
}

// order is a token to be, before the plan has judged it.
type order struct {
	principal sdk.PrincipalRef
	clientID  string
	scope     []string
	authTime  time.Time // when the client authenticated with its secret
	version   string    // of that secret
	session   string    // that the token goes on with; empty: it begins one
}

// issue has the plan judge an order and the broker make the token.
func (s *Service) issue(ctx context.Context, o order) (issued, error) {
	life := s.lifetime(o.authTime)
	if life < leastLife {
		return issued{}, errSession
	}
	id, now := newTokenID(o.session), s.c.Now()
	d := s.c.Plan.Admit(ctx, sdk.Credential{
		Realm: s.c.Realm, Source: sdk.SourceInternal, Principal: o.principal, RequestedRoles: o.scope,
		Issuer: s.c.Issuer, Audience: s.c.Audience, TokenID: id,
		AuthTime: o.authTime, SecretVersion: o.version, Expires: now.Add(admissionLife),
	})
	switch d.Verdict {
	case pipeline.Allowed:
	case pipeline.Denied:
		return issued{}, faultOf(d.Denial)
	default:
		return issued{}, fmt.Errorf("admit: %w", orUnknown(d.Err))
	}
	tok, err := s.c.Broker.Issue(ctx, sdk.Grant{
		Principal: o.principal, ClientID: o.clientID, Scope: o.scope, Realm: s.c.Realm, Issuer: s.c.Issuer, Audience: s.c.Audience,
		Lifetime: life, TokenID: id, AuthTime: o.authTime, SecretVersion: o.version,
	})
	if err != nil {
		return issued{}, fmt.Errorf("issue: %w", err)
	}
	expires, err := s.check(tok, id, o.authTime.Add(s.c.MaxSession))
	if err != nil {
		return issued{}, fmt.Errorf("issue: %w", err)
	}
	return issued{tok, o.principal, o.clientID, o.scope, expires}, nil
}

const (
	// leastLife is the least that a token is worth issuing for: brokers round down to whole seconds.
	leastLife = 2 * time.Second
	// brokersTime is what a broker may take without its token outliving the session.
	brokersTime = time.Second
)

// lifetime is the most that a token may live whose client authenticated at a time; the zero time, of a broker that does not
// keep it, is long ago. Tokens tell their times in whole seconds.
func (s *Service) lifetime(authTime time.Time) time.Duration {
	left := authTime.Truncate(time.Second).Add(s.c.MaxSession).Sub(s.c.Now())
	return min(s.c.MaxSession, max(left, 0).Truncate(time.Second)) - brokersTime
}

// check makes sure that what the broker issued is a token that was asked for and ends with the session, and gives its life.
func (s *Service) check(t sdk.Token, id string, end time.Time) (time.Duration, error) {
	life := t.Expires.Sub(s.c.Now())
	switch {
	case !isToken(t.Value):
		return 0, errors.New("the token broker answered with a value that cannot be sent as a bearer token")
	case t.ID != "" && t.ID != id:
		return 0, errors.New("the token broker gave the token an id of its own")
	case life < time.Second:
		return 0, errors.New("the token broker answered with a token that has expired or never expires")
	case t.Expires.After(end):
		return 0, errors.New("the token broker answered with a token that outlives the session")
	}
	return life, nil
}

var errUnknown = errors.New("no reason given")

func orUnknown(err error) error {
	if err == nil {
		return errUnknown
	}
	return err
}
