package explain

import (
	"encoding/base64"
	"net/url"
	"regexp"
	"strings"

	"github.com/realmgate/realmgate/host/child"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/redact"
)

// secretsOf gives what of a request is not shown: words as a whole, and secrets also in part and in other forms.
//
// That is the credential, and each part of one in the form of a JWT (RFC 7515): the last one is what makes it valid, and the
// others have claims that are shown, if at all, by name. Of a signature that says whose it is (AWS Signature Version 4) it is what
// makes it valid, of user and password (RFC 7617) the password, too. Beside the credential it is what the request has in headers
// and parameters that are named like those of secrets.
func secretsOf(r sdk.Request) (words, secrets []string) {
	switch {
	case r.Scheme == "aws4-hmac-sha256" && presigned.MatchString(r.Token):
		words, secrets = []string{r.Token}, parameters(r.Token)
	case r.Scheme == "aws4-hmac-sha256" && strings.HasPrefix(r.Token, "Credential="):
		words, secrets = []string{r.Token}, redact.Parts(r.Token)
	case r.Scheme == "basic":
		words, secrets = []string{r.Token}, append(userAndPassword(r.Token), r.Token)
	default:
		words, secrets = append(strings.Split(r.Token, "."), r.Token), []string{r.Token}
	}
	if r.HTTP != nil {
		_, query, _ := strings.Cut(r.HTTP.RawTarget, "?")
		secrets = append(secrets, parameters(query)...)
		for _, f := range r.HTTP.Header {
			secrets = append(secrets, header(f, r)...)
		}
	}
	return append(words, secrets...), secrets
}

// presigned finds a signature of AWS that stands in a query.
var presigned = regexp.MustCompile(`(?:^|&)X-Amz-Signature=[0-9a-f]{64}(?:&|$)`)

// telling is what further headers and parameters that have secrets have in their names. That of an access key, X-Amz-Credential,
// has none.
var telling = regexp.MustCompile(`(?i)auth|cookie|session|assertion|signature|jwt|dpop|^code$|^sig$`)

func isSecret(name string) bool {
	return ((child.Redactor{}).Secret(name) || telling.MatchString(name)) && !strings.EqualFold(name, "X-Amz-Credential")
}

// parameters gives the values of a query that are secrets, as they are on the wire and as they are meant.
func parameters(query string) (out []string) {
	for part := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		if !isSecret(name) {
			continue
		}
		out = append(out, value)
		if plain, err := url.QueryUnescape(value); err == nil {
			out = append(out, plain)
		}
	}
	return out
}

// header gives what of a header field is secret, but for the credential, which may stand in it.
func header(f sdk.Header, r sdk.Request) []string {
	scheme, token, _ := strings.Cut(f.Value, " ")
	token = strings.TrimLeft(token, " ")
	switch {
	case !isSecret(f.Name), strings.EqualFold(scheme, r.Scheme) && token == r.Token:
		return nil
	case strings.EqualFold(f.Name, "cookie"): // RFC 6265 section 4.2.1
		out := []string{f.Value}
		for pair := range strings.SplitSeq(f.Value, ";") {
			_, value, _ := strings.Cut(pair, "=")
			out = append(out, strings.Trim(value, ` "`))
		}
		return out
	case strings.EqualFold(scheme, "basic"):
		return append(userAndPassword(token), f.Value, token)
	}
	return []string{f.Value, token}
}

// userAndPassword gives the two, and the password alone.
func userAndPassword(token string) []string {
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(token, "="))
	if err != nil {
		return nil
	}
	_, password, _ := strings.Cut(string(raw), ":")
	return []string{string(raw), password}
}
