package server

import (
	"net/http"
	"strings"

	"github.com/realmgate/realmgate/sdk"
)

// credential reads scheme (lower case) and token of a request's one Authorization header (RFC 9110 section 11.6.2).
// Nothing that is too large or cannot be a token comes as far as a plugin. Both are empty if there is no header.
func credential(r *http.Request) (scheme, token string, _ *refusal, _ *sdk.Denial) {
	headers := r.Header.Values("Authorization")
	switch {
	case len(headers) == 0:
		return "", "", nil, nil
	case len(headers) > 1:
		return "", "", &refusal{http.StatusBadRequest, reasonRequestMalformed, "there is more than one Authorization header"}, nil
	case len(headers[0]) > maxToken+64:
		return "", "", nil, &sdk.Denial{Reason: reasonTokenTooLarge, Detail: "the credential is too large"}
	}
	scheme, token, _ = strings.Cut(headers[0], " ")
	if scheme == "Bearer" { // as nearly everybody writes it
		scheme = "bearer"
	}
	scheme, token = strings.ToLower(scheme), strings.TrimLeft(token, " ")
	switch {
	case len(token) > maxToken:
		return "", "", nil, &sdk.Denial{Reason: reasonTokenTooLarge, Detail: "the credential is too large"}
	case scheme == "" || token == "" || !isSchemeName(scheme), scheme == "bearer" && !isToken68(token), scheme != "bearer" && !isText(token):
		return "", "", nil, &sdk.Denial{Reason: reasonTokenMalformed, Detail: "the Authorization header is malformed"}
	}
	return scheme, token, nil, nil
}

func isSchemeName(s string) bool { return len(s) <= 64 && schemeBytes.of(s) }

// isToken68 follows the grammar of RFC 9110 section 11.2, which bearer tokens have (RFC 6750 section 2.1).
func isToken68(s string) bool {
	s = strings.TrimRight(s, "=")
	return s != "" && token68Bytes.of(s)
}

// isText says whether s is printable ASCII, which the parameters of other schemes are.
func isText(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}
