package bearer

import (
	"net/url"
	"slices"
	"strings"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/egress"
)

// Reasons of denials: what a connection or a caller asks for is not possible, and asking again does not help. The detail
// begins with the field's name.
const (
	ReasonConnection = "connection_invalid"
	ReasonRequest    = "request_invalid"
	ReasonNarrowing  = "narrowing_unsupported"
	ReasonLifetime   = "lifetime_too_long"
)

// CheckNarrowing denies what no token can do: be limited after it was issued.
func CheckNarrowing(to []string) error {
	if len(to) > 0 {
		return sdk.Forbid(ReasonNarrowing, "narrow_to: a token cannot be limited to a part of what it opens")
	}
	return nil
}

// CheckSigning says whether a request can carry a token. Over plain http it does not, except to this machine itself or where
// the settings allow it.
func CheckSigning(r *sdk.SignRequest, allowHTTP bool) error {
	if r.Presign {
		return sdk.Forbid(ReasonRequest, "presign: a token does not go into a URL, where logs would keep it")
	}
	u, err := url.Parse(r.HTTP.Scheme + "://" + r.HTTP.Host + r.HTTP.RawTarget)
	if err != nil || u.Scheme != r.HTTP.Scheme || u.Host != r.HTTP.Host || u.Host == "" || u.User != nil || !strings.HasPrefix(r.HTTP.RawTarget, "/") {
		return sdk.Forbid(ReasonRequest, "url: it is not an absolute URL without a user in it")
	}
	if egress.CheckSecret(u) != nil && (u.Scheme != "http" || !allowHTTP) {
		return sdk.Forbid(ReasonRequest, "url: https is needed, since whoever listens could use the token")
	}
	return nil
}

// Sign puts the token into a request that [CheckSigning] passed, in place of any other Authorization (RFC 6750 section 2.1).
// The answer has all headers to send; nothing else of the request is looked at.
func (t Token) Sign(r *sdk.SignRequest) sdk.SignedRequest {
	header := slices.DeleteFunc(slices.Clone(r.HTTP.Header), func(h sdk.Header) bool { return strings.EqualFold(h.Name, "authorization") })
	return sdk.SignedRequest{
		URL:     r.HTTP.Scheme + "://" + r.HTTP.Host + r.HTTP.RawTarget,
		Header:  append(header, sdk.Header{Name: "authorization", Value: "Bearer " + t.value}),
		Expires: t.Expires,
		AuditID: t.ID,
	}
}
