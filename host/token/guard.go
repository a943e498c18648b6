package token

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/host/limit"
	"github.com/realmgate/realmgate/sdk"
)

// Guard stands before the endpoints; *limit.Guard is one. What it refuses is a *limit.Refusal.
type Guard interface {
	// Admit counts a request at an endpoint.
	Admit(ctx context.Context, at limit.Endpoint) error
	// Authenticate is Directory.Authenticate for clients that need not wait.
	Authenticate(ctx context.Context, at limit.Endpoint, clientID, secret string) (p directory.Principal, version string, err error)
	// Spend counts a request of a client that authenticated with a token.
	Spend(ctx context.Context, at limit.Endpoint, clientID string) error
	// Forged counts a token that the realm never issued; its error says that whoever presents it has to wait.
	Forged(ctx context.Context) error
	// Knows says whether the realm has the client, so that its id may be shown to an operator.
	Knows(ctx context.Context, clientID string) bool
}

// unguarded lets everybody in.
type unguarded struct{ c *Config }

func (unguarded) Admit(context.Context, limit.Endpoint) error { return nil }

func (unguarded) Spend(context.Context, limit.Endpoint, string) error { return nil }

func (unguarded) Forged(context.Context) error { return nil }

func (u unguarded) Authenticate(ctx context.Context, _ limit.Endpoint, clientID, secret string) (directory.Principal, string, error) {
	return u.c.Directory.Authenticate(ctx, u.c.Realm, clientID, secret)
}

func (unguarded) Knows(context.Context, string) bool { return false }

// What an endpoint is asked for, as the log calls it, and as the audit log does.
const (
	askToken         = "token"
	askExchange      = "token exchange"
	askRevocation    = "revocation"
	askIntrospection = "introspection"
)

var events = map[string]string{
	askToken: audit.TokenIssue, askExchange: audit.TokenExchange, askRevocation: audit.TokenRevoke, askIntrospection: audit.TokenIntrospect,
}

// endpoints are those that the guard counts for themselves; all others are limit.Token.
var endpoints = map[string]limit.Endpoint{askRevocation: limit.Revocation, askIntrospection: limit.Introspection}

// forged are the reasons with which a token is refused that the realm never issued. Anybody can make such a token, whereas
// one that has expired, or was revoked, was somebody's.
var forged = map[string]bool{
	"token_malformed": true, "token_not_recognised": true, sdk.ReasonNotMine: true, "key_unknown": true, "signature_invalid": true,
	"algorithm_not_allowed": true, "type_not_allowed": true,
}

// presented counts a token that was refused, unless a client with a secret answers for it. The error says that whoever
// presents such tokens has to wait.
func (s *Service) presented(ctx context.Context, c client, reason string) error {
	if c.authenticated || !forged[reason] {
		return nil
	}
	return s.c.Guard.Forged(ctx)
}

// enter lets a request in, or answers it.
func (s *Service) enter(w http.ResponseWriter, r *http.Request, what string) bool {
	if !isPost(w, r) {
		return false
	}
	if err := s.c.Guard.Admit(r.Context(), endpoints[what]); err != nil {
		s.fail(w, r, what, client{}, err)
		return false
	}
	return true
}

// limited answers a request that comes too early (RFC 6585 section 4). RFC 6749 has no code for it, and a client must not
// take it for a word on its secret; so there is none, as with what is unavailable.
func (s *Service) limited(w http.ResponseWriter, r *http.Request, e audit.Event, refusal *limit.Refusal) {
	e.Outcome, e.Reason = audit.Limited, refusal.Reason
	if refusal.First {
		s.log(r).Warn("too many requests", "client_id", e.ClientID, "client_hash", e.ClientHash, "reason", refusal.Reason, "retry_after", refusal.RetryAfter)
	}
	if s.c.Audit.Tally(r.Context(), e) != nil {
		WriteUnavailable(w, r)
		return
	}
	w.Header().Set("Retry-After", strconv.Itoa(refusal.Seconds()))
	writeJSON(w, http.StatusTooManyRequests, map[string]string{"reason": "too_many_requests", "request_id": sdk.RequestID(r.Context())})
}

// toldIssued gives the audit line of a token.
func (s *Service) toldIssued(what string, out issued) audit.Event {
	return audit.Event{
		Name: events[what], Outcome: audit.Done, Realm: s.c.Realm, ClientID: out.clientID, PrincipalID: out.principal.ID, Principal: out.principal.Name,
		TokenID: out.token.ID, Scope: strings.Join(out.scope, " "),
	}
}
