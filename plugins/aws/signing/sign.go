package signing

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/realmgate/realmgate/plugins/aws/internal/ascii"
	"github.com/realmgate/realmgate/sdk"
)

const (
	// validFor is for how long services take a signature in headers; some take it longer.
	validFor = 5 * time.Minute
	// MaxLifetime is the longest life of a presigned URL.
	MaxLifetime = 7 * 24 * time.Hour

	maxTarget = 32 << 10
)

// Reason is that of every denial here: the request cannot be signed as it is. Its detail begins with the field's name.
const Reason = "request_invalid"

func invalid(field, format string, args ...any) error {
	return sdk.Forbid(Reason, "%s: %s", field, fmt.Sprintf(format, args...))
}

// Input is a request to be signed, and all that the signature depends on.
type Input struct {
	Message         sdk.HTTPMessage
	Keys            aws.Credentials
	Region, Service string
	Rules           Rules
	At              time.Time
}

// Headers signs with the header Authorization. The answer has the URL to ask and all headers to send, the client's among
// them; the host is the URL's. A "+" in the query becomes "%20", which it means: services do not agree on it.
func Headers(ctx context.Context, in Input) (sdk.SignedRequest, error) {
	r, beside, hash, err := in.request(false)
	if err != nil {
		return sdk.SignedRequest{}, err
	}
	query := r.URL.RawQuery
	if err := in.signer().SignHTTP(ctx, in.Keys, r, hash, in.Service, in.Region, in.At); err != nil {
		return sdk.SignedRequest{}, err
	}
	if !in.Rules.SignToken && in.Keys.SessionToken != "" {
		r.Header.Set(tokenHeader, in.Keys.SessionToken)
	}
	return sdk.SignedRequest{URL: in.url(query), Header: list(r.Header, beside), Expires: in.expires(validFor)}, nil
}

// Presign signs with parameters of the URL, for a life of whole seconds that ends with the keys' at the latest. Whoever uses
// the URL has to send the headers of the answer: of the client's, all but those of a former signature. They are signed, unless a
// proxy may change them on the way.
func Presign(ctx context.Context, in Input, life time.Duration) (sdk.SignedRequest, error) {
	if life < time.Second || life > MaxLifetime {
		return sdk.SignedRequest{}, invalid("expiresInSeconds", "a presigned URL lives between one second and 7 days")
	}
	end := in.expires(life)
	seconds := int64(end.Sub(in.At) / time.Second)
	if seconds < 1 {
		return sdk.SignedRequest{}, fmt.Errorf("the keys expire at %s", in.Keys.Expires.UTC().Format(time.RFC3339))
	}
	r, beside, hash, err := in.request(true)
	if err != nil {
		return sdk.SignedRequest{}, err
	}
	if r.URL.RawQuery != "" {
		r.URL.RawQuery += "&"
	}
	r.URL.RawQuery += "X-Amz-Expires=" + strconv.FormatInt(seconds, 10)
	signed, _, err := in.signer().PresignHTTP(ctx, in.Keys, r, hash, in.Service, in.Region, in.At)
	if err != nil {
		return sdk.SignedRequest{}, err
	}
	_, query, _ := strings.Cut(signed, "?")
	if !in.Rules.SignToken && in.Keys.SessionToken != "" {
		query += "&" + tokenHeader + "=" + url.QueryEscape(in.Keys.SessionToken)
	}
	return sdk.SignedRequest{URL: in.url(query), Header: list(r.Header, beside), Expires: in.At.Add(time.Duration(seconds) * time.Second)}, nil
}

// signer is a new one for each signature: the SDK's remembers derived keys by the access key's id alone, so that one of the
// same id with another secret, in another realm or after a rotation, would sign with the former one's.
func (in *Input) signer() *v4.Signer {
	return v4.NewSigner(func(o *v4.SignerOptions) {
		o.DisableURIPathEscaping = !in.Rules.EncodeTwice
		o.DisableHeaderHoisting = true
		o.DisableSessionToken = !in.Rules.SignToken
	})
}

// request gives what the SDK's signer takes: the path that is to be signed stands in Opaque, which it prefers.
func (in *Input) request(presign bool) (r *http.Request, beside []sdk.Header, hash string, err error) {
	m := &in.Message
	switch {
	case !ascii.HeaderName(m.Method, 32):
		return nil, nil, "", invalid("method", "%q is not a method", clip(m.Method))
	case m.Scheme != "https" && m.Scheme != "http" || m.Host == "" || strings.ContainsAny(m.Host, "/?#@\\ \r\n\t\x00"):
		return nil, nil, "", invalid("uri", "it is not an absolute http or https URL")
	case len(m.RawTarget) > maxTarget:
		return nil, nil, "", invalid("uri", "it is longer than %d bytes", maxTarget)
	case !strings.HasPrefix(m.RawTarget, "/") || strings.ContainsFunc(m.RawTarget, isControl) || strings.Contains(m.RawTarget, "#"):
		return nil, nil, "", invalid("uri", "its path does not begin with a slash, or it has a control character or a fragment in it")
	}
	m.Host = withoutDefaultPort(m.Scheme, m.Host)
	raw, query, _ := strings.Cut(m.RawTarget, "?")
	path, err := canonicalPath(raw, in.Rules)
	if err != nil {
		return nil, nil, "", err
	}
	if err := checkQuery(query); err != nil {
		return nil, nil, "", err
	}
	h, beside, length, err := headers(m.Header)
	if err != nil {
		return nil, nil, "", err
	}
	hash, header, err := payload(in, h, length, presign)
	if err != nil {
		return nil, nil, "", err
	}
	if header {
		h.Set(contentHashHeader, hash)
	}
	return &http.Request{
		Method: m.Method, Host: m.Host, Header: h, ContentLength: max(length, 0),
		URL: &url.URL{Scheme: m.Scheme, Host: m.Host, Opaque: "//" + m.Host + path, RawQuery: strings.ReplaceAll(query, "+", "%20")},
	}, beside, hash, nil
}

// withoutDefaultPort: it is not signed, so it is not sent either.
func withoutDefaultPort(scheme, host string) string {
	if port, ok := map[string]string{"https": ":443", "http": ":80"}[scheme]; ok {
		return strings.TrimSuffix(host, port)
	}
	return host
}

// checkQuery refuses what the SDK's signer would leave out silently, and a second signature.
func checkQuery(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return invalid("uri", "the query has a semicolon in it, or a %% that begins no escape")
	}
	for name := range values {
		switch strings.ToLower(name) {
		case "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires", "x-amz-security-token", "x-amz-signature", "x-amz-signedheaders":
			return invalid("uri", "it is signed already: %s", name)
		}
	}
	return nil
}

func isControl(c rune) bool { return c < ' ' || c == 0x7f }

// url puts a query behind the path as it is on the wire.
func (in *Input) url(query string) string {
	path, _, _ := strings.Cut(in.Message.RawTarget, "?")
	if query != "" {
		path += "?" + query
	}
	return in.Message.Scheme + "://" + in.Message.Host + path
}

// expires gives the end of a life that begins with the signature and ends with the keys'.
func (in *Input) expires(life time.Duration) time.Time {
	end := in.At.Add(life)
	if in.Keys.CanExpire && in.Keys.Expires.Before(end) {
		return in.Keys.Expires
	}
	return end
}
