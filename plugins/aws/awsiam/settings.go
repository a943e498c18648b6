package awsiam

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/realmgate/realmgate/plugins/aws/client"
	"github.com/realmgate/realmgate/plugins/aws/internal/ascii"
	"github.com/realmgate/realmgate/sdk"
)

// Settings of the provider.
type Settings struct {
	client.Settings
	Audience          string       `json:"audience" doc:"the audience that a proof has to be for, e.g. the URL of this daemon: the value of a header that callers sign. A proof for anybody else is refused"`
	AudienceHeader    string       `json:"audience_header,omitempty" doc:"the header with the audience; without it each form's own: x-k8s-aws-id and x-vault-aws-iam-server-id"`
	Partitions        []string     `json:"partitions,omitempty" doc:"partitions of AWS whose STS may be asked: aws, aws-us-gov, aws-cn, ...; aws without it"`
	Regions           []string     `json:"regions,omitempty" doc:"regions whose STS may be asked; without it all of the partitions that this version knows. Naming one that it does not know lets it in"`
	Accounts          []string     `json:"accounts,omitempty" doc:"accounts (12 digits) whose identities are accepted; every account without it"`
	STSEndpoint       string       `json:"sts_endpoint,omitempty" doc:"URL of the only STS that is asked, instead of those of AWS: a private endpoint, or another maker's. Callers sign for its host. https unless the host is loopback"`
	Roles             []string     `json:"roles,omitempty" doc:"roles that every identity asks for, before the principal roles mapper; all that are granted (PRINCIPAL_ROLE:ALL) without it"`
	ClockSkew         sdk.Duration `json:"clock_skew" default:"PT1M" doc:"by how much the clocks may differ, at most PT5M"`
	MaxAge            sdk.Duration `json:"max_age" default:"PT15M" doc:"for how long a proof is accepted after it was signed, at most PT15M, as with STS; its answer is remembered for as long"`
	RequestsPerSecond int          `json:"requests_per_second" default:"50" doc:"how many requests to send to STS at most, on average, for keys that were accepted within the hour (a tenth of it for one of them), and as many for all others; twice as many at once. Beyond it decisions are unavailable"`
}

const (
	maxSkew   = 5 * time.Minute
	minMaxAge = time.Second
	maxMaxAge = 15 * time.Minute
	maxRate   = 100_000
	maxValue  = 1024 // of a header, in bytes, unless it is a session token
)

// Audience headers, by the form of the proof.
const (
	k8sAudience   = "x-k8s-aws-id"
	vaultAudience = "x-vault-aws-iam-server-id"
)

func (s *Settings) check() error {
	var faults []error
	fault := func(text string, at ...any) { faults = append(faults, sdk.At(errors.New(text), at...)) }
	switch {
	case s.Audience == "":
		fault("an audience is needed: without it, a proof that somebody gave to another service would be accepted here", "audience")
	case !isValue(s.Audience, maxValue):
		fault("the audience is printable ASCII without spaces around it, 1024 bytes at most", "audience")
	}
	if h := s.AudienceHeader; h != "" && !canBeAudience(h) {
		fault("the audience needs a header of its own in lower case, such as x-k8s-aws-id", "audience_header")
	}
	for i, a := range s.Accounts {
		if !isAccount(a) {
			fault(fmt.Sprintf("%q is not an account: 12 digits", a), "accounts", i)
		}
	}
	if s.STSEndpoint != "" {
		faults = append(faults, sdk.At(checkEndpoint(s.STSEndpoint), "sts_endpoint"))
	}
	if slices.Contains(s.Roles, "") {
		fault("no role may be empty", "roles")
	}
	if s.ClockSkew.Std() > maxSkew {
		fault("the clock skew is at most PT5M", "clock_skew")
	}
	if d := s.MaxAge.Std(); d < minMaxAge || d > maxMaxAge {
		fault("a proof is accepted for between PT1S and PT15M", "max_age")
	}
	if s.RequestsPerSecond < 1 || s.RequestsPerSecond > maxRate {
		fault("between 1 and 100000 requests per second are possible", "requests_per_second")
	}
	return errors.Join(faults...)
}

// canBeAudience refuses headers that mean something else to STS or on the way there.
func canBeAudience(h string) bool {
	return strings.HasPrefix(h, "x-") && !strings.HasPrefix(h, "x-amz-") && !strings.HasPrefix(h, "x-forwarded-") &&
		h == strings.ToLower(h) && ascii.Consists(h, 64, "-")
}

// checkEndpoint looks at what client.Settings does not.
func checkEndpoint(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "":
		return nil // of which client.Settings says it
	case u.Path != "" && u.Path != "/":
		return errors.New("the URL must not have a path")
	case u.Host != strings.ToLower(u.Host):
		return errors.New("the host is written in lower case, as callers sign it")
	}
	return nil
}

func isAccount(s string) bool { return len(s) == 12 && strings.Trim(s, "0123456789") == "" }

// isValue says whether s can be the value of a header: printable ASCII, no space at its ends.
func isValue(s string, limit int) bool {
	if s == "" || len(s) > limit || strings.Trim(s, " ") != s {
		return false
	}
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}
