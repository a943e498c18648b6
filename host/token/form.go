package token

import (
	"encoding/base64"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// maxForm bounds the body of a token request.
const maxForm = 64 << 10

// form is a token request, parsed once at the door.
type form struct {
	grantType, scope       string
	clientID, clientSecret string
	authenticated          bool // the directory accepted id and secret
}

// parse reads a token request: a form in the body and nothing else (RFC 6749 section 4.4.2), no parameter twice
// (section 3.2), and client credentials by Basic or in the body, never both (section 2.3).
func parse(r *http.Request) (f form, fault *Fault) {
	if r.URL.RawQuery != "" {
		return f, refuse(CodeInvalidRequest, "parameters belong in the body, not in the query")
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return f, refuse(CodeInvalidRequest, "the body has to be application/x-www-form-urlencoded")
	}
	if len(r.Header.Values("Content-Encoding")) > 0 {
		return f, refuse(CodeInvalidRequest, "the body must not be encoded")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxForm+1))
	if err != nil {
		return f, refuse(CodeInvalidRequest, "the body could not be read")
	}
	if len(body) > maxForm {
		return f, refuse(CodeInvalidRequest, "the body is too large")
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return f, refuse(CodeInvalidRequest, "the body is not a well-formed form")
	}
	for _, v := range values {
		if len(v) > 1 {
			return f, refuse(CodeInvalidRequest, "a parameter is given more than once")
		}
		if !utf8.ValidString(v[0]) {
			return f, refuse(CodeInvalidRequest, "the body is not UTF-8")
		}
	}
	f.grantType, f.scope = values.Get("grant_type"), values.Get("scope")
	f.clientID, f.clientSecret = values.Get("client_id"), values.Get("client_secret")
	switch f.grantType {
	case "":
		return f, refuse(CodeInvalidRequest, "grant_type is missing")
	case "client_credentials":
	default:
		return f, refuse(CodeUnsupportedGrantType, "only client_credentials is supported")
	}
	fault = f.authenticate(r.Header.Values("Authorization"))
	return f, fault
}

// authenticate finds the client's credentials. A header of another scheme than Basic is not client authentication:
// Iceberg clients send the token that they have, with their credentials in the body.
func (f *form) authenticate(headers []string) *Fault {
	if len(headers) > 1 {
		return refuse(CodeInvalidRequest, "there is more than one Authorization header")
	}
	if len(headers) == 1 {
		if scheme, rest, _ := strings.Cut(headers[0], " "); strings.EqualFold(scheme, "basic") {
			return f.authenticateBasic(strings.TrimLeft(rest, " "))
		}
	}
	switch {
	case f.clientID != "" && f.clientSecret != "":
		return nil
	case f.clientSecret != "":
		return refuse(CodeInvalidRequest, "client_id is missing: a client credential is an id and a secret, often written id:secret")
	}
	return refuse(CodeInvalidClient, "client authentication is missing")
}

func (f *form) authenticateBasic(encoded string) *Fault {
	id, secret, ok := parseBasic(encoded)
	switch {
	case f.clientSecret != "" || f.clientID != "" && f.clientID != id:
		return refuse(CodeInvalidRequest, "client credentials are given twice: by Basic and in the body")
	case !ok:
		return badClient
	}
	f.clientID, f.clientSecret = id, secret
	return nil
}

// parseBasic decodes Basic credentials (RFC 7617 section 2) whose id and secret are form-encoded first (RFC 6749 section
// 2.3.1 and appendix B).
func parseBasic(encoded string) (id, secret string, ok bool) {
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return "", "", false
	}
	id, secret, ok = strings.Cut(string(raw), ":")
	if !ok {
		return "", "", false
	}
	id, err1 := url.QueryUnescape(id)
	secret, err2 := url.QueryUnescape(secret)
	if err1 != nil || err2 != nil || id == "" || secret == "" || !utf8.ValidString(id) || !utf8.ValidString(secret) {
		return "", "", false
	}
	return id, secret, true
}
