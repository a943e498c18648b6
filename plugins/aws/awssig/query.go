package awssig

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/realmgate/realmgate/plugins/aws/internal/ascii"
)

// Param is one parameter of a query, decoded.
type Param struct{ Name, Value string }

// Query is a query, in the order of the wire.
type Query []Param

// ParseQuery reads a query as it is on the wire. A plus sign is an error, since some take it for a space and some do not: a
// signature must not be good for both.
func ParseQuery(raw string) (Query, error) {
	if raw == "" {
		return nil, nil
	}
	var q Query
	for part := range strings.SplitSeq(raw, "&") {
		name, value, _ := strings.Cut(part, "=")
		var p Param
		var err error
		if p.Name, err = unescape(name); err != nil {
			return nil, err
		}
		if p.Value, err = unescape(value); err != nil {
			return nil, err
		}
		q = append(q, p)
	}
	return q, nil
}

// One gives the value of a parameter that is there once. Names that differ in case only count as one (CVE-2022-2385).
func (q Query) One(name string) (string, error) {
	var found []Param
	for _, p := range q {
		if strings.EqualFold(p.Name, name) {
			found = append(found, p)
		}
	}
	if len(found) != 1 || found[0].Name != name {
		return "", fmt.Errorf("the parameter %s has to be there, once, and in this spelling", name)
	}
	return found[0].Value, nil
}

// Has says whether a parameter is there, whatever the case of its name.
func (q Query) Has(name string) bool {
	return slices.ContainsFunc(q, func(p Param) bool { return strings.EqualFold(p.Name, name) })
}

// Without gives the query without a parameter.
func (q Query) Without(name string) Query {
	return slices.DeleteFunc(slices.Clone(q), func(p Param) bool { return p.Name == name })
}

// Encode gives the canonical form: escaped, sorted by name and value.
func (q Query) Encode() string {
	out := make([]string, len(q))
	for i, p := range q {
		out[i] = escape(p.Name, "") + "=" + escape(p.Value, "")
	}
	// Sorted by name first: "a" comes before "a-b", though "a=" comes after "a-b=".
	slices.SortFunc(out, func(a, b string) int {
		an, av, _ := strings.Cut(a, "=")
		bn, bv, _ := strings.Cut(b, "=")
		if c := strings.Compare(an, bn); c != 0 {
			return c
		}
		return strings.Compare(av, bv)
	})
	return strings.Join(out, "&")
}

var errEscape = errors.New("the query has a % that is not followed by two hexadecimal digits, or a +, for which %20 or %2B is to be written")

func unescape(s string) (string, error) {
	if !strings.ContainsAny(s, "%+") {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			return "", errEscape
		case s[i] != '%':
			b.WriteByte(s[i])
		case i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			b.WriteByte(unhex(s[i+1])<<4 | unhex(s[i+2]))
			i += 2
		default:
			return "", errEscape
		}
	}
	return b.String(), nil
}

func isHex(c byte) bool { return strings.IndexByte("0123456789abcdefABCDEF", c) >= 0 }

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10
}

// escape percent-encodes every byte but the unreserved characters of RFC 3986 and those of also.
func escape(s, also string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; ascii.Consists(s[i:i+1], 1, "-._~") || strings.IndexByte(also, c) >= 0 {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
		}
	}
	return b.String()
}
