package connection

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// secretEnds are the last words of keys that name a secret; secretParts give one away wherever they stand, and
// secretSuffixes where several words are written as one. The keys of the API's own secrets come in addition.
var (
	secretEnds = []string{
		"token", "tokens", "credential", "credentials", "passphrase", "pass", "pwd", "apikey", "authorization", "auth", "cookie", "key", "keys", "bearer", "jwt",
		"sig", "signature", "sas",
	}
	secretParts    = append([]string{"pwd", "sas-token", "sas-key", "private-key", "account-key", "api-key", "shared-key"}, ownSecrets()...)
	secretStems    = []string{"secret", "password", "passwd"}
	secretSuffixes = []string{"token", "apikey", "accesskey", "privatekey", "accountkey", "sharedkey", "saskey"}
)

// publicEnds are ends of keys that name no secret; publicKeys are switches of our own vendors that sound like one.
var (
	publicEnds = []string{"access-key-id", "kms-key"}
	publicKeys = []string{"sigv4.normalize-path", "sigv4.encode-path", "sigv4.session-token"}
)

// ownSecrets gives the keys of secrets in authenticationParameters, in words.
func ownSecrets() []string {
	var out []string
	for _, fields := range secretFields {
		for _, f := range fields {
			out = append(out, strings.Join(wordsOf(f), "-"))
		}
	}
	return out
}

// wordsOf gives the words of a key in lower case, whether they are separated by punctuation or by capital letters.
func wordsOf(key string) []string {
	var b strings.Builder
	runes := []rune(key)
	for i, c := range runes {
		switch {
		case !unicode.IsLetter(c) && !unicode.IsDigit(c):
			c = ' '
		case unicode.IsUpper(c) && i > 0 && (!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])):
			b.WriteByte(' ')
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return strings.Fields(b.String())
}

// namesSecret says whether the key of a property or of a URI's parameter names a secret, as far as that can be told.
func namesSecret(key string) bool {
	words := wordsOf(key)
	if len(words) == 0 || slices.Contains(publicKeys, key) {
		return false
	}
	joined, last := "-"+strings.Join(words, "-")+"-", strings.TrimRight(words[len(words)-1], "0123456789")
	switch {
	case slices.ContainsFunc(publicEnds, func(p string) bool { return strings.HasSuffix(joined, "-"+p+"-") }):
		return false
	case slices.Contains(secretEnds, last), slices.ContainsFunc(secretSuffixes, func(p string) bool { return strings.HasSuffix(last, p) }):
		return true
	}
	return slices.ContainsFunc(secretStems, func(p string) bool { return strings.Contains(joined, p) }) ||
		slices.ContainsFunc(secretParts, func(p string) bool { return strings.Contains(joined, "-"+p+"-") })
}

// userPassword is a URL with a password in it. A user alone is none: abfss://container@account.
var userPassword = regexp.MustCompile(`://[^/?#\s@:]*:[^/?#\s]*@`)

// holdsSecret says whether the value of a property is a secret, as far as that can be told.
func holdsSecret(value string) bool {
	return strings.Contains(value, "PRIVATE KEY-----") || userPassword.MatchString(value)
}
