package oidc

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/realmgate/realmgate/sdk"
)

// claims are the registered claims of a token, as it presents them.
type claims struct {
	issuer, subject, id, party             string
	audience                               []string
	expires, notBefore, issuedAt, authTime time.Time
}

// readClaims reads the registered claims; names are compared exactly. One that is there but of a wrong kind denies the
// token (token_malformed): it must not count as absent.
func readClaims(c *sdk.Claims) (claims, error) {
	m := c.Map()
	var out claims
	ok := m != nil && text(m, "iss", &out.issuer) && text(m, "sub", &out.subject) && text(m, "jti", &out.id) &&
		text(m, "client_id", &out.party) && text(m, "azp", &out.party) &&
		date(m, "exp", &out.expires) && date(m, "nbf", &out.notBefore) && date(m, "iat", &out.issuedAt) && date(m, "auth_time", &out.authTime)
	if v, present := m["aud"]; present {
		one, isText := v.(string)
		if out.audience = []string{one}; !isText {
			var isList bool
			out.audience, isList = stringList(v)
			ok = ok && isList
		}
	}
	if !ok {
		return claims{}, sdk.Deny("token_malformed", "a registered claim of the token is of a wrong kind")
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

// payload takes the claims as they stand, so that they are parsed once for all stages of a decision.
type payload struct{ *sdk.Claims }

// UnmarshalJSON keeps a copy of the JSON.
func (p *payload) UnmarshalJSON(b []byte) error {
	p.Claims = sdk.NewClaims(bytes.Clone(b))
	return nil
}

// The provider checks the claims itself: jwt's own checks are never asked for.

// GetExpirationTime satisfies jwt.Claims.
func (*payload) GetExpirationTime() (*jwt.NumericDate, error) { return nil, nil }

// GetIssuedAt satisfies jwt.Claims.
func (*payload) GetIssuedAt() (*jwt.NumericDate, error) { return nil, nil }

// GetNotBefore satisfies jwt.Claims.
func (*payload) GetNotBefore() (*jwt.NumericDate, error) { return nil, nil }

// GetIssuer satisfies jwt.Claims.
func (*payload) GetIssuer() (string, error) { return "", nil }

// GetSubject satisfies jwt.Claims.
func (*payload) GetSubject() (string, error) { return "", nil }

// GetAudience satisfies jwt.Claims.
func (*payload) GetAudience() (jwt.ClaimStrings, error) { return nil, nil }
