package token

import (
	"encoding/base64"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/host/limit"
)

// maxForm bounds the body of a token request.
const maxForm = 64 << 10

// form is a token request, parsed once at the door.
type form struct {
	grantType, scope string
	client           client
	subjectToken     string // of a token exchange
}

// client is what a request authenticates its client with.
type client struct {
	id, secret string
	bearer     string // the token of a Bearer header

	standing limit.Standing       // of id, as far as somebody has asked
	proven   *directory.Principal // whose secret or token was accepted; nil: nobody has proved anything yet
}

// hasSecret says whether the client authenticates with its secret.
func (c client) hasSecret() bool { return c.id != "" && c.secret != "" }

// missing is the refusal of a request that has no client authentication, or half of one.
func (c client) missing() *Fault {
	if c.secret != "" {
		return refuse(CodeInvalidRequest, "client_id is missing: a client credential is an id and a secret, often written id:secret")
	}
	return refuse(CodeInvalidClient, "client authentication is missing")
}

// The grants that the endpoint knows.
const (
	grantClientCredentials = "client_credentials"
	grantTokenExchange     = "urn:ietf:params:oauth:grant-type:token-exchange"
)

// parse reads a token request (RFC 6749 section 4.4.2, RFC 8693 section 2.1). The client is also set when parse
// fails, so that the answer can carry the challenge.
func parse(r *http.Request) (f form, fault *Fault) {
	values, fault := readForm(r)
	if fault != nil {
		return f, fault
	}
	f.grantType, f.scope = values.Get("grant_type"), values.Get("scope")
	switch f.grantType {
	case "":
		return f, refuse(CodeInvalidRequest, "grant_type is missing")
	case grantClientCredentials, grantTokenExchange:
	default:
		return f, refuse(CodeUnsupportedGrantType, "only client_credentials and token exchange (RFC 8693) are supported")
	}
	if f.client, fault = clientOf(r, values); fault != nil {
		return f, fault
	}
	if f.grantType == grantTokenExchange {
		return f, f.parseExchange(values)
	}
	if !f.client.hasSecret() {
		return f, f.client.missing()
	}
	return f, nil
}

// parseExchange reads what RFC 8693 section 2.1 adds. A token is always for the realm's audience: audience and resource are
// ignored as any unknown parameter is, here and with client credentials.
func (f *form) parseExchange(values url.Values) *Fault {
	f.subjectToken = values.Get("subject_token")
	switch typ := values.Get("subject_token_type"); {
	case values.Has("actor_token") || values.Has("actor_token_type"):
		return refuse(CodeInvalidRequest, "an actor_token is not supported: a token is exchanged for another one of its own principal")
	case f.subjectToken == "":
		return refuse(CodeInvalidRequest, "subject_token is missing")
	case typ != accessTokenType:
		return refuse(CodeInvalidRequest, "subject_token_type has to be "+accessTokenType)
	}
	if typ := values.Get("requested_token_type"); typ != "" && typ != accessTokenType {
		return refuse(CodeInvalidRequest, "requested_token_type can only be "+accessTokenType)
	}
	if !f.client.hasSecret() && (f.client.secret != "" || f.client.bearer == "") {
		return f.client.missing()
	}
	return nil
}

// repeatable are the parameters that may be there more than once (RFC 8693 section 2.1, RFC 8707 section 2).
var repeatable = map[string]bool{"audience": true, "resource": true}

// readForm reads a form in the body and nothing else. No parameter is there twice but those that may be, and one without a
// value counts as left out (RFC 6749 section 3.2).
func readForm(r *http.Request) (url.Values, *Fault) {
	if r.URL.RawQuery != "" {
		return nil, refuse(CodeInvalidRequest, "parameters belong in the body, not in the query")
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return nil, refuse(CodeInvalidRequest, "the body has to be application/x-www-form-urlencoded")
	}
	if len(r.Header.Values("Content-Encoding")) > 0 {
		return nil, refuse(CodeInvalidRequest, "the body must not be encoded")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxForm+1))
	if err != nil {
		return nil, refuse(CodeInvalidRequest, "the body could not be read")
	}
	if len(body) > maxForm {
		return nil, refuse(CodeInvalidRequest, "the body is too large")
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, refuse(CodeInvalidRequest, "the body is not a well-formed form")
	}
	for name, v := range values {
		if len(v) > 1 && !repeatable[name] {
			return nil, refuse(CodeInvalidRequest, "a parameter is given more than once")
		}
		if !utf8.ValidString(strings.Join(v, "")) {
			return nil, refuse(CodeInvalidRequest, "the body is not UTF-8")
		}
		if v[0] == "" && len(v) == 1 {
			delete(values, name)
		}
	}
	return values, nil
}

// clientOf finds the client's credentials: by Basic or in the body, never both (RFC 6749 section 2.3). A header of another
// scheme than Basic is no client authentication by itself: Iceberg clients send the token that they have, with their
// credentials in the body.
func clientOf(r *http.Request, values url.Values) (c client, _ *Fault) {
	c.id, c.secret = values.Get("client_id"), values.Get("client_secret")
	headers := r.Header.Values("Authorization")
	if len(headers) > 1 {
		return c, refuse(CodeInvalidRequest, "there is more than one Authorization header")
	}
	if len(headers) == 0 {
		return c, nil
	}
	scheme, rest, _ := strings.Cut(headers[0], " ")
	switch rest = strings.TrimLeft(rest, " "); strings.ToLower(scheme) {
	case "basic":
		return c, c.readBasic(rest)
	case "bearer":
		c.bearer = rest
	}
	return c, nil
}

func (c *client) readBasic(encoded string) *Fault {
	id, secret, ok := parseBasic(encoded)
	switch {
	case c.secret != "" || c.id != "" && c.id != id:
		return refuse(CodeInvalidRequest, "client credentials are given twice: by Basic and in the body")
	case !ok:
		return badClient
	}
	c.id, c.secret = id, secret
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
