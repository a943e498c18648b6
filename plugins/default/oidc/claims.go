package oidc

import (
	"bytes"

	"github.com/golang-jwt/jwt/v5"

	"github.com/realmgate/realmgate/sdk"
)

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
