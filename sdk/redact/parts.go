package redact

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// sigv4 is what a signature of AWS looks like (Signature Version 4); its group is what makes it valid.
var sigv4 = regexp.MustCompile(`^Credential=[^, ]+, ?SignedHeaders=[^, ]+, ?Signature=([0-9a-f]{64})$`)

// Parts gives what of a secret must not be told, where some of it is known to everybody or told with good reason: the values of a
// JSON object by its names, a PEM block (RFC 7468) without its frame, the password of an address, a JWT (RFC 7519) without its header,
// the signature of a signed request. Of anything else it is all.
func Parts(secret string) []string {
	var out []string
	var object map[string]json.RawMessage
	if json.Unmarshal([]byte(secret), &object) == nil {
		for name, raw := range object {
			out = append(out, below(name, raw, 0)...)
		}
	} else if strings.Contains(secret, "-----BEGIN ") {
		for line := range strings.Lines(secret) {
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, "-----") {
				out = append(out, line)
			}
		}
	} else if m := sigv4.FindStringSubmatch(secret); m != nil {
		out = m[1:]
	} else if segments := strings.Split(secret, "."); len(segments) == 3 && isHeader(segments[0]) {
		out = segments[1:]
	} else if u, err := url.Parse(secret); err == nil && u.Host != "" && u.User != nil {
		out = ofAddress(u)
	}
	out = slices.DeleteFunc(out, func(part string) bool { return len(part) < Least })
	if len(out) == 0 {
		return []string{secret}
	}
	return out
}

func isHeader(segment string) bool {
	raw, err := base64.RawURLEncoding.DecodeString(segment)
	return err == nil && json.Valid(raw)
}

// maxDepth bounds how deep JSON is looked into.
const maxDepth = 16

// below gives the secrets of a value of a JSON object: texts and numbers by the name that they stand under, others by what they are.
func below(name string, raw json.RawMessage, depth int) (out []string) {
	var object map[string]json.RawMessage
	var list []json.RawMessage
	var text string
	switch {
	case depth > maxDepth:
		return []string{string(raw)}
	case json.Unmarshal(raw, &object) == nil:
		for inner, v := range object {
			out = append(out, below(inner, v, depth+1)...)
		}
	case json.Unmarshal(raw, &list) == nil:
		for _, v := range list {
			out = append(out, below(name, v, depth+1)...)
		}
	case json.Unmarshal(raw, &text) != nil:
		if Named(name) { // a number
			out = []string{string(raw)}
		}
	case Named(name):
		out = Parts(text)
	default:
		if parts := Parts(text); len(parts) != 1 || parts[0] != text { // it has a form of its own
			out = parts
		}
	}
	return out
}

// longName is how long a user name is that may be a token.
const longName = 20

// ofAddress gives what is secret in an address: the password, a user name that is as long as a token, parameters by their names.
func ofAddress(u *url.URL) []string {
	password, _ := u.User.Password()
	out := []string{password}
	if name := u.User.Username(); len(name) >= longName {
		out = append(out, name)
	}
	for name, values := range u.Query() {
		if Named(name) {
			out = append(out, values...)
		}
	}
	return out
}

var (
	secretWords   = []string{"secret", "token", "password", "passwd", "passphrase", "credential", "key", "private", "bearer", "signature"}
	shortWords    = []string{"pwd", "pass", "pin", "jwt", "dsn", "otp", "sig", "psk"} // which stand in others by chance
	harmlessLasts = []string{"uri", "url", "endpoint", "type", "id", "arn", "name", "kind", "header"}
	camel         = regexp.MustCompile(`([a-z0-9])([A-Z])`)
	between       = regexp.MustCompile(`[^a-z0-9]+`)
)

// Named says whether a name is one of a secret by its words: a region, say, or the id of a key, or when it expires, may be told.
func Named(name string) bool {
	words := between.Split(strings.ToLower(camel.ReplaceAllString(name, "${1}_${2}")), -1)
	last := words[len(words)-1]
	if slices.Contains(harmlessLasts, last) || strings.HasSuffix(last, "keyid") || slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, "expir") }) {
		return false
	}
	return slices.ContainsFunc(words, func(w string) bool {
		return slices.Contains(shortWords, w) || slices.ContainsFunc(secretWords, func(s string) bool { return strings.Contains(w, s) })
	})
}
