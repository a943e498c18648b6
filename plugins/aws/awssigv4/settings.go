package awssigv4

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/realmgate/realmgate/plugins/aws/awssig"
	"github.com/realmgate/realmgate/plugins/aws/internal/ascii"
	"github.com/realmgate/realmgate/sdk"
)

// Settings of the provider.
type Settings struct {
	Region               string       `json:"region" doc:"the region that callers sign for, e.g. us-east-1"`
	Service              string       `json:"service" doc:"the service that callers sign for (their signing name), e.g. execute-api. For s3, s3express and s3-* the path is signed as it is on the wire, for others escaped once more"`
	ClockSkew            sdk.Duration `json:"clock_skew" default:"PT5M" doc:"how old a signature may be, and how far in the future; between PT1S and PT15M. A request can be replayed for that long, unless replay_cache is set"`
	RequireContentSHA256 bool         `json:"require_content_sha256" default:"true" doc:"refuse requests without the header x-amz-content-sha256. Without it, a request that has none counts as one without a body, and the service behind has to refuse a body"`
	UnsignedPayload      bool         `json:"unsigned_payload" default:"false" doc:"accept requests whose body is not signed as a whole: UNSIGNED-PAYLOAD and the STREAMING forms. Whoever stands between can change such a body"`
	NormalizePath        bool         `json:"normalize_path" default:"false" doc:"resolve dot segments and repeated slashes of a path before it is verified, as some clients do before they sign. Without it the path is verified as it is. Not for s3"`
	Presigned            bool         `json:"presigned" default:"false" doc:"accept presigned URLs: whoever has one may use it, as often as they like, until it expires"`
	MaxExpires           sdk.Duration `json:"max_expires" default:"PT15M" doc:"the longest life of a presigned URL, at most P7D"`
	ReplayCache          int          `json:"replay_cache,omitempty" doc:"how many signatures of the last clock_skew to remember, per plugin process, in order to refuse a second use (presigned URLs excepted); while there are more, decisions are unavailable. None without it"`
	Roles                []string     `json:"roles,omitempty" doc:"roles that every identity asks for, before the principal roles mapper; all that are granted (PRINCIPAL_ROLE:ALL) without it"`
}

const (
	minSkew    = time.Second
	maxSkew    = 15 * time.Minute
	maxExpires = 7 * 24 * time.Hour
	maxReplay  = 10_000_000
)

func (s *Settings) check() error {
	var faults []error
	fault := func(text, at string) { faults = append(faults, sdk.At(errors.New(text), at)) }
	if !isName(s.Region) {
		fault("a region is needed: letters in lower case, digits and -", "region")
	}
	if !isName(s.Service) {
		fault("a service is needed: letters in lower case, digits and -", "service")
	}
	if d := s.ClockSkew.Std(); d < minSkew || d > maxSkew {
		fault("the clock skew lies between PT1S and PT15M", "clock_skew")
	}
	if s.NormalizePath && awssig.EscapesOnce(s.Service) {
		fault("paths of "+s.Service+" are never normalized", "normalize_path")
	}
	if d := s.MaxExpires.Std(); d < time.Second || d > maxExpires {
		fault("a presigned URL lives between PT1S and P7D", "max_expires")
	}
	if s.ReplayCache < 0 || s.ReplayCache > maxReplay {
		fault("between 0 and 10000000 signatures can be remembered", "replay_cache")
	}
	if slices.Contains(s.Roles, "") {
		fault("no role may be empty", "roles")
	}
	return errors.Join(faults...)
}

func isName(s string) bool {
	return ascii.Consists(s, 64, "-") && s == strings.ToLower(s)
}

func (s *Settings) rules() awssig.Rules {
	return awssig.Rules{EscapeOnce: awssig.EscapesOnce(s.Service), Normalize: s.NormalizePath}
}
