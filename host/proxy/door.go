package proxy

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
)

// tokenHeader carries the proxy's token where Authorization is not free.
const tokenHeader = "Realmgate-Proxy-Token"

// admits says whether a request has the token of a door.
func admits(want *[sha256.Size]byte, h http.Header) bool {
	if want == nil {
		return true
	}
	got := sha256.Sum256([]byte(presented(h)))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// presented gives the token of a request: that of the header of its own, a bearer token (RFC 6750 section 2.1), or the access
// key id of a signature, which is how clients come that cannot do without one.
func presented(h http.Header) string {
	if v := h.Values(tokenHeader); len(v) > 0 {
		return v[0]
	}
	scheme, rest, _ := strings.Cut(h.Get("Authorization"), " ")
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		return strings.TrimSpace(rest)
	case scheme == "AWS4-HMAC-SHA256":
		_, credential, _ := strings.Cut(rest, "Credential=")
		id, _, _ := strings.Cut(credential, "/")
		return id
	}
	return ""
}
