package transit

import (
	"errors"
	"regexp"
	"time"

	"github.com/realmgate/realmgate/plugins/vault/client"
	"github.com/realmgate/realmgate/plugins/vault/login"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/verified"
)

// Settings are those of [Broker].
type Settings struct {
	client.Server
	login.Choice
	Mount          string             `json:"mount" default:"transit" doc:"where the transit engine is mounted"`
	Key            string             `json:"key" doc:"name of the key there, of the type rsa-2048, rsa-3072, rsa-4096, ecdsa-p256, ecdsa-p384 or ed25519, neither derived nor convergent"`
	Algorithm      string             `json:"algorithm,omitempty" doc:"RS256, PS256, ES256, ES384 or EdDSA. Without it the type of the key decides: RS256, ES256 or EdDSA. ES384 has to be asked for, since verifying costs ten times as much"`
	PublishAhead   sdk.Duration       `json:"publish_ahead" default:"PT10M" doc:"how old a version of the key must be to sign, between PT1S and P7D: until then it is published only. The key's first version signs at once"`
	Refresh        sdk.Duration       `json:"refresh" default:"PT1M" doc:"how often the versions of the key are read again, at least PT0.1S, at most half of publish_ahead. A version that min_decryption_version rules out is refused that much later"`
	MaxStale       sdk.Duration       `json:"max_stale" default:"PT1H" doc:"for how long tokens are verified with the versions that are known while the server does not answer; after that the realm is unavailable. At least refresh. A key that the server no longer has is given up at once"`
	VerifiedTokens *verified.Settings `json:"verified_tokens,omitempty" doc:"what is remembered of tokens whose signature was good; everything else about a token is checked each time"`
	MaxGeneration  sdk.Duration       `json:"max_token_generation" default:"PT1H" doc:"longest life of a token, between PT1M and P30D"`
}

const (
	minAhead   = time.Second
	maxAhead   = 7 * 24 * time.Hour
	minRefresh = 100 * time.Millisecond
)

var keyPattern = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9_.-]*$`)

func (s *Settings) check() error {
	var faults []error
	fault := func(text, at string) { faults = append(faults, sdk.At(errors.New(text), at)) }
	if !client.IsMount(s.Mount) {
		fault("it is not where an engine is mounted: names with slashes in between", "mount")
	}
	if !keyPattern.MatchString(s.Key) {
		fault("it is not the name of a key", "key")
	}
	if s.Algorithm != "" && algorithms[s.Algorithm].method == nil {
		fault("there are RS256, PS256, ES256, ES384 and EdDSA", "algorithm")
	}
	if d := s.PublishAhead.Std(); d < minAhead || d > maxAhead {
		fault("it lies between PT1S and P7D", "publish_ahead")
	}
	if d := s.Refresh.Std(); d < minRefresh || d > s.PublishAhead.Std()/2 {
		fault("it is at least PT0.1S, and at most half of publish_ahead: a version must be known everywhere before it signs", "refresh")
	}
	if s.MaxStale.Std() < s.Refresh.Std() {
		fault("it is at least refresh", "max_stale")
	}
	return errors.Join(faults...)
}
