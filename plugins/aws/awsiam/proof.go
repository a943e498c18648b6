package awsiam

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"github.com/realmgate/realmgate/plugins/aws/awssig"
	"github.com/realmgate/realmgate/plugins/aws/internal/ascii"
	"github.com/realmgate/realmgate/sdk"
)

// The forms of a proof, each a bearer token with a prefix, and their limits in bytes. Vault's wraps its parts in base64
// once more, and so it is larger.
const (
	PrefixK8s   = "k8s-aws-v1."
	PrefixVault = "vault-aws-v1."

	maxK8s   = 4 << 10
	maxVault = 8 << 10
)

const (
	action  = "GetCallerIdentity"
	version = "2011-06-15"
	service = "sts"

	maxToken = 4 << 10 // of AWS, in bytes
)

// proof is a signed request for GetCallerIdentity, as far as it was understood: what the request to STS is made of.
type proof struct {
	endpoint endpoint
	host     string // exactly as signed
	method   string
	query    string
	body     string
	header   http.Header
	keyID    string
	at       time.Time     // when it was signed
	life     time.Duration // after that
}

// expires is when a proof ends, without the skew.
func (p proof) expires() time.Time { return p.at.Add(p.life) }

// read understands a token in either form; a denial says what is wrong with it, and sdk.NotMine that it is neither.
func (p *Provider) read(ctx context.Context, token string) (proof, error) {
	read, limit := p.readPresigned, maxK8s
	text, ok := strings.CutPrefix(token, PrefixK8s)
	if !ok {
		read, limit = p.readVault, maxVault
		if text, ok = strings.CutPrefix(token, PrefixVault); !ok {
			return proof{}, sdk.NotMine()
		}
	}
	if len(token) > limit {
		return proof{}, sdk.Deny("token_malformed", "a proof in this form has at most %d bytes", limit)
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return proof{}, sdk.Deny("token_malformed", "what follows the prefix is not base64url without padding")
	}
	got, err := read(string(raw))
	if err != nil {
		return proof{}, err
	}
	return got, p.checkTime(ctx, got)
}

// endpointOf finds where a proof is sent. What is behind the host is given back: https://HOST alone leads there.
func (p *Provider) endpointOf(url string) (host string, e endpoint, rest string, err error) {
	scheme, after, ok := strings.Cut(url, "://")
	host, rest, slash := strings.Cut(after, "/")
	e, known := p.endpoints[host]
	if !ok || !slash || !known || scheme != e.scheme {
		return "", endpoint{}, "", sdk.Deny("endpoint_not_allowed", "the signed request is not for an STS endpoint that this tenant asks, written as https://<host>/")
	}
	return host, e, rest, nil
}

// checkScope refuses what STS would refuse, so that it need not be asked.
func checkScope(got awssig.Proof, e endpoint, at time.Time) error {
	switch {
	case got.Scope.Service != service:
		return sdk.Deny("scope_mismatch", "the request is not signed for the service sts")
	case !got.Scope.FitsDay(at):
		return sdk.Deny("scope_mismatch", "the day of the credential is not that of X-Amz-Date")
	case e.region != "" && got.Scope.Region != e.region:
		return sdk.Deny("scope_mismatch", "the request is signed for another region than that of the STS endpoint, %s", e.region)
	}
	return nil
}

func (p *Provider) checkTime(ctx context.Context, got proof) error {
	now, skew := p.now(), p.settings.ClockSkew.Std()
	switch {
	case now.Add(skew).Before(got.at):
		sdk.CacheFor(ctx, got.at.Sub(now.Add(skew)))
		return sdk.Deny("token_not_yet_valid", "the request was signed in the future")
	case !now.Before(got.expires().Add(skew)):
		return sdk.Deny("token_expired", "the proof has expired: sign a new one")
	}
	return nil
}

func malformed(err error) error { return sdk.Deny("token_malformed", "%s", err) }

// isToken says whether s has the characters of a session token of STS.
func isToken(s string) bool {
	return ascii.Consists(s, maxToken, "+/=-_")
}
