package oidc

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/realmgate/realmgate/plugins/default/foreign"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/verified"
)

// Settings of the provider.
type Settings struct {
	Issuer          string             `json:"issuer" doc:"the iss claim, exactly; https unless the host is loopback. Metadata is fetched below it"`
	Audience        []string           `json:"audience" doc:"accepted audiences; a token must have one of them in its aud claim"`
	RoleClaimPath   sdk.ClaimPath      `json:"role_claim_path,omitempty" doc:"path of the claim with the roles: a list of strings, or a string that is split at white space"`
	Algorithms      []string           `json:"algorithms,omitempty" doc:"accepted signature algorithms; RS256, PS256, ES256 and EdDSA without it"`
	TokenTypes      []string           `json:"token_types,omitempty" doc:"accepted typ headers, an empty string for none; at+jwt, JWT and none without it"`
	AuthorizedParty []string           `json:"authorized_party,omitempty" doc:"accepted clients: the azp claim, or client_id where there is none; every client without it"`
	ClockSkew       sdk.Duration       `json:"clock_skew" default:"PT30S" doc:"by how much the clocks may differ, at most PT5M"`
	RequireExpiry   bool               `json:"require_expiry" default:"true" doc:"refuse tokens without an exp claim"`
	DiscoveryURL    string             `json:"discovery_url,omitempty" doc:"where the provider's metadata is, if not at <issuer>/.well-known/openid-configuration"`
	JWKSURI         string             `json:"jwks_uri,omitempty" doc:"where the provider's keys are; no metadata is fetched then. Needed where the metadata name a place that is neither the issuer's nor discovery_url's host"`
	RefreshInterval sdk.Duration       `json:"refresh_interval" default:"PT15M" doc:"how often keys are fetched again"`
	MaxStale        sdk.Duration       `json:"max_stale" default:"PT24H" doc:"for how long keys serve while the provider is down"`
	VerifiedTokens  *verified.Settings `json:"verified_tokens,omitempty" doc:"what is remembered of tokens whose signature was good; everything else about a token is checked each time"`
	CAFile          string             `json:"ca_file,omitempty" doc:"PEM file of certificate authorities to trust beside the system's"`
}

const (
	maxSkew    = 5 * time.Minute
	minRefresh = 10 * time.Second
)

var (
	knownAlgorithms   = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
	defaultAlgorithms = []string{"RS256", "PS256", "ES256", "EdDSA"}
	defaultTypes      = []string{"at+jwt", "JWT", ""}
)

// complete fills in what is left out and checks the rest.
func (s *Settings) complete() error {
	var faults []error
	fault := func(err error, at ...any) { faults = append(faults, sdk.At(err, at...)) }
	fault(foreign.CheckURL(s.Issuer), "issuer")
	for key, u := range map[string]string{"discovery_url": s.DiscoveryURL, "jwks_uri": s.JWKSURI} {
		if u != "" {
			fault(checkFetched(u, s.Issuer), key)
		}
	}
	if len(s.Audience) == 0 || slices.Contains(s.Audience, "") {
		fault(errors.New("at least one audience is needed, and none may be empty: a token for anyone else would be accepted"), "audience")
	}
	if len(s.Algorithms) == 0 {
		s.Algorithms = defaultAlgorithms
	}
	for i, a := range s.Algorithms {
		if !slices.Contains(knownAlgorithms, a) {
			fault(fmt.Errorf("%q is not an asymmetric signature algorithm; there are %s", a, strings.Join(knownAlgorithms, ", ")), "algorithms", i)
		}
	}
	if len(s.TokenTypes) == 0 {
		s.TokenTypes = defaultTypes
	}
	if s.ClockSkew.Std() > maxSkew {
		fault(errors.New("the clock skew is at most PT5M"), "clock_skew")
	}
	if s.RefreshInterval.Std() < minRefresh {
		fault(fmt.Errorf("keys are fetched every %v at most", minRefresh), "refresh_interval")
	}
	if s.MaxStale < s.RefreshInterval {
		fault(errors.New("max_stale is at least refresh_interval"), "max_stale")
	}
	return errors.Join(faults...)
}

// checkFetched is foreign.CheckURL for a place that is fetched: it may have a query, and http is for a provider whose issuer is
// this machine as well.
func checkFetched(text, issuer string) error {
	bare, _, _ := strings.Cut(text, "?")
	if err := foreign.CheckURL(bare); err != nil {
		return err
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return err
	case u.Fragment != "":
		return errors.New("the URL must not have a fragment")
	case u.Scheme == "https":
		return nil
	}
	if i, err := url.Parse(issuer); err != nil || !foreign.IsLoopback(i.Hostname()) {
		return fmt.Errorf("%s: https is needed, since the issuer is not this machine itself", u.Redacted())
	}
	return nil
}
