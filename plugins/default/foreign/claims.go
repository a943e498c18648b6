package foreign

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// Claims are the registered claims of a token (RFC 7519 section 4.1, RFC 7662 section 2.2), as it presents them.
type Claims struct {
	Issuer, Subject, ID                    string
	Party                                  string // azp, or client_id where there is none
	Audience                               []string
	Expires, NotBefore, IssuedAt, AuthTime time.Time // zero: absent
}

// Begin gives when the token begins to be valid; zero if it does not say. One that was issued in the future is not valid before.
func (c Claims) Begin() time.Time {
	if c.IssuedAt.After(c.NotBefore) {
		return c.IssuedAt
	}
	return c.NotBefore
}

// ReadClaims reads the registered claims; names are compared exactly. One that is there but of a wrong kind denies the
// token (token_malformed): it must not count as absent.
func ReadClaims(c *sdk.Claims) (Claims, error) {
	m := c.Map()
	var out Claims
	ok := m != nil && text(m, "iss", &out.Issuer) && text(m, "sub", &out.Subject) && text(m, "jti", &out.ID) &&
		text(m, "client_id", &out.Party) && text(m, "azp", &out.Party) &&
		date(m, "exp", &out.Expires) && date(m, "nbf", &out.NotBefore) && date(m, "iat", &out.IssuedAt) && date(m, "auth_time", &out.AuthTime)
	if v, present := m["aud"]; present {
		one, isText := v.(string)
		if out.Audience = []string{one}; !isText {
			var isList bool
			out.Audience, isList = stringList(v)
			ok = ok && isList
		}
	}
	if !ok {
		return Claims{}, sdk.Deny("token_malformed", "a registered claim of the token is of a wrong kind")
	}
	return out, nil
}

func text(m map[string]any, name string, to *string) bool {
	v, present := m[name]
	if !present {
		return true
	}
	s, ok := v.(string)
	*to = s
	return ok
}

// date reads a NumericDate (RFC 7519 section 2), which may have a fraction.
func date(m map[string]any, name string, to *time.Time) bool {
	v, present := m[name]
	if !present {
		return true
	}
	n, ok := v.(json.Number)
	seconds, err := n.Float64()
	if !ok || err != nil || seconds < 0 || seconds > 1e11 {
		return false
	}
	*to = time.UnixMilli(int64(seconds * 1000))
	return true
}

func stringList(v any) ([]string, bool) {
	list, ok := v.([]any)
	if !ok {
		return nil, false
	}
	out := make([]string, len(list))
	for i, x := range list {
		if out[i], ok = x.(string); !ok {
			return nil, false
		}
	}
	return out, true
}

// Roles reads the claim with the roles: a list of strings or a string that splits at white space; none if it is absent.
func Roles(c *sdk.Claims, at sdk.ClaimPath) ([]string, error) {
	v, ok := c.Lookup(at)
	if !ok || v == nil {
		return nil, nil
	}
	if text, ok := v.(string); ok {
		return strings.Fields(text), nil
	}
	roles, ok := stringList(v)
	if !ok {
		return nil, sdk.Deny("claim_invalid", "the claim %s is neither a list of strings nor a string", at)
	}
	return roles, nil
}

// Intersect says whether the lists have anything in common.
func Intersect(a, b []string) bool {
	return slices.ContainsFunc(a, func(x string) bool { return slices.Contains(b, x) })
}

// Quoted writes a list out of a token for people.
func Quoted(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = strconv.Quote(s)
	}
	return strings.Join(out, ", ")
}
