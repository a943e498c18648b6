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
			var text string
			if json.Unmarshal(raw, &text) == nil && Named(name) {
				out = append(out, Parts(text)...)
			}
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
		password, _ := u.User.Password()
		out = []string{password}
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

// Named says whether a name is one of a secret: a region, say, or the id of a key may be told.
func Named(name string) bool {
	name = strings.ToLower(name)
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(name, w) })
	}
	return has("secret", "token", "password", "passwd", "credential", "key") && !has("uri", "url", "endpoint", "expire", "type") && !strings.HasSuffix(name, "id")
}
