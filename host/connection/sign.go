package connection

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/sdk"
)

// Bounds of a request that is signed.
const (
	maxTarget       = 16 << 10 // bytes of the URL
	maxHeaders      = 128
	maxHeaderBytes  = 64 << 10
	maxSignLifetime = 7 * 24 * time.Hour // of a presigned URL of AWS
)

// SignRequest asks for a signature on a request. It has both our names and those of Iceberg's S3SignRequest.
type SignRequest struct {
	Method        string
	URI           string       // absolute; its path and query are signed as they are
	Header        []sdk.Header // in the order of each name's values
	PayloadSHA256 string       // hex, or what the service takes in its place, e.g. UNSIGNED-PAYLOAD; empty: see Body
	Body          *string      // the body itself; its hash stands for PayloadSHA256
	Region        string       // if it is set, it must be that of the connection
	Presign       bool         // the answer is a URL, else headers
	Lifetime      time.Duration
}

var (
	methodPattern  = regexp.MustCompile(`^[A-Z]{1,16}$`)
	headerPattern  = regexp.MustCompile("^[a-zA-Z0-9!#$%&'*+.^_`|~-]{1,256}$")
	payloadPattern = regexp.MustCompile(`^([0-9a-fA-F]{64}|UNSIGNED-PAYLOAD|STREAMING-[A-Z0-9-]{1,64})$`)
)

// Sign signs a request to the connection. There is a line in the audit log before the signature is given.
func (s *Service) Sign(ctx context.Context, a Actor, name string, q SignRequest) (sdk.SignedRequest, error) {
	e := s.event(a, audit.ConnectionSign, name)
	if err := s.may(a, s.c.UseRoles); err != nil {
		return sdk.SignedRequest{}, s.refuse(ctx, e, err)
	}
	message, at, f := q.message()
	if f != nil {
		return sdk.SignedRequest{}, f
	}
	e.Detail = bounded(q.Method + " " + at.scheme + "://" + message.Host) // no path and no query: they may hold secrets
	out, err := s.sign(ctx, a, name, &q, message, at)
	if err != nil {
		return sdk.SignedRequest{}, s.refuse(ctx, e, err)
	}
	e.Outcome, e.AuditID = audit.Done, out.AuditID
	if err := s.c.Audit.Record(ctx, e); err != nil {
		return sdk.SignedRequest{}, err
	}
	return out, nil
}

func bounded(s string) string { return s[:min(len(s), 512)] }

func (s *Service) sign(ctx context.Context, a Actor, name string, q *SignRequest, m sdk.HTTPMessage, at place) (sdk.SignedRequest, error) {
	d, err := s.c.Store.GetConnection(ctx, s.c.Realm, name)
	if err != nil {
		return sdk.SignedRequest{}, err
	}
	shape, err := fromStored(d)
	if err != nil {
		return sdk.SignedRequest{}, err
	}
	if !shape.mayBeSigned(at) {
		return sdk.SignedRequest{}, &Fault{Status: http.StatusForbidden, Code: CodeHostRefused, Field: "uri",
			Message: "leads to another host than the connection's own and its signHosts (scheme, host and port all count)"}
	}
	if err := s.c.Deny.CheckHost(at.host); err != nil {
		return sdk.SignedRequest{}, &Fault{Status: http.StatusForbidden, Code: CodeHostRefused, Field: "uri", Message: err.Error()}
	}
	if region := shape.Info.Authentication.SigningRegion; q.Region != "" && region != "" && q.Region != region {
		return sdk.SignedRequest{}, invalid("region", "is not the signingRegion of the connection, "+region)
	}
	c, vendor, err := s.equip(d)
	if err != nil {
		return sdk.SignedRequest{}, err
	}
	if !vendor.CanSign() {
		return sdk.SignedRequest{}, &Fault{Status: http.StatusNotImplemented, Code: CodeUnsupported, Message: "the credential vendor for " + c.AuthenticationType + " signs no requests; ask for credentials"}
	}
	ctx, cancel := context.WithTimeout(ctx, vendLimit)
	defer cancel()
	out, err := vendor.Sign(ctx, sdk.SignRequest{Connection: c, Caller: a.caller(s.c.Realm), HTTP: m, Presign: q.Presign, Lifetime: q.Lifetime})
	if d := sdk.AsDenial(err); d != nil {
		return sdk.SignedRequest{}, refused(d)
	}
	if err == nil {
		err = s.checkSigned(q, at, &out)
	}
	if err != nil {
		return sdk.SignedRequest{}, unavailable("the request cannot be signed at the moment", err)
	}
	return out, nil
}

// message checks a request and gives it as it is on the wire, with where it leads.
func (q *SignRequest) message() (m sdk.HTTPMessage, at place, _ *Fault) {
	u, target, f := splitTarget(q.URI)
	if f != nil {
		return m, at, f
	}
	at = placeOf(u)
	m = sdk.HTTPMessage{Method: q.Method, Scheme: at.scheme, Host: strings.ToLower(u.Host), RawTarget: target, BodySHA256: q.PayloadSHA256}
	switch {
	case !methodPattern.MatchString(q.Method):
		return m, at, invalid("method", "is not an HTTP method in capital letters")
	case q.PayloadSHA256 != "" && !payloadPattern.MatchString(q.PayloadSHA256):
		return m, at, invalid("payloadSha256", "is neither 64 hexadecimal digits nor a word such as UNSIGNED-PAYLOAD")
	case q.Lifetime < 0 || q.Lifetime > maxSignLifetime:
		return m, at, invalid("expiresInSeconds", fmt.Sprintf("lies between 0 and %d", int(maxSignLifetime.Seconds())))
	case q.Lifetime > 0 && !q.Presign:
		return m, at, invalid("expiresInSeconds", "goes with presign only")
	}
	if q.Body != nil {
		sum := sha256.Sum256([]byte(*q.Body))
		hash := hex.EncodeToString(sum[:])
		if m.BodySHA256 != "" && len(m.BodySHA256) == len(hash) && !strings.EqualFold(m.BodySHA256, hash) {
			return m, at, invalid("payloadSha256", "is not the hash of the body")
		}
		if m.BodySHA256 == "" {
			m.BodySHA256 = hash
		}
	}
	m.Header, f = q.headers(u.Host)
	return m, at, f
}

// splitTarget gives what of a URL is signed: all behind the host, byte by byte.
func splitTarget(uri string) (*url.URL, string, *Fault) {
	if len(uri) > maxTarget || !utf8.ValidString(uri) || strings.ContainsFunc(uri, unicode.IsControl) {
		return nil, "", invalid("uri", fmt.Sprintf("is longer than %d bytes, or has a control character", maxTarget))
	}
	scheme, rest, ok := strings.Cut(uri, "://")
	if !ok || strings.ContainsAny(rest, "# ") {
		return nil, "", invalid("uri", "is not an absolute URL without a fragment and without a space; write %20 for one")
	}
	host, target := rest, "/"
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		host, target = rest[:i], rest[i:]
	}
	if strings.HasPrefix(target, "?") {
		target = "/" + target
	}
	u, f := parseURI("uri", scheme+"://"+host)
	if f == nil {
		switch u.Scheme {
		case "http", "https":
		default:
			f = invalid("uri", "is neither https nor http")
		}
	}
	if f == nil && u.Hostname() == "" {
		f = invalid("uri", "names no host")
	}
	return u, target, f
}

// hopByHop are the headers of RFC 9110 section 7.6.1, and those that came before it.
var hopByHop = []string{"connection", "keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}

func (q *SignRequest) headers(host string) ([]sdk.Header, *Fault) {
	if len(q.Header) > maxHeaders {
		return nil, invalid("headers", fmt.Sprintf("are more than %d", maxHeaders))
	}
	out := make([]sdk.Header, 0, len(q.Header))
	size := 0
	for _, h := range q.Header {
		at := "headers." + shown(h.Name)
		size += len(h.Name) + len(h.Value)
		switch {
		case !headerPattern.MatchString(h.Name):
			return nil, invalid(at, "is not the name of a header")
		case strings.ContainsFunc(h.Value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }):
			return nil, invalid(at, "has a control character in its value")
		case strings.EqualFold(h.Name, "Host"):
			if !strings.EqualFold(h.Value, host) {
				return nil, invalid(at, "is another host than that of the uri")
			}
			continue
		}
		name := strings.ToLower(h.Name)
		if slices.Contains(hopByHop, name) {
			continue // it is about a connection, and may not be there on the next one
		}
		out = append(out, sdk.Header{Name: name, Value: h.Value})
	}
	if size > maxHeaderBytes {
		return nil, invalid("headers", fmt.Sprintf("are longer than %d bytes", maxHeaderBytes))
	}
	return out, nil
}

// checkSigned believes no signature for somewhere else, or one that is over, or none.
func (s *Service) checkSigned(q *SignRequest, at place, out *sdk.SignedRequest) error {
	u, _, f := splitTarget(out.URL)
	switch {
	case f != nil || placeOf(u) != at:
		return fmt.Errorf("the vendor answered a URL of another host than was asked for")
	case !out.Expires.IsZero() && !out.Expires.After(s.c.Now()):
		return fmt.Errorf("the vendor answered a signature that expired at %s", out.Expires.UTC().Format(time.RFC3339))
	case !q.Presign && len(out.Header) == 0, q.Presign && out.URL == q.URI:
		return fmt.Errorf("the vendor answered no signature")
	case len(out.Header) > 2*maxHeaders, len(out.AuditID) > maxVendedAuditID:
		return fmt.Errorf("the vendor answered too much")
	}
	for _, h := range out.Header {
		if !headerPattern.MatchString(h.Name) || strings.ContainsAny(h.Value, "\r\n\x00") || len(h.Value) > maxHeaderBytes {
			return fmt.Errorf("the vendor answered something that is no header")
		}
	}
	return nil
}
