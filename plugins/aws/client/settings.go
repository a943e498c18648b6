package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/breaker"
	"github.com/realmgate/realmgate/sdk/egress"
)

// Settings are those of every part that asks a service of AWS.
type Settings struct {
	Timeout sdk.Duration `json:"timeout" default:"PT10S" doc:"how long a question to the service may take with its one repetition, at most PT1M"`
	CAFile  string       `json:"ca_file,omitempty" doc:"PEM file of certificate authorities to trust beside the system's"`
	// Deny is a pointer to tell an empty list, which turns it off, from none.
	Deny *[]string `json:"deny_addresses,omitempty" doc:"addresses and prefixes that are not connected to, whatever a name resolves to; without it, link-local ones and those of the clouds' metadata services. [] allows all"`
}

// Endpoint is where a service is asked: at a URL, or where the SDK knows it to be. Each part has keys of its own for it.
type Endpoint struct {
	URL, URLKey string
	FIPS        bool
	FIPSKey     string
}

const (
	minTimeout = 100 * time.Millisecond
	maxTimeout = time.Minute
	// maxAnswer bounds what is read of an answer; the largest are secrets of 64 KiB in JSON.
	maxAnswer = 1 << 20
)

// Client builds the HTTP client of a part, by whose type its breakers are counted. Faults name the key. The context is that of a
// constructor.
func (s *Settings) Client(ctx context.Context, part string, e Endpoint) (*http.Client, error) {
	var faults []error
	deny := egress.Default()
	if s.Deny != nil {
		var err error
		deny, err = egress.Parse(*s.Deny)
		faults = append(faults, sdk.At(err, "deny_addresses"))
	}
	if e.URL != "" {
		faults = append(faults, sdk.At(checkEndpoint(e.URL, deny), e.URLKey))
	}
	if e.FIPS && e.URL != "" {
		faults = append(faults, sdk.At(errors.New("an endpoint of your own is as it is: leave out one of the two"), e.FIPSKey))
	}
	if d := s.Timeout.Std(); d < minTimeout || d > maxTimeout {
		faults = append(faults, sdk.At(errors.New("the time-out lies between 100ms and PT1M"), "timeout"))
	}
	roots, err := egress.Authorities(s.CAFile)
	faults = append(faults, sdk.At(err, "ca_file"))
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	// The environment has a proxy only if the operator put it into the plugin's block.
	c := egress.NewClient(egress.Options{Deny: deny, RootCAs: roots, Timeout: s.Timeout.Std(), MaxBody: maxAnswer, EnvironmentProxy: true})
	c.Transport = breaker.OutboundOf(ctx).Transport(part, c.Transport, egress.Theirs)
	return c, nil
}

// Base gives the SDK's option.
func (e Endpoint) Base() *string {
	if e.URL == "" {
		return nil
	}
	return aws.String(e.URL)
}

// State gives the SDK's option.
func (e Endpoint) State() aws.FIPSEndpointState {
	if e.FIPS {
		return aws.FIPSEndpointStateEnabled
	}
	return aws.FIPSEndpointStateDisabled
}

// Retryer repeats a question once where that may help: a caller waits for the answer.
func Retryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts, o.MaxBackoff = 2, 500*time.Millisecond
		o.Retryables = append([]retry.IsErrorRetryable{retry.IsErrorRetryableFunc(notLeftAlone)}, o.Retryables...)
	})
}

// notLeftAlone has nobody wait for a second try where there was no first one.
func notLeftAlone(err error) aws.Ternary {
	if errors.Is(err, breaker.ErrOpen) {
		return aws.FalseTernary
	}
	return aws.UnknownTernary
}

func checkEndpoint(text string, deny egress.List) error {
	u, err := url.Parse(text)
	if err != nil {
		return errors.New("it is not a URL")
	}
	if err := deny.CheckURL(u); err != nil {
		return err
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return errors.New("the URL must not have a query or a fragment")
	}
	return egress.CheckSecret(u)
}
