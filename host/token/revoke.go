package token

import (
	"context"
	"fmt"
	"net/http"

	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/host/limit"
	"github.com/realmgate/realmgate/sdk"
)

// ServeRevoke is the revocation endpoint (RFC 7009). A client authenticates with its secret, or presents as Bearer the very
// token that it gives up. With a token ends its session: all tokens that stem from the same authentication (section 2.1).
// What is not a current token of the client is answered like one that was revoked.
func (s *Service) ServeRevoke(w http.ResponseWriter, r *http.Request) {
	const what = askRevocation
	if !s.enter(w, r, what) {
		return
	}
	values, c, fault := tokenForm(r)
	if fault == nil && !c.hasSecret() && (c.secret != "" || c.bearer == "" || c.bearer != values.Get("token")) {
		fault = c.missing()
	}
	if fault != nil {
		s.fail(w, r, what, c, fault)
		return
	}
	id, err := s.revoke(r.Context(), &c, values.Get("token"))
	if err != nil {
		s.fail(w, r, what, c, err)
		return
	}
	if id != "" {
		s.log(r).Info("token revoked", "client_id", c.loggable(), "token_id", id)
	}
	writeJSON(w, http.StatusOK, struct{}{})
}

// revoke revokes a token if it is the client's, and gives its id. It is verified only, not decided on: a token that is
// refused now because a role was taken away would count again once the role is granted again.
func (s *Service) revoke(ctx context.Context, c *client, token string) (id string, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.c.Timeout)
	defer cancel()
	owner := ""
	if c.hasSecret() {
		p, _, err := s.authenticate(ctx, limit.Revocation, c)
		if err != nil {
			return "", err
		}
		owner = p.ID
	}
	cred, err := s.verify(ctx, token)
	switch no := sdk.AsDenial(err); {
	case no != nil:
		return "", s.presented(ctx, *c, no.Reason)
	case err != nil:
		return "", fmt.Errorf("verify a token: %w", err)
	}
	told := audit.Event{Name: audit.TokenRevoke, Realm: s.c.Realm, PrincipalID: cred.Principal.ID, Principal: cred.Principal.Name, TokenID: cred.TokenID}
	told = told.Client(c.id, c.hasSecret())
	if c.hasSecret() && owner != cred.Principal.ID { // the client is told nothing, the operator is
		told.Outcome, told.Reason = audit.Refused, "another_principal"
		return "", s.c.Audit.Record(ctx, told)
	}
	session := directory.SessionOf(cred.TokenID)
	switch gone, err := s.c.Directory.IsRevoked(ctx, s.c.Realm, cred.Issuer, session); {
	case err != nil:
		return "", fmt.Errorf("look a token up: %w", err)
	case gone: // whoever has such a token writes no lines with it
		return "", nil
	}
	until := cred.AuthTime.Add(s.c.MaxSession)
	if until.Before(cred.Expires) {
		until = cred.Expires
	}
	err = s.c.Audit.Around(ctx, told, func() error {
		return s.c.Directory.RevokeToken(ctx, s.c.Realm, cred.Issuer, session, until)
	}, nil)
	if err != nil {
		return "", fmt.Errorf("revoke a token: %w", err)
	}
	return cred.TokenID, nil
}

// verify says what a token says; a *sdk.Denial if it is none of the realm's.
func (s *Service) verify(ctx context.Context, token string) (sdk.Credential, error) {
	if !isToken(token) {
		return sdk.Credential{}, sdk.Deny("token_malformed", "no token looks like it")
	}
	return s.c.Plan.Verify(ctx, sdk.Request{Scheme: "bearer", Token: token})
}
