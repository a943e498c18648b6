package accesstoken

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// Claims are the payload of a token. Times are seconds since 1970; zero is none.
type Claims struct {
	Issuer        string   `json:"iss"`
	Audience      Audience `json:"aud"`
	Subject       string   `json:"sub,omitempty"`
	PrincipalName string   `json:"principal_name,omitempty"`
	Realm         string   `json:"realm"`
	ClientID      string   `json:"client_id,omitempty"`
	Scope         string   `json:"scope,omitempty"`
	ID            string   `json:"jti"`
	IssuedAt      int64    `json:"iat"`
	Expires       int64    `json:"exp"`
	AuthTime      int64    `json:"auth_time,omitempty"`
	SecretVersion string   `json:"csv,omitempty"`
}

// Audience is a list that may be written as a single string (RFC 7519 section 4.1.3).
type Audience []string

// UnmarshalJSON takes either form.
func (a *Audience) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte(`"`)) {
		*a = Audience{""}
		return json.Unmarshal(b, &(*a)[0])
	}
	return json.Unmarshal(b, (*[]string)(a))
}

func (c Claims) credential() sdk.Credential {
	out := sdk.Credential{
		Realm: c.Realm, Source: sdk.SourceInternal, Principal: sdk.PrincipalRef{ID: c.Subject, Name: c.PrincipalName},
		RequestedRoles: strings.Fields(c.Scope), Issuer: c.Issuer, Audience: c.Audience, TokenID: c.ID, ClientID: c.ClientID,
		SecretVersion: c.SecretVersion, Expires: time.Unix(c.Expires, 0),
	}
	if c.IssuedAt != 0 {
		out.IssuedAt = time.Unix(c.IssuedAt, 0)
	}
	if c.AuthTime != 0 {
		out.AuthTime = time.Unix(c.AuthTime, 0)
	}
	return out
}

// decodeClaims reads a payload. One that says it is of some issuer is told from others even if the rest is not of the right
// kind: the claims then have the issuer alone.
func decodeClaims(raw []byte) (Claims, error) {
	var c Claims
	err := json.Unmarshal(raw, &c)
	if err == nil {
		return c, nil
	}
	var only struct {
		Issuer string `json:"iss"`
	}
	_ = json.Unmarshal(raw, &only) // what is not even an object has no issuer
	return Claims{Issuer: only.Issuer}, err
}
