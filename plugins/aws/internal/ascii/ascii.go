package ascii

import "strings"

// Letter says whether a character is a letter or a digit.
func Letter(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// Consists says whether s has letters, digits and the further characters (ASCII) only, at least one and at most limit.
func Consists(s string, limit int, also string) bool {
	return s != "" && len(s) <= limit && !strings.ContainsFunc(s, func(c rune) bool { return !Letter(c) && !strings.ContainsRune(also, c) })
}

// HeaderName says whether s is the name of a header of at most limit bytes (a token, RFC 9110 section 5.6.2).
func HeaderName(s string, limit int) bool { return Consists(s, limit, "!#$%&'*+-.^_`|~") }

// Visible says whether s has no space, no control character and nothing beyond ASCII in it.
func Visible(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c >= 0x7f })
}

// Hash says whether s is a SHA-256 in hexadecimal digits, in lower case.
func Hash(s string) bool { return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == "" }
