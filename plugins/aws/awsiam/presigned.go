package awsiam

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/realmgate/realmgate/plugins/aws/awssig"
	"github.com/realmgate/realmgate/sdk"
)

// presigned are the parameters of a presigned URL that are sent on.
var presigned = []string{
	"Action", "Version", awssig.ParamAlgorithm, awssig.ParamCredential, awssig.ParamDate, awssig.ParamExpires, awssig.ParamSigned, awssig.ParamSignature,
	awssig.ParamToken, "X-Amz-User-Agent",
}

// legacyExpires is what aws-iam-authenticator and `aws eks get-token` write into X-Amz-Expires. They use their tokens for 14
// minutes all the same, since STS takes any for 15.
const legacyExpires = time.Minute

// readPresigned understands a presigned URL. The audience is not in it: the caller has signed a header, which is sent with
// the value that this tenant wants, so that STS refuses a signature for any other.
func (p *Provider) readPresigned(url string) (proof, error) {
	host, e, rest, err := p.endpointOf(url)
	if err != nil {
		return proof{}, err
	}
	raw, ok := strings.CutPrefix(rest, "?")
	if !ok || !isValue(raw, maxK8s) || strings.Contains(raw, "#") {
		return proof{}, sdk.Deny("token_malformed", "behind the host of the presigned URL follows /? and a query")
	}
	q, err := awssig.ParseQuery(raw)
	if err != nil {
		return proof{}, malformed(err)
	}
	if err := checkParams(q); err != nil {
		return proof{}, err
	}
	got, err := awssig.ParsePresigned(q)
	if err != nil {
		return proof{}, malformed(err)
	}
	audience := p.audienceHeader(k8sAudience)
	want := []string{"host", audience}
	slices.Sort(want)
	switch {
	case !got.Signs(audience):
		return proof{}, sdk.Deny("audience_missing", "the header %s with the audience is not signed", audience)
	case !slices.Equal(got.Signed, want):
		return proof{}, sdk.Deny("header_not_allowed", "only the headers host and %s may be signed: of others the value is not known", audience)
	}
	at, life, err := times(q)
	if err != nil {
		return proof{}, err
	}
	if err := checkScope(got, e, at); err != nil {
		return proof{}, err
	}
	return proof{
		endpoint: e, host: host, method: http.MethodGet, query: q.Encode(), header: http.Header{http.CanonicalHeaderKey(audience): {p.settings.Audience}},
		keyID: got.KeyID, at: at, life: min(life, p.settings.MaxAge.Std()),
	}, nil
}

// checkParams refuses every parameter that is not known, that is there twice, or that differs from a known one in its case
// only (CVE-2022-2385: STS takes one of them, and not the one that was checked).
func checkParams(q awssig.Query) error {
	for _, x := range q {
		if !slices.Contains(presigned, x.Name) {
			return sdk.Deny("parameter_not_allowed", "the presigned URL has a parameter that is not one of %s", strings.Join(presigned, ", "))
		}
		if _, err := q.One(x.Name); err != nil {
			return malformed(err)
		}
		if !isValue(x.Value, maxToken) {
			return sdk.Deny("token_malformed", "the parameter %s is empty, too long, or not ASCII", x.Name)
		}
	}
	for name, want := range map[string]string{"Action": action, "Version": version} {
		if v, err := q.One(name); err != nil || v != want {
			return sdk.Deny("action_not_allowed", "%s has to be %s", name, want)
		}
	}
	if v, err := q.One(awssig.ParamToken); err == nil && !isToken(v) {
		return sdk.Deny("token_malformed", "the session token has characters that STS does not write")
	}
	return nil
}

// times gives when a presigned URL was signed, and for how long it is good.
func times(q awssig.Query) (time.Time, time.Duration, error) {
	date, err := q.One(awssig.ParamDate)
	if err != nil {
		return time.Time{}, 0, malformed(err)
	}
	at, err := awssig.ParseTime(date)
	if err != nil {
		return time.Time{}, 0, malformed(err)
	}
	text, err := q.One(awssig.ParamExpires)
	if err != nil {
		return time.Time{}, 0, malformed(err)
	}
	life, err := awssig.ParseExpires(text)
	switch {
	case err != nil:
		return time.Time{}, 0, malformed(err)
	case life > maxMaxAge:
		return time.Time{}, 0, sdk.Deny("token_malformed", "X-Amz-Expires is at most %d", int(maxMaxAge.Seconds()))
	case life == 0 || life == legacyExpires:
		life = maxMaxAge
	}
	return at, life, nil
}

// audienceHeader is the configured header, or that of the form.
func (p *Provider) audienceHeader(ofForm string) string {
	if p.settings.AudienceHeader != "" {
		return p.settings.AudienceHeader
	}
	return ofForm
}
