package introspection

import (
	"errors"
	"slices"
	"time"

	"github.com/realmgate/realmgate/plugins/default/foreign"
	"github.com/realmgate/realmgate/sdk"
)

// Settings of the provider.
type Settings struct {
	Endpoint          string        `json:"endpoint" doc:"introspection endpoint of the foreign provider; https unless the host is loopback. Redirects are not followed"`
	ClientID          string        `json:"client_id" doc:"client that may introspect there"`
	ClientSecret      sdk.SecretRef `json:"client_secret" doc:"reference to that client's secret"`
	AuthMethod        string        `json:"auth_method" default:"basic" doc:"how the client says who it is: basic (HTTP Basic) or post (in the form)"`
	Issuer            string        `json:"issuer,omitempty" doc:"the iss that an answer must have, if it has one; issuer of all identities"`
	Audience          []string      `json:"audience,omitempty" doc:"accepted audiences; a token must have one of them in its aud. Required unless require_audience is false"`
	RequireAudience   bool          `json:"require_audience" default:"true" doc:"refuse tokens without an aud. Without it, tokens for anyone may be accepted"`
	AuthorizedParty   []string      `json:"authorized_party,omitempty" doc:"accepted clients: azp, or client_id where there is none; every client without it"`
	RoleClaimPath     sdk.ClaimPath `json:"role_claim_path,omitempty" doc:"path in the answer to the roles: a list of strings, or a string that is split at white space"`
	ClockSkew         sdk.Duration  `json:"clock_skew" default:"PT30S" doc:"by how much the clocks may differ, at most PT5M"`
	MaxAge            sdk.Duration  `json:"max_age" default:"PT30S" doc:"for how long an answer is remembered, at most PT1H, and never beyond the token's expiry; PT0S asks every time. That a token is not active is remembered for PT10S at most"`
	Timeout           sdk.Duration  `json:"timeout" default:"PT3S" doc:"how long to wait for an answer, at most PT30S"`
	RequestsPerSecond int           `json:"requests_per_second" default:"50" doc:"how many requests to send at most, on average; twice as many at once. Beyond it decisions are unavailable. At most half of it goes to tokens that turn out not to be good, a quarter to those of one peer, so that they do not use it up for tokens that are"`
	CAFile            string        `json:"ca_file,omitempty" doc:"PEM file of certificate authorities to trust beside the system's"`
}

const (
	methodBasic = "basic"
	methodPost  = "post"

	maxSkew    = 5 * time.Minute
	maxMaxAge  = time.Hour
	minTimeout = 10 * time.Millisecond
	maxTimeout = 30 * time.Second
	maxRate    = 100_000
)

func (s *Settings) check() error {
	var faults []error
	fault := func(text, at string) { faults = append(faults, sdk.At(errors.New(text), at)) }
	faults = append(faults, sdk.At(foreign.CheckURL(s.Endpoint), "endpoint"))
	if s.ClientID == "" {
		fault("a client id is needed", "client_id")
	}
	if s.AuthMethod != methodBasic && s.AuthMethod != methodPost {
		fault("there are the methods basic and post", "auth_method")
	}
	switch {
	case s.RequireAudience && len(s.Audience) == 0:
		fault("at least one audience is needed: a token for anyone else would be accepted. If the provider's answers have none, set require_audience = false", "audience")
	case slices.Contains(s.Audience, ""):
		fault("no audience may be empty", "audience")
	}
	if s.ClockSkew.Std() > maxSkew {
		fault("the clock skew is at most PT5M", "clock_skew")
	}
	if s.MaxAge.Std() > maxMaxAge {
		fault("an answer is remembered for at most PT1H: a token that is revoked would be accepted for as long", "max_age")
	}
	if d := s.Timeout.Std(); d < minTimeout || d > maxTimeout {
		fault("the time-out lies between 10ms and PT30S", "timeout")
	}
	if s.RequestsPerSecond < 1 || s.RequestsPerSecond > maxRate {
		fault("between 1 and 100000 requests per second are possible", "requests_per_second")
	}
	return errors.Join(faults...)
}
