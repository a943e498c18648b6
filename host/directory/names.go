package directory

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of what is kept, in runes for names and bytes for attribute values.
const (
	maxName           = 256
	maxAttributes     = 64
	maxAttributeValue = 4096
)

// roleAll is the word by which a caller asks for all granted roles, so no role can be called so.
const roleAll = "ALL"

func checkName(field, s string) error {
	switch {
	case s == "":
		return &InvalidError{field, "must not be empty"}
	case !utf8.ValidString(s):
		return &InvalidError{field, "is not valid UTF-8"}
	case utf8.RuneCountInString(s) > maxName:
		return &InvalidError{field, fmt.Sprintf("is longer than %d characters", maxName)}
	case strings.ContainsFunc(s, unicode.IsControl):
		return &InvalidError{field, "has a control character"}
	case strings.TrimSpace(s) != s:
		return &InvalidError{field, "has leading or trailing white space"}
	}
	return nil
}

// checkRoleName takes what a scope can ask for (RFC 6749 section 3.3): printable ASCII without white space, " and \. A colon
// and a comma stand for other things in requests and answers.
func checkRoleName(field, s string) error {
	if err := checkName(field, s); err != nil {
		return err
	}
	switch {
	case s == roleAll:
		return &InvalidError{field, "is reserved"}
	case strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"\:,`, r) }):
		return &InvalidError{field, `has a character that no scope can ask for: only ASCII without white space, ", \, : and ,`}
	}
	return nil
}

func checkAttributes(m map[string]string) error {
	if len(m) > maxAttributes {
		return &InvalidError{"attributes", fmt.Sprintf("are more than %d", maxAttributes)}
	}
	for k, v := range m {
		if err := checkName("attributes", k); err != nil {
			return err
		}
		switch {
		case len(v) > maxAttributeValue:
			return &InvalidError{"attributes", fmt.Sprintf("have a value of more than %d bytes", maxAttributeValue)}
		case !utf8.ValidString(v) || strings.ContainsRune(v, 0):
			return &InvalidError{"attributes", "have a value that is not text"}
		}
	}
	return nil
}

// possible says whether something may be kept under this name. What comes from a caller is asked before the store is:
// PostgreSQL answers a NUL or broken UTF-8 with an error, which would make a bad request look like a broken store.
func possible(names ...string) bool {
	for _, s := range names {
		if checkName("name", s) != nil {
			return false
		}
	}
	return true
}
