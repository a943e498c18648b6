package sigv4

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/realmgate/realmgate/plugins/aws/client"
	"github.com/realmgate/realmgate/sdk"
)

// part is what the breakers are counted by.
const part = "sigv4"

// Settings of the vendor.
type Settings struct {
	client.Settings
	STSEndpoint    string       `json:"sts_endpoint,omitempty" doc:"URL of the STS to ask, for a VPC endpoint or what is not AWS itself; https unless the host is loopback. Without it, the region's"`
	STSRegion      string       `json:"sts_region,omitempty" doc:"region whose STS is asked; without it, the connection's signing region"`
	STSFIPS        bool         `json:"sts_fips" default:"false" doc:"ask the STS endpoints that FIPS 140 demands; not together with sts_endpoint"`
	Duration       sdk.Duration `json:"duration" default:"PT1H" doc:"life of a session, PT15M to PT12H; the role must allow it"`
	ExpiryWindow   sdk.Duration `json:"expiry_window" default:"PT5M" doc:"how long before its end a session is renewed; until then the former one serves if STS does not answer. Less than half of duration"`
	SessionName    string       `json:"session_name" default:"realmgate-{realm}-{caller}" doc:"name of sessions whose connection has no roleSessionName; {realm}, {connection} and {caller} (the principal's name) are filled in. With several of them in it, or where something has to be changed, it ends in a hash of their values, so that no two callers have one name. Callers share a session if it is the same"`
	SessionTags    []string     `json:"session_tags,omitempty" doc:"session tags to set, of realm, connection and principal: RealmgateRealm and so on. The role's trust policy must allow sts:TagSession"`
	SourceIdentity bool         `json:"source_identity" default:"false" doc:"set the session's source identity to the caller's name. The role's trust policy must allow sts:SetSourceIdentity"`
	MaxSessions    int          `json:"max_sessions" default:"10000" doc:"how many sessions are remembered; the longest unused one gives way"`
}

const (
	minDuration    = 15 * time.Minute
	maxDuration    = 12 * time.Hour
	maxMaxSessions = 1_000_000
)

var placeholders = []string{"{realm}", "{connection}", "{caller}"}

func (s *Settings) endpoint() client.Endpoint {
	return client.Endpoint{URL: s.STSEndpoint, URLKey: "sts_endpoint", FIPS: s.STSFIPS, FIPSKey: "sts_fips"}
}

func (s *Settings) check() error {
	var faults []error
	fault := func(text, at string) { faults = append(faults, sdk.At(errors.New(text), at)) }
	if s.STSRegion != "" && !regionPattern.MatchString(s.STSRegion) {
		fault("it is not the name of a region, e.g. eu-central-1", "sts_region")
	}
	if d := s.Duration.Std(); d < minDuration || d > maxDuration {
		fault("a session lives between PT15M and PT12H", "duration")
	}
	if w := s.ExpiryWindow.Std(); w < time.Second || 2*w >= s.Duration.Std() {
		fault("the window is between PT1S and half of duration", "expiry_window")
	}
	rest := s.SessionName
	for _, p := range placeholders {
		rest = strings.ReplaceAll(rest, p, "")
	}
	if s.SessionName == "" || strings.ContainsFunc(rest, notInName) {
		fault("a session name consists of letters, digits and _+=,.@-, and of {realm}, {connection} and {caller}", "session_name")
	}
	for i, t := range s.SessionTags {
		if _, ok := tagKeys[t]; !ok || slices.Index(s.SessionTags, t) != i {
			faults = append(faults, sdk.At(errors.New("there are the tags realm, connection and principal, each once"), "session_tags", i))
		}
	}
	if s.MaxSessions < 1 || s.MaxSessions > maxMaxSessions {
		fault("between 1 and 1000000 sessions can be remembered", "max_sessions")
	}
	return errors.Join(faults...)
}
