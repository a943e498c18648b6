package token

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/host/limit"
	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/sdk"
)

const (
	// reasonExpired is what a token broker says of a token of the realm's own that is sound, but too old.
	reasonExpired = "token_expired"
	// reasonKeyUnknown is what it says of a token whose key it does not have: not any more, if the token is old.
	reasonKeyUnknown = "key_unknown"
)

// errSession is the refusal of an exchange after the longest session.
var errSession = &Fault{Code: CodeInvalidRequest, Description: "the session has lasted as long as it may: authenticate with the client secret", why: "session_over"}

// exchange serves the grant of RFC 8693 as Iceberg clients use it to refresh a token. The new token belongs to the principal
// of the old one, never has more of a scope, keeps the time of the client's authentication, and thus ends with the session
// that began then.
//
// The client presents a current token of its own as Bearer, usually the subject token itself, or its id and secret. With
// the latter an expired subject token, or one whose session is over or whose key is retired, makes the request one for
// client credentials, with no more of a scope than that token had: that is how Iceberg clients get on after a pause.
func (s *Service) exchange(ctx context.Context, f *form) (issued, error) {
	var caller directory.Principal
	var version string
	var err error
	itself := !f.client.hasSecret() && f.client.bearer == f.subjectToken
	switch {
	case f.client.hasSecret():
		caller, version, err = s.authenticate(ctx, limit.Token, &f.client)
	case !itself:
		caller, err = s.holder(ctx, &f.client)
	}
	if err != nil {
		return issued{}, err
	}
	d, err := s.decide(ctx, f.subjectToken)
	switch {
	case err != nil:
		return issued{}, err
	case d.Verdict != pipeline.Allowed && f.client.hasSecret() && s.ended(f.subjectToken, d.Denial.Reason):
		return s.afterExpiry(ctx, *f, caller, version)
	case d.Verdict != pipeline.Allowed:
		if err := s.presented(ctx, f.client, f.subjectToken, d.Denial.Reason); err != nil {
			return issued{}, err
		}
		return issued{}, badSubject(d.Denial.Reason)
	case !itself && caller.ID != d.Principal.ID:
		return issued{}, badSubject("another_principal")
	case f.client.hasSecret() && s.lifetime(d.Credential.AuthTime) < leastLife:
		return s.anew(ctx, *f, d.Credential.RequestedRoles, caller, version)
	case itself:
		if caller, err = s.accept(ctx, &f.client, d.Principal.ID); err != nil {
			return issued{}, err
		}
	}
	o, err := s.renew(*f, d, caller)
	if err != nil {
		return issued{}, err
	}
	out, err := s.issue(ctx, o)
	if errors.Is(err, badClient) { // the principal was disabled just now
		err = badSubject("principal_refused")
	}
	return out, err
}

// decide asks the plan about a token. The decision is allowed or denied, never without a credential or a denial with a
// reason.
func (s *Service) decide(ctx context.Context, token string) (pipeline.Decision, error) {
	if !isToken(token) {
		return pipeline.Decision{Verdict: pipeline.Denied, Denial: &sdk.Denial{Reason: "token_malformed"}}, nil
	}
	d := s.c.Plan.DecideOwn(ctx, sdk.Request{Scheme: "bearer", Token: token})
	switch {
	case d.Verdict == pipeline.Allowed && d.Credential != nil && d.Principal.ID != "":
		return d, nil
	case d.Verdict == pipeline.Denied && d.Denial != nil:
		no := *d.Denial
		if no.Reason == "" { // a part gave none, and the line needs one
			no.Reason = "denied"
		}
		d.Denial = &no
		return d, nil
	}
	return d, fmt.Errorf("decide on a token: %w", orUnknown(d.Err))
}

// holder gives the principal of the bearer token that authenticates a client.
func (s *Service) holder(ctx context.Context, c *client) (directory.Principal, error) {
	d, err := s.decide(ctx, c.bearer)
	if err != nil {
		return directory.Principal{}, err
	}
	if d.Verdict != pipeline.Allowed {
		if err := s.presented(ctx, *c, c.bearer, d.Denial.Reason); err != nil {
			return directory.Principal{}, err
		}
		return directory.Principal{}, &Fault{Code: badClient.Code, Description: badClient.Description, why: d.Denial.Reason}
	}
	return s.accept(ctx, c, d.Principal.ID)
}

// accept notes in c that it holds a token of a principal, and counts the request as that client's: whatever comes of it, it is
// the client's own.
func (s *Service) accept(ctx context.Context, c *client, id string) (directory.Principal, error) {
	p, err := s.c.Directory.GetPrincipalByID(ctx, s.c.Realm, id)
	switch {
	case errors.Is(err, directory.ErrNotFound): // deleted just now
		return p, badSubject(directory.ReasonPrincipalUnknown)
	case err != nil:
		return p, fmt.Errorf("find the principal of a token: %w", err)
	}
	c.proven = &p
	return p, s.c.Guard.Spend(ctx, limit.Token, p.ClientID)
}

// renew makes the order for an exchange out of the decision on its subject token, which is p's.
func (s *Service) renew(f form, d pipeline.Decision, p directory.Principal) (order, error) {
	c := d.Credential
	switch {
	case f.client.id != "" && f.client.id != p.ClientID:
		return order{}, badSubject("another_client")
	case len(p.SecretVersions) == 0 || c.SecretVersion != p.SecretVersions[len(p.SecretVersions)-1]:
		// After a rotation what the former secret obtained runs out, but is not renewed.
		return order{}, badSubject("secret_rotated")
	}
	scope, fault := s.narrowed(f, c.RequestedRoles)
	if fault != nil {
		return order{}, fault
	}
	return order{
		principal: sdk.PrincipalRef{ID: p.ID, Name: p.Name}, clientID: p.ClientID, scope: scope, authTime: c.AuthTime, version: c.SecretVersion,
		session: directory.SessionOf(c.TokenID),
	}, nil
}

// anew begins a session for a client with a secret, with a scope that is no wider than that of its former token.
func (s *Service) anew(ctx context.Context, f form, had []string, p directory.Principal, version string) (issued, error) {
	scope, fault := s.narrowed(f, had)
	if fault != nil {
		return issued{}, fault
	}
	return s.begin(ctx, scope, p, version)
}

// ended says whether a token that was refused is one that a client with a secret may follow with a new session: it has
// expired, or its key is unknown and it says that it is the realm's own, as one does whose key was retired.
func (s *Service) ended(token, reason string) bool {
	return reason == reasonExpired || reason == reasonKeyUnknown && claimsOf(token).Issuer == s.c.Issuer
}

// afterExpiry begins a session for a client with a secret whose token has ended. The token's claims (RFC 9068 section 2.2)
// count where they can be read, whoever wrote them: they can only take away from what the client would get without it.
func (s *Service) afterExpiry(ctx context.Context, f form, p directory.Principal, version string) (issued, error) {
	c := claimsOf(f.subjectToken)
	if c.Subject != "" && c.Subject != p.ID {
		return issued{}, badSubject("another_principal")
	}
	had, fault := s.scope(c.Scope)
	switch {
	case fault != nil:
		return issued{}, fault
	case len(had) == 0: // it is opaque
		return s.clientCredentials(ctx, f, p, version)
	}
	return s.anew(ctx, f, had, p, version)
}

// claims are those of a JWT that are of use without its signature.
type claims struct {
	Issuer  string  `json:"iss"`
	Subject string  `json:"sub"`
	Scope   string  `json:"scope"`
	Expires float64 `json:"exp"` // seconds since 1970
}

// claimsOf reads a JWT without looking at its signature; there are no claims if the token is not one.
func claimsOf(token string) (c claims) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return claims{}
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(raw, &c) != nil {
		return claims{}
	}
	return c
}

// roleAll stands, behind the prefix, for all granted roles.
const roleAll = "ALL"

// narrowed gives the scope of an exchanged token: that of the old one, or what the form asks for out of it (RFC 8693
// section 2.1). All roles include each single one; many single ones are not all.
func (s *Service) narrowed(f form, had []string) ([]string, *Fault) {
	if len(had) == 0 {
		return nil, refuse(CodeInvalidScope, "the subject token has no scope")
	}
	if strings.Trim(f.scope, " ") == "" {
		return had, nil
	}
	items, fault := s.scope(f.scope)
	if fault != nil {
		return nil, fault
	}
	if slices.Contains(had, s.c.RolePrefix+roleAll) {
		return items, nil
	}
	for _, item := range items {
		if !slices.Contains(had, item) {
			return nil, refuse(CodeInvalidScope, "the scope asks for more than the subject token has")
		}
	}
	return items, nil
}
