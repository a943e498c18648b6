package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/realmgate/realmgate/sdk"
)

// wish is a session that is wanted, with everything that it depends on.
type wish struct {
	realm, identity string // identity: ARN of the service identity
	keys            aws.Credentials
	role            role
	roleARN         string
	name            string
	externalID      string
	policy          string
	region          string
	duration        time.Duration
	source          string // source identity
	tags            [][2]string
}

// parts lists all of it for the key of the cache. Keys of the default chain change by themselves, those of a secret when the
// operator rotates them.
func (w *wish) parts() []string {
	out := []string{
		w.realm, w.identity, w.keys.AccessKeyID, w.keys.SecretAccessKey, w.keys.SessionToken, w.role.partition, w.role.account, w.roleARN,
		w.name, w.externalID, w.policy, w.region, w.duration.String(), w.source,
	}
	for _, t := range w.tags {
		out = append(out, t[0], t[1])
	}
	return out
}

var tagKeys = map[string]string{"realm": "RealmgateRealm", "connection": "RealmgateConnection", "principal": "RealmgatePrincipal"}

// wishFor makes a wish of a role, a caller and the settings.
func (s *Settings) wishFor(c *sdk.Connection, p *parameters, caller sdk.Principal, atLeast time.Duration) (*wish, error) {
	who := caller.Name
	if who == "" {
		who = caller.ID
	}
	if who == "" {
		who = "operator"
	}
	w := &wish{
		realm: c.Realm, role: p.role, roleARN: p.RoleARN, name: p.RoleSessionName, externalID: p.ExternalID, policy: p.SessionPolicy, region: p.SigningRegion,
	}
	if s.STSRegion != "" {
		w.region = s.STSRegion
	}
	if w.name == "" {
		w.name = nameFor(strings.NewReplacer("{realm}", c.Realm, "{connection}", c.Name, "{caller}", who).Replace(s.SessionName))
	}
	if s.SourceIdentity {
		w.source = nameFor(who)
	}
	values := map[string]string{"realm": c.Realm, "connection": c.Name, "principal": who}
	for _, t := range s.SessionTags {
		w.tags = append(w.tags, [2]string{tagKeys[t], tagValue(values[t])})
	}
	w.duration = s.Duration.Std()
	if need := atLeast + s.ExpiryWindow.Std(); need > w.duration {
		w.duration = need.Truncate(minDuration) + minDuration // in steps, so that equal requests stay equal
	}
	if w.duration > maxDuration {
		return nil, sdk.Forbid(ReasonLifetime, "minLifetimeSeconds: a session lives 12 hours at most, %v of which are for its renewal", s.ExpiryWindow.Std())
	}
	return w, nil
}

const (
	maxName = 64
	maxTag  = 256
	sumSize = 8
)

// nameFor makes a session name of any text (2 to 64 of [\w+=,.@-]). What had to be changed ends in a hash of the text, so
// that two callers never have one name.
func nameFor(text string) string {
	return fit(text, maxName, func(c rune) rune {
		if notInName(c) {
			return '-'
		}
		return c
	})
}

// tagValue makes a value of a session tag, letters, digits, spaces and _.:/=+@- of which are possible.
func tagValue(text string) string {
	return fit(text, maxTag, func(c rune) rune {
		if notInName(c) && !strings.ContainsRune(" :/", c) || c == ',' {
			return '_'
		}
		return c
	})
}

func fit(text string, limit int, plain func(rune) rune) string {
	out := strings.Map(plain, text)
	if out == text && len(out) >= 2 && len(out) <= limit {
		return out
	}
	sum := sha256.Sum256([]byte(text))
	return out[:min(len(out), limit-sumSize-1)] + "-" + hex.EncodeToString(sum[:sumSize/2])
}

// seconds of a duration, as STS takes them.
func seconds(d time.Duration) *int32 {
	return aws.Int32(int32(min(int64(d/time.Second), math.MaxInt32)))
}
