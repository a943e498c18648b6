package child

import (
	"regexp"
	"strings"

	"github.com/realmgate/realmgate/sdk"
)

// hidden stands where a secret stood.
const hidden = "[hidden]"

// Redactor hides what looks like a secret in text that plugins print or answer: tokens in the form of a JWT (RFC 7519),
// the values of Authorization headers (RFC 9110 section 11.6.2), passwords in URLs, private keys, and the values of keys
// that are named like a secret. It is the last net, not the first: a plugin must not print a secret at all.
//
// The zero Redactor is ready to use and safe for concurrent use.
type Redactor struct{}

// The patterns overlap on purpose. They are linear (RE2), so that no text can stall the host.
var (
	jwtPattern    = regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)+`)
	headerPattern = regexp.MustCompile(`(?i)((?:proxy-)?authorization\\?["']?\s*[:=]\s*\[?\\?["']?)[^"'\r\n\]\\]+`)
	schemePattern = regexp.MustCompile(`(?i)\b(bearer|basic|negotiate|dpop)(\s+)[A-Za-z0-9._~+/=-]{8,}`)
	pemPattern    = regexp.MustCompile(`(?s)(-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----).*?(-----END|$)`)
	userPattern   = regexp.MustCompile(`(\b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s/:@"']*:)[^\s/@"']+@`)
	pairPattern   = regexp.MustCompile(`(?i)(urn:)?([a-z0-9_.-]*(?:secret|passwd|password|passphrase|token|api[_-]?key|private[_-]?key|access[_-]?key|credential)[a-z0-9_-]*)` +
		`(\\?["']?)(\s*(?:=|:)\s*)("(?:[^"\\]|\\.)*"?|\\"[^"\\]*(?:\\")?|'[^']*'?|[^\s,;&"'{}\[\]()]+)`)
	keyPattern  = regexp.MustCompile(`(?i)secret|passwd|password|passphrase|token|api[_-]?key|private[_-]?key|access[_-]?key|credential|authorization`)
	surePattern = regexp.MustCompile(`(?i)passwd|password|passphrase|client[_-]?secret|secret[_-]|[_-]token|key`)
)

// Redact gives s with everything hidden that looks like a secret. References to secrets (urn:realmgate-secret:...) stay.
func (Redactor) Redact(s string) string {
	if s == "" {
		return s
	}
	s = pemPattern.ReplaceAllString(s, "${1}"+hidden+"${2}")
	s = jwtPattern.ReplaceAllString(s, hidden)
	s = headerPattern.ReplaceAllString(s, "${1}"+hidden)
	s = schemePattern.ReplaceAllString(s, "${1}${2}"+hidden)
	s = userPattern.ReplaceAllString(s, "${1}"+hidden+"@")
	return redactPairs(s)
}

// Safe makes text of a plugin fit for one line of an error or a log: printable, redacted, and no longer than limit bytes.
func Safe(s string, limit int) string { return Redactor{}.Redact(Printable(s, limit)) }

// Secret says whether a key of a structured log line is named like one whose value is a secret.
func (Redactor) Secret(key string) bool { return keyPattern.MatchString(key) }

func redactPairs(s string) string {
	var b strings.Builder
	last := 0
	for _, m := range pairPattern.FindAllStringSubmatchIndex(s, -1) {
		key, quote, sep, value := s[m[4]:m[5]], s[m[6]:m[7]], s[m[8]:m[9]], s[m[10]:m[11]]
		if m[2] >= 0 || reference(value) || quote == "" && (prose(key, sep, value) || storeFault(value, s[m[11]:])) {
			continue
		}
		b.WriteString(s[last:m[10]])
		b.WriteString(mask(value))
		last = m[11]
	}
	b.WriteString(s[last:])
	return b.String()
}

// mask keeps the quotes around a value, so that what was JSON stays so.
func mask(value string) string {
	for _, q := range []string{`\"`, `"`, `'`} {
		if strings.HasPrefix(value, q) {
			if len(value) > len(q) && strings.HasSuffix(value, q) {
				return q + hidden + q
			}
			return q + hidden
		}
	}
	return hidden
}

// reference says whether a value is a reference to a secret, perhaps before a colon: "secret store ci-token: urn:realmgate-secret:ci-token:kv/a#pem: ...".
func reference(value string) bool {
	_, err := sdk.ParseSecretRef(strings.Trim(strings.TrimSuffix(value, ":"), `\"'`))
	return err == nil
}

// storeFault tells what room secret says of a reference, at its place in the settings: "/private_key: secret store vault: ...".
func storeFault(value, rest string) bool {
	return value == "secret" && strings.HasPrefix(rest, " store ")
}

// prose tells "verify token: expired" from "token: c9f0f895": an error message that ends in a noun like token must stay
// readable. Keys that are no words of a sentence never count as prose.
func prose(key, sep, value string) bool {
	if !strings.HasPrefix(sep, ":") || !strings.HasSuffix(sep, " ") || surePattern.MatchString(key) {
		return false
	}
	word := strings.TrimRight(value, ".!?:")
	return len(word) < 16 && strings.Trim(strings.ToLower(word), "abcdefghijklmnopqrstuvwxyz-") == ""
}
