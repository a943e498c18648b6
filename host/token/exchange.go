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

// reasonExpired is what a token broker says of a token of the realm's own that is sound, but too old.
const reasonExpired = "token_expired"

// errSession is the refusal of an exchange after the longest session.
var errSession = &Fault{Code: CodeInvalidRequest, Description: "the session has lasted as long as it may: authenticate with the client secret", why: "session_over"}

// exchange serves the grant of RFC 8693 as Iceberg clients use it to refresh a token. The new token belongs to the principal
// of the old one, never has more of a scope, keeps the time of the client's authentication, and thus ends with the session
// that began then.
//
// The client presents a current token of its own as Bearer, usually the subject token itself, or its id and secret. With
// the latter an expired subject token, or one whose session is over, makes the request one for client credentials, with no
// more of a scope than that token had: that is how Iceberg clients get on after a pause.
func (s *Service) exchange(ctx context.Context, f *form) (issued, error) {
	var caller directory.Principal
	var version string
	var err error
	itself := !f.client.hasSecret() && f.client.bearer == f.subjectToken
	switch {
	case f.client.hasSecret():
		caller, version, err = s.authenticate(ctx, limit.Token, &f.client)
	case !itself:
		caller.ID, err = s.holder(ctx, f.client)
	}
	if err != nil {
		return issued{}, err
	}
	d, err := s.decide(ctx, f.subjectToken)
	switch {
	case err != nil:
		return issued{}, err
	case d.Verdict != pipeline.Allowed && d.Denial.Reason == reasonExpired && f.client.hasSecret():
		return s.afterExpiry(ctx, *f, caller, version)
	case d.Verdict != pipeline.Allowed:
		if err := s.presented(ctx, f.client, d.Denial.Reason); err != nil {
			return issued{}, err
		}
		return issued{}, badSubject(d.Denial.Reason)
	case !itself && caller.ID != d.Principal.ID:
		return issued{}, badSubject("another_principal")
	case f.client.hasSecret() && s.lifetime(d.Credential.AuthTime) < leastLife:
		return s.anew(ctx, *f, d.Credential.RequestedRoles, caller, version)
	}
	o, err := s.renew(ctx, *f, d)
	if err == nil && !f.client.hasSecret() {
		err = s.c.Guard.Spend(ctx, limit.Token, o.clientID)
	}
	if err != nil {
		return issued{}, err
	}
	out, err := s.issue(ctx, o)
	if errors.Is(err, badClient) { // the principal was disabled just now
		err = badSubject("principal_refused")
	}
	return out, err
}

// decide asks the plan about a token. The decision is allowed or denied, never without a credential or a denial.
func (s *Service) decide(ctx context.Context, token string) (pipeline.Decision, error) {
	if !isToken(token) {
		return pipeline.Decision{Verdict: pipeline.Denied, Denial: &sdk.Denial{Reason: "token_malformed"}}, nil
	}
	d := s.c.Plan.DecideOwn(ctx, sdk.Request{Scheme: "bearer", Token: token})
	switch {
	case d.Verdict == pipeline.Allowed && d.Credential != nil && d.Principal.ID != "":
		return d, nil
	case d.Verdict == pipeline.Denied && d.Denial != nil:
		return d, nil
	}
	return d, fmt.Errorf("decide on a token: %w", orUnknown(d.Err))
}

// holder gives the principal id of the bearer token that authenticates a client.
func (s *Service) holder(ctx context.Context, c client) (string, error) {
	d, err := s.decide(ctx, c.bearer)
	if err != nil {
		return "", err
	}
	if d.Verdict != pipeline.Allowed {
		if err := s.presented(ctx, c, d.Denial.Reason); err != nil {
			return "", err
		}
		return "", &Fault{Code: badClient.Code, Description: badClient.Description, why: d.Denial.Reason}
	}
	return d.Principal.ID, nil
}

// renew makes the order for an exchange out of the decision on its subject token.
func (s *Service) renew(ctx context.Context, f form, d pipeline.Decision) (order, error) {
	c := d.Credential
	p, err := s.c.Directory.GetPrincipalByID(ctx, s.c.Realm, d.Principal.ID)
	switch {
	case errors.Is(err, directory.ErrNotFound):
		return order{}, badSubject(directory.ReasonPrincipalUnknown)
	case err != nil:
		return order{}, fmt.Errorf("find the principal of a token: %w", err)
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

// afterExpiry begins a session for a client with a secret whose token has expired. What the broker has found to be expired
// is a token of the realm's own, so that its claims (RFC 9068 section 2.2) are believed where they can be read. They can only
// take away from what the client would get without the token.
func (s *Service) afterExpiry(ctx context.Context, f form, p directory.Principal, version string) (issued, error) {
	subject, scope := claimsOf(f.subjectToken)
	switch {
	case subject != "" && subject != p.ID:
		return issued{}, badSubject("another_principal")
	case len(scope) == 0: // it is opaque
		return s.clientCredentials(ctx, f, p, version)
	}
	return s.anew(ctx, f, scope, p, version)
}

// claimsOf reads subject and scope of a JWT without looking at its signature; there are none if the token is not one.
func claimsOf(token string) (subject string, scope []string) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", nil
	}
	var claims struct {
		Subject string `json:"sub"`
		Scope   string `json:"scope"`
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(raw, &claims) != nil {
		return "", nil
	}
	return claims.Subject, strings.Fields(claims.Scope)
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
