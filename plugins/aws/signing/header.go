package signing

import (
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"github.com/realmgate/realmgate/plugins/aws/internal/ascii"
	"github.com/realmgate/realmgate/sdk"
)

const (
	maxHeaders    = 200
	maxHeaderSize = 64 << 10

	contentHashHeader = "X-Amz-Content-Sha256"
	tokenHeader       = "X-Amz-Security-Token"
	lengthHeader      = "Content-Length"
)

// replaced are the headers of a former signature, and the host, which the URL says.
var replaced = []string{"Authorization", "Host", "X-Amz-Date", tokenHeader, "X-Amz-Signature"}

// unsigned are those that a proxy or an HTTP library changes or drops on the way (RFC 9110 section 7.6.1, and the SDK's own
// list). They are sent all the same.
var unsigned = []string{
	"Connection", "Expect", "Forwarded", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade", "User-Agent", "Via", "X-Amzn-Trace-Id", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
}

// headers sorts what a client sent into what is signed and what is sent beside it.
func headers(in []sdk.Header) (signed http.Header, beside []sdk.Header, length int64, err error) {
	if len(in) > maxHeaders {
		return nil, nil, 0, invalid("headers", "there are more than %d", maxHeaders)
	}
	signed = http.Header{}
	size := 0
	for _, h := range in {
		size += len(h.Name) + len(h.Value)
		switch {
		case size > maxHeaderSize:
			return nil, nil, 0, invalid("headers", "they are longer than %d bytes", maxHeaderSize)
		case !ascii.HeaderName(h.Name, maxHeaderSize):
			return nil, nil, 0, invalid("headers", "%q is not a header's name", clip(h.Name))
		case strings.ContainsAny(h.Value, "\r\n\x00"):
			return nil, nil, 0, invalid("headers", "the value of %s has a line break or a NUL in it", h.Name)
		}
		name := textproto.CanonicalMIMEHeaderKey(h.Name)
		switch {
		case slices.Contains(replaced, name):
		case slices.Contains(unsigned, name):
			beside = append(beside, sdk.Header{Name: strings.ToLower(name), Value: h.Value})
		default:
			signed.Add(name, h.Value)
		}
	}
	length, err = contentLength(signed)
	return signed, beside, length, err
}

// contentLength gives -1 where the client says none.
func contentLength(h http.Header) (int64, error) {
	values := h.Values(lengthHeader)
	if len(values) == 0 {
		return -1, nil
	}
	n, err := strconv.ParseInt(strings.TrimSpace(values[0]), 10, 64)
	if len(values) > 1 || err != nil || n < 0 {
		return 0, invalid("headers", "content-length is not one number")
	}
	return n, nil
}

func clip(s string) string { return s[:min(len(s), 64)] }

// list gives headers in order of their names, each with its values as they were.
func list(h http.Header, also []sdk.Header) []sdk.Header {
	var out []sdk.Header
	for name, values := range h {
		for _, v := range values {
			out = append(out, sdk.Header{Name: strings.ToLower(name), Value: v})
		}
	}
	out = append(out, also...)
	slices.SortStableFunc(out, func(a, b sdk.Header) int { return strings.Compare(a.Name, b.Name) })
	return out
}
