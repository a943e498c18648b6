package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/realmgate/realmgate/sdk"
)

// maxRoles bounds the roles of an answer; they travel in one header.
const maxRoles = 1024

// check is what the host makes sure of itself, whatever the plugins answered. A fault of the presented credential is a
// denial; an answer that no honest plugin gives makes the decision unavailable.
func (p *Plan) check(ctx context.Context, s *sdk.State, src sdk.Source) error {
	switch {
	case s.Credential == nil:
		return errors.New("the plan ended without a credential")
	case s.Principal == nil:
		return errors.New("the plan ended without a principal")
	case s.Active == nil:
		return errors.New("the plan ended without active roles")
	}
	if s.Request.Token != "" && s.Credential.TokenID == s.Request.Token {
		return errors.New("a plugin gave the token itself as the token's id, which is logged")
	}
	if err := p.checkCredential(*s.Credential, src); err != nil {
		return err
	}
	if err := p.checkPrincipal(*s.Principal); err != nil {
		return err
	}
	if err := checkRoles(s.Principal.Roles, s.Active); err != nil {
		return err
	}
	return p.c.Standing.CheckStanding(ctx, *s.Credential, *s.Principal)
}

func (p *Plan) checkCredential(c sdk.Credential, src sdk.Source) error {
	switch {
	case c.Source != src:
		return fmt.Errorf("a plugin answered the %v route with a credential of source %v", src, c.Source)
	case c.Realm != p.c.Realm:
		return sdk.Deny("realm_mismatch", "the credential belongs to another realm")
	case c.Expires.Year() > 9999: // RFC 3339 ends there
		return errors.New("a plugin answered with a credential that expires beyond the year 9999")
	}
	if src == sdk.SourceInternal {
		switch {
		case c.Issuer != p.c.Issuer:
			return sdk.Deny("issuer_mismatch", "the credential was issued by another issuer")
		case !slices.ContainsFunc(c.Audience, func(a string) bool { return slices.Contains(p.c.Audience, a) }):
			return sdk.Deny("audience_mismatch", "the credential is meant for another audience")
		case c.Expires.IsZero():
			return errors.New("the token broker answered with a credential that never expires")
		case c.TokenID == "":
			return errors.New("the token broker answered with a credential that has no token id and so cannot be revoked")
		}
	}
	if !c.Expires.IsZero() && !p.c.Now().Before(c.Expires) {
		return sdk.Deny("token_expired", "the credential has expired")
	}
	return nil
}

func (p *Plan) checkPrincipal(pr sdk.Principal) error {
	switch {
	case pr.Realm != p.c.Realm:
		return errors.New("the authenticator answered with a principal of another realm")
	case pr.ID == "" && pr.Name == "":
		return errors.New("the authenticator answered with a principal that has neither id nor name")
	case !pr.Enabled:
		return sdk.Forbid("principal_disabled", "the principal is disabled")
	}
	return nil
}

func checkRoles(granted, active []string) error {
	if len(active) > maxRoles {
		return fmt.Errorf("the active-roles provider activated %d roles, more than %d", len(active), maxRoles)
	}
	has := make(map[string]bool, len(granted))
	for _, r := range granted {
		has[r] = true
	}
	for _, r := range active {
		if !has[r] {
			return fmt.Errorf("the active-roles provider activated %q, which is not granted", r)
		}
	}
	return nil
}
