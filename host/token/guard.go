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
	// Admit counts a request.
	Admit(ctx context.Context) error
	// Authenticate is Directory.Authenticate for clients that need not wait.
	Authenticate(ctx context.Context, clientID, secret string) (p directory.Principal, version string, err error)
	// Knows says whether the realm has the client, so that its id may be shown to an operator.
	Knows(ctx context.Context, clientID string) bool
}

// unguarded lets everybody in.
type unguarded struct{ c *Config }

func (unguarded) Admit(context.Context) error { return nil }

func (u unguarded) Authenticate(ctx context.Context, clientID, secret string) (directory.Principal, string, error) {
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

// enter lets a request in, or answers it.
func (s *Service) enter(w http.ResponseWriter, r *http.Request, what string) bool {
	if !isPost(w, r) {
		return false
	}
	if err := s.c.Guard.Admit(r.Context()); err != nil {
		s.fail(w, r, what, client{}, err)
		return false
	}
	return true
}

// limited answers a request that comes too early (RFC 6585 section 4). RFC 6749 has no code for it, and a client must not
// take it for a word on its secret; so there is none, as with what is unavailable. One line tells of a whole flood.
func (s *Service) limited(w http.ResponseWriter, r *http.Request, e audit.Event, refusal *limit.Refusal) {
	e.Outcome, e.Reason = audit.Limited, refusal.Reason
	if refusal.First {
		s.log(r).Warn("too many requests", "client_id", e.ClientID, "client_hash", e.ClientHash, "reason", refusal.Reason, "retry_after", refusal.RetryAfter)
		if s.c.Audit.Record(r.Context(), e) != nil {
			WriteUnavailable(w, r)
			return
		}
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
