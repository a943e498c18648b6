package sigv4

import (
	"math"
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
	who := subjectOf(caller)
	w := &wish{
		realm: c.Realm, role: p.role, roleARN: p.RoleARN, name: p.RoleSessionName, externalID: p.ExternalID, policy: p.SessionPolicy, region: p.SigningRegion,
	}
	if s.STSRegion != "" {
		w.region = s.STSRegion
	}
	if w.name == "" {
		w.name = sessionName(s.SessionName, c, who)
	}
	if s.SourceIdentity {
		w.source = fit(who.text, who.named(), who.of(), nameForm)
	}
	for _, t := range s.SessionTags {
		w.tags = append(w.tags, [2]string{tagKeys[t], tagValue(t, c, who)})
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

// seconds of a duration, as STS takes them.
func seconds(d time.Duration) *int32 {
	return aws.Int32(int32(min(int64(d/time.Second), math.MaxInt32)))
}
