package accesstoken

import (
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// Realm is what the tokens of one realm are bound to.
type Realm struct {
	name, issuer string
	audience     []string
	longest      time.Duration
}

// Bounds of the longest life of a token.
const (
	minLongest = time.Minute
	maxLongest = 30 * 24 * time.Hour
)

// ForRealm checks what the host says about the realm, and the longest life of its tokens, between one minute and 30 days:
// the setting max_token_generation.
func ForRealm(setup sdk.Setup, longest sdk.Duration) (Realm, error) {
	r := Realm{name: setup.Realm, issuer: setup.Issuer, audience: setup.Audience, longest: longest.Std()}
	var faults []error
	if setup.Realm == "" || setup.Issuer == "" || len(setup.Audience) == 0 {
		faults = append(faults, errors.New("a token broker belongs to a realm that has an issuer and an audience"))
	}
	if r.longest < minLongest || r.longest > maxLongest {
		faults = append(faults, sdk.At(errors.New("the longest life of a token lies between PT1M and P30D"), "max_token_generation"))
	}
	return r, errors.Join(faults...)
}

// Longest gives the longest life of a token.
func (r Realm) Longest() time.Duration { return r.longest }

// Claims gives the claims of a token for a grant. Its life is the grant's, at most the longest, less the fraction of a second
// by which that ends later than a whole one, and it ends at notAfter at the latest unless that is zero. A grant for another
// realm, issuer or audience is an error.
func (r Realm) Claims(g sdk.Grant, now, notAfter time.Time) (Claims, error) {
	switch {
	case g.Realm != r.name || g.Issuer != r.issuer:
		return Claims{}, errors.New("a grant is for another realm or issuer than the broker's")
	case slices.ContainsFunc(g.Audience, func(a string) bool { return !slices.Contains(r.audience, a) }):
		return Claims{}, errors.New("a grant is for an audience that is not among the realm's")
	case g.Principal == sdk.PrincipalRef{}:
		return Claims{}, errors.New("a grant names no principal")
	case g.Lifetime < 0:
		return Claims{}, errors.New("a grant has a negative life")
	}
	life := r.longest
	if g.Lifetime > 0 {
		life = min(life, g.Lifetime)
	}
	expires := now.Add(life).Unix()
	if !notAfter.IsZero() {
		expires = min(expires, notAfter.Unix())
	}
	c := Claims{
		Issuer: g.Issuer, Audience: g.Audience, Subject: g.Principal.ID, PrincipalName: g.Principal.Name,
		Realm: g.Realm, ClientID: g.ClientID, Scope: strings.Join(g.Scope, " "), ID: g.TokenID,
		IssuedAt: now.Unix(), Expires: expires, SecretVersion: g.SecretVersion,
	}
	if len(c.Audience) == 0 {
		c.Audience = r.audience
	}
	if c.ID == "" {
		c.ID = rand.Text()
	}
	if !g.AuthTime.IsZero() {
		c.AuthTime = g.AuthTime.Unix()
	}
	return c, nil
}

// Credential checks the claims of a token whose signature is valid, and gives the credential. It is denied for one of
// realm_mismatch, audience_mismatch, token_expired and token_malformed.
func (r Realm) Credential(c Claims, now time.Time) (sdk.Credential, error) {
	switch {
	case c.Realm != r.name:
		return sdk.Credential{}, sdk.Deny("realm_mismatch", "the token is for another realm")
	case !slices.ContainsFunc(c.Audience, func(a string) bool { return slices.Contains(r.audience, a) }):
		return sdk.Credential{}, sdk.Deny("audience_mismatch", "the token is for another audience")
	case c.Expires <= now.Unix():
		return sdk.Credential{}, sdk.Deny("token_expired", "the token has expired")
	case c.Subject == "" && c.PrincipalName == "" || c.ID == "":
		return sdk.Credential{}, sdk.Deny("token_malformed", "the token names no principal or has no id")
	}
	return c.credential(), nil
}
