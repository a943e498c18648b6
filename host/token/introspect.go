package token

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/host/limit"
	"github.com/realmgate/realmgate/host/pipeline"
)

// introspection says what RFC 7662 section 2.2 lets a server say of a token. The zero value is an inactive one, of which
// nothing else is said.
type introspection struct {
	Active    bool     `json:"active"`
	Scope     string   `json:"scope,omitempty"`
	ClientID  string   `json:"client_id,omitempty"`
	Username  string   `json:"username,omitempty"`
	TokenType string   `json:"token_type,omitempty"`
	Expires   int64    `json:"exp,omitempty"`
	IssuedAt  int64    `json:"iat,omitempty"`
	Subject   string   `json:"sub,omitempty"`
	Audience  []string `json:"aud,omitempty"`
	Issuer    string   `json:"iss,omitempty"`
	TokenID   string   `json:"jti,omitempty"`
}

// ServeIntrospect is the introspection endpoint (RFC 7662) for clients of the realm, which authenticate with their secret.
// Only tokens that the realm issued are active, and only those that the check door lets in.
func (s *Service) ServeIntrospect(w http.ResponseWriter, r *http.Request) {
	const what = askIntrospection
	if !s.enter(w, r, what) {
		return
	}
	values, c, fault := tokenForm(r)
	if fault == nil && !c.hasSecret() {
		fault = c.missing()
	}
	if fault != nil {
		s.fail(w, r, what, c, fault)
		return
	}
	out, err := s.introspect(r.Context(), &c, values.Get("token"))
	if err != nil {
		s.fail(w, r, what, c, err)
		return
	}
	s.log(r).Debug("token introspected", "client_id", c.loggable(), "active", out.Active, "token_id", out.TokenID)
	writeJSON(w, http.StatusOK, out)
}

func (s *Service) introspect(ctx context.Context, c *client, token string) (introspection, error) {
	ctx, cancel := context.WithTimeout(ctx, s.c.Timeout)
	defer cancel()
	if _, _, err := s.authenticate(ctx, limit.Introspection, c); err != nil {
		return introspection{}, err
	}
	d, err := s.decide(ctx, token)
	if err != nil || d.Verdict != pipeline.Allowed {
		return introspection{}, err
	}
	p, err := s.c.Directory.GetPrincipalByID(ctx, s.c.Realm, d.Principal.ID)
	if errors.Is(err, directory.ErrNotFound) { // deleted just now
		return introspection{}, nil
	}
	if err != nil {
		return introspection{}, fmt.Errorf("find the principal of a token: %w", err)
	}
	cred := d.Credential
	out := introspection{
		Active: true, Scope: strings.Join(cred.RequestedRoles, " "), ClientID: p.ClientID, Username: p.Name, TokenType: "Bearer",
		Expires: cred.Expires.Unix(), Subject: p.ID, Audience: cred.Audience, Issuer: cred.Issuer, TokenID: cred.TokenID,
	}
	if !cred.IssuedAt.IsZero() {
		out.IssuedAt = cred.IssuedAt.Unix()
	}
	return out, nil
}
