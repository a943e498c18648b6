package server

import (
	"net/http"
	"slices"
	"strings"

	"github.com/realmgate/realmgate/sdk"
)

// dialect names the headers in which proxies tell about the original request; an empty name is none. The length is that of
// the body, which proxies do not pass on, and so they leave Content-Length out; but a caller may have signed it.
type dialect struct{ method, target, proto, host, length string }

// dialects are those of Listener.Forwarded.
var dialects = map[string]dialect{
	"":                xForwarded,
	ForwardedX:        xForwarded,
	ForwardedOriginal: {"X-Original-Method", "X-Original-Uri", "X-Original-Proto", "X-Original-Host", "X-Original-Content-Length"},
	ForwardedNone:     {},
}

var xForwarded = dialect{"X-Forwarded-Method", "X-Forwarded-Uri", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Content-Length"}

// originalOf gives the request that is being decided. A trusted proxy tells about it in the headers of the listener's
// dialect, or by appending the path to the check's; what it says is taken or refused, never replaced. What anybody else
// says is dropped, and the message is the request that came. net/http loses the order of fields: they are sorted by name,
// repeats in their order.
func originalOf(l Listener, r *http.Request, appended string) (*sdk.HTTPMessage, *refusal) {
	m := &sdk.HTTPMessage{Method: r.Method, Scheme: "http", Host: r.Host, RawTarget: r.RequestURI}
	if r.TLS != nil {
		m.Scheme = "https"
	}
	length := ""
	if l.trusts(r) {
		var fault *refusal
		if length, fault = l.tell(m, r, appended); fault != nil {
			return nil, fault
		}
	}
	for name, values := range r.Header {
		name = strings.ToLower(name)
		if strings.HasPrefix(name, "x-forwarded-") || strings.HasPrefix(name, "x-original-") || name == "content-length" && length != "" {
			continue
		}
		for _, v := range values {
			m.Header = append(m.Header, sdk.Header{Name: name, Value: v})
		}
	}
	if length != "" {
		m.Header = append(m.Header, sdk.Header{Name: "content-length", Value: length})
	}
	slices.SortStableFunc(m.Header, func(a, b sdk.Header) int { return strings.Compare(a.Name, b.Name) })
	return m, nil
}

// tell puts into m what a trusted proxy says about the original request, and gives the length of its body, if it says it.
func (l Listener) tell(m *sdk.HTTPMessage, r *http.Request, appended string) (length string, _ *refusal) {
	if appended != "" {
		if _, query, ok := strings.Cut(r.RequestURI, "?"); ok {
			appended += "?" + query
		}
		m.RawTarget = appended
	}
	d := dialects[l.Forwarded]
	for _, f := range []struct {
		name  string
		valid func(string) bool
		into  *string
	}{{d.method, isMethod, &m.Method}, {d.target, isTarget, &m.RawTarget}, {d.proto, isProto, &m.Scheme}, {d.host, isHost, &m.Host}, {d.length, isLength, &length}} {
		v, ok, fault := told(r, f.name, f.valid)
		if fault != nil {
			return "", fault
		}
		if ok {
			*f.into = v
		}
	}
	if appended != "" && m.RawTarget != appended {
		return "", malformed("the path behind the check's and " + d.target + " differ")
	}
	return length, nil
}

// told reads a header of a trusted proxy, which is there once and well-formed, or not at all.
func told(r *http.Request, name string, valid func(string) bool) (value string, ok bool, _ *refusal) {
	if name == "" {
		return "", false, nil
	}
	switch v := r.Header.Values(name); {
	case len(v) == 0:
		return "", false, nil
	case len(v) > 1:
		return "", false, malformed("there is more than one " + name + " header")
	case !valid(v[0]):
		return "", false, malformed("the " + name + " header is malformed")
	default:
		return v[0], true, nil
	}
}

func malformed(message string) *refusal {
	return &refusal{http.StatusBadRequest, reasonRequestMalformed, message}
}

func isMethod(s string) bool { return s != "" && len(s) <= 32 && methodBytes.of(s) }
func isTarget(s string) bool {
	return strings.HasPrefix(s, "/") && !strings.Contains(s, " ") && isText(s)
}
func isProto(s string) bool { return s == "http" || s == "https" }
func isLength(s string) bool {
	return s != "" && len(s) <= 18 && strings.Trim(s, "0123456789") == ""
}
func isHost(s string) bool { return s != "" && len(s) <= 255 && hostBytes.of(s) }

// Presigned gives scheme and credential of a request that is signed in its query, as AWS does it: the algorithm and the query.
// Both are empty if the query has no such parameter, or more than one.
func Presigned(m *sdk.HTTPMessage) (scheme, credential string) {
	const algorithm = "X-Amz-Algorithm="
	_, query, _ := strings.Cut(m.RawTarget, "?")
	for part := range strings.SplitSeq(query, "&") {
		if v, ok := strings.CutPrefix(part, algorithm); ok {
			if scheme != "" || !isSchemeName(v) || len(query) > maxToken {
				return "", ""
			}
			scheme = strings.ToLower(v)
		}
	}
	if scheme == "" {
		return "", ""
	}
	return scheme, query
}
