package identity

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/realmgate/realmgate/plugins/vault/client"
	"github.com/realmgate/realmgate/plugins/vault/login"
	"github.com/realmgate/realmgate/sdk"
)

// Settings are those of [Provider].
type Settings struct {
	client.Server
	login.Choice
	Issuer            string        `json:"issuer,omitempty" doc:"issuer of all identities; the address without it"`
	Policies          []string      `json:"policies,omitempty" doc:"accepted policies; a token must have one of them, its own or its entity's. Without it every token of the server may enter"`
	AuthPaths         []string      `json:"auth_paths,omitempty" doc:"where a token may come from, as in its path: auth/kubernetes/login/, or auth/oidc/ for all below. Without it, tokens of every login are accepted"`
	RequireEntity     bool          `json:"require_entity" default:"true" doc:"refuse tokens without an entity, which say nothing of who has them. Without it the display name is the subject of such a token: whoever may create tokens chooses it, and callers of two mounts may have the same. Map entity_id or entity_name to principals, not display_name"`
	AllowRoot         bool          `json:"allow_root" default:"false" doc:"accept tokens with the policy root, which are for emergencies and not for services"`
	RoleClaimPath     sdk.ClaimPath `json:"role_claim_path" default:"policies" doc:"path in the claims to the roles: a list of strings, or a string that is split at white space"`
	MaxAge            sdk.Duration  `json:"max_age" default:"PT30S" doc:"for how long an answer is remembered, at most PT10M, and never beyond the token's end; PT0S asks every time. That a token is not valid is remembered for PT10S at most"`
	RequestsPerSecond int           `json:"requests_per_second" default:"50" doc:"how many tokens to ask about at most, on average; half of it is for tokens that were good before. Beyond it decisions are unavailable"`
}

const (
	maxMaxAge = 10 * time.Minute
	maxRate   = 100_000
)

func (s *Settings) check() error {
	var faults []error
	fault := func(text string, at ...any) { faults = append(faults, sdk.At(errors.New(text), at...)) }
	if slices.Contains(s.Policies, "") {
		fault("no policy may be empty", "policies")
	}
	for i, p := range s.AuthPaths {
		if !strings.HasPrefix(p, "auth/") || p == "auth/" {
			fault("a path begins with auth/ and names a mount", "auth_paths", i)
		}
	}
	if s.MaxAge.Std() > maxMaxAge {
		fault("an answer is remembered for at most PT10M: a token that is revoked would be accepted for as long", "max_age")
	}
	if s.RequestsPerSecond < 2 || s.RequestsPerSecond > maxRate {
		fault("between 2 and 100000 requests per second are possible", "requests_per_second")
	}
	return errors.Join(faults...)
}
