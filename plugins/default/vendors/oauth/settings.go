package oauth

import (
	"errors"
	"time"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/egress"
)

// Settings of the vendor.
type Settings struct {
	AuthMethod    string       `json:"auth_method" default:"basic" doc:"how a connection's client says who it is: basic (HTTP Basic) or post (client_id and client_secret in the form)"`
	Timeout       sdk.Duration `json:"timeout" default:"PT10S" doc:"how long to wait for a token endpoint, at most PT1M"`
	RefreshBefore sdk.Duration `json:"refresh_before" default:"PT1M" doc:"how long before its end a token is renewed, a quarter of its life at most; until then the former one serves"`
	AllowHTTP     bool         `json:"allow_http" default:"false" doc:"send secrets and tokens over plain http too, where whoever listens can use them; http to this machine itself is always allowed"`
	DenyAddresses *[]string    `json:"deny_addresses,omitempty" doc:"addresses and prefixes that a token endpoint must not have; without it, link-local addresses and those of the clouds' metadata services. An empty list allows all. The list of the block connections is another one"`
	CAFile        string       `json:"ca_file,omitempty" doc:"PEM file of certificate authorities to trust beside the system's"`
	MaxTokens     int          `json:"max_tokens" default:"10000" doc:"how many tokens are kept; the longest unused one gives way"`
}

const (
	methodBasic = "basic"
	methodPost  = "post"

	minTimeout   = 10 * time.Millisecond
	maxTimeout   = time.Minute
	maxRefresh   = time.Hour
	maxMaxTokens = 1_000_000
)

// options checks the settings and gives those of the HTTP client.
func (s *Settings) options() (egress.Options, error) {
	var faults []error
	fault := func(text, at string) { faults = append(faults, sdk.At(errors.New(text), at)) }
	if s.AuthMethod != methodBasic && s.AuthMethod != methodPost {
		fault("there are the methods basic and post", "auth_method")
	}
	if d := s.Timeout.Std(); d < minTimeout || d > maxTimeout {
		fault("the time-out lies between 10ms and PT1M", "timeout")
	}
	if d := s.RefreshBefore.Std(); d < 0 || d > maxRefresh {
		fault("a token is renewed at most PT1H before its end", "refresh_before")
	}
	if s.MaxTokens < 1 || s.MaxTokens > maxMaxTokens {
		fault("between 1 and 1000000 tokens can be kept", "max_tokens")
	}
	deny := egress.Default()
	if s.DenyAddresses != nil {
		var err error
		deny, err = egress.Parse(*s.DenyAddresses)
		faults = append(faults, sdk.At(err, "deny_addresses"))
	}
	roots, err := egress.Authorities(s.CAFile)
	faults = append(faults, sdk.At(err, "ca_file"))
	return egress.Options{Deny: deny, RootCAs: roots, Timeout: s.Timeout.Std()}, errors.Join(faults...)
}
