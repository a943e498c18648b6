package plugintest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// leeway is how far clocks, and what is rounded to seconds, may be apart.
const leeway = 5 * time.Second

// grant makes what a token is issued for in the realm of the instance.
func (i *Instance) grant() sdk.Grant {
	return sdk.Grant{
		Principal: sdk.PrincipalRef{ID: "plugintest-1", Name: "plugintest-alice"}, ClientID: "plugintest-client", Scope: []string{i.c.Setup.RolePrefix + "ALL"},
		Realm: i.c.Setup.Realm, Issuer: i.c.Setup.Issuer, Audience: i.c.Setup.Audience, Lifetime: time.Minute, TokenID: "plugintest-" + rand.Text(), AuthTime: time.Now(), SecretVersion: "1",
	}
}

func (i *Instance) verify(ctx context.Context, token string) (*sdk.Credential, error) {
	st := sdk.State{Request: &sdk.Request{Realm: i.c.Setup.Realm, Scheme: i.c.scheme, Token: token}}
	if i.c.scheme == "" {
		st.Request.Scheme = "bearer"
	}
	err := i.Step(ctx, &st)
	return st.Credential, err
}

// roundTrip issues a token and verifies it; what no honest broker answers is a finding.
func (i *Instance) roundTrip(ctx context.Context, g sdk.Grant) (sdk.Token, error) {
	t, err := i.Issue(ctx, g)
	if err != nil {
		return t, err
	}
	switch now := time.Now(); {
	case t.ID != "" && t.ID != g.TokenID:
		return t, found("the token has the id %s, and its grant %s", excerpt(t.ID), excerpt(g.TokenID))
	case t.Expires.IsZero():
		return t, found("the token never expires")
	case t.Expires.Before(now):
		return t, found("the token has expired when it is issued")
	case t.Expires.After(now.Add(g.Lifetime + leeway)):
		return t, found("a token for %v lives for %v", g.Lifetime, t.Expires.Sub(now).Round(time.Second))
	}
	c, err := i.verify(ctx, t.Value)
	if d := sdk.AsDenial(err); d != nil {
		return t, found("the token that the instance just issued is denied: %s: %s", d.Reason, d.Detail)
	}
	if err != nil {
		return t, err
	}
	return t, i.carries(*c, t, g)
}

// carries says what of its grant a token has lost.
func (i *Instance) carries(c sdk.Credential, t sdk.Token, g sdk.Grant) error {
	for _, x := range []struct{ what, got, want string }{
		{"realm", c.Realm, g.Realm},
		{"issuer", c.Issuer, g.Issuer},
		{"token id", c.TokenID, g.TokenID},
		{"secret version", c.SecretVersion, g.SecretVersion},
		{"principal's id", c.Principal.ID, g.Principal.ID},
	} {
		if x.got != x.want {
			return found("the %s of the token's credential is %s, and %s in its grant", x.what, excerpt(x.got), excerpt(x.want))
		}
	}
	switch {
	case !slices.ContainsFunc(c.Audience, func(a string) bool { return slices.Contains(g.Audience, a) }):
		return found("the audience of the token's credential is %s, and %s in its grant", quoted(c.Audience), quoted(g.Audience))
	case c.Expires.IsZero():
		return found("the token's credential never expires")
	case c.Expires.After(time.Now().Add(g.Lifetime + 5*time.Minute)): // with the skew that the broker allows
		return found("the credential of a token for %v lives until %v", g.Lifetime, c.Expires)
	case c.TokenID == t.Value:
		return found("the token's id is the token itself; ids are logged")
	}
	return nil
}

// checkTokens: a token is good in its own realm, as it was issued, and nowhere else.
func checkTokens(ctx context.Context, s *suite, c Case) error {
	i, err := s.instance(ctx, c)
	if err != nil {
		return err
	}
	other := c
	other.Setup.Realm, other.Setup.Issuer = c.Setup.Realm+"-elsewhere", c.Setup.Issuer+"-elsewhere"
	other.Setup.Audience = []string{other.Setup.Issuer}
	there, err := s.instance(ctx, other)
	if err != nil {
		return fmt.Errorf("for another realm: %w", err)
	}
	t, err := i.roundTrip(ctx, i.grant())
	if err != nil {
		if fault := (&Case{tolerant: true}).judge(err); fault != nil || sdk.AsDenial(err) != nil {
			return errors.Join(fault, err)
		}
		return lack("it issues no token here: %v", err)
	}
	var faults []error
	damaged := map[string]string{"one with an end that was cut off": t.Value[:len(t.Value)-8], "one with text behind it": t.Value + "AAAA"}
	for what, at := range map[string]int{"in the middle": len(t.Value) / 2, "at its end": len(t.Value) - 6} {
		b := []byte(t.Value)
		if b[at] != 'A' {
			b[at] = 'A'
		} else {
			b[at] = 'B'
		}
		damaged["one that was changed "+what] = string(b)
	}
	for what, text := range damaged {
		_, err := i.verify(ctx, text)
		faults = append(faults, wantDenial("the token, "+what+",", err))
	}
	_, err = there.verify(ctx, t.Value)
	faults = append(faults, wantDenial("a token of another realm", err))
	if _, err := i.verify(ctx, t.Value); err != nil {
		faults = append(faults, fmt.Errorf("the token, once more: %w", err))
	}
	return errors.Join(append(faults, s.release(ctx, i), s.release(ctx, there))...)
}

func wantDenial(what string, err error) error {
	switch {
	case err == nil:
		return fmt.Errorf("%s is accepted", what)
	case sdk.AsDenial(err) == nil:
		return fmt.Errorf("%s is not denied, but fails, as if the plugin were at fault: %w", what, err)
	}
	return nil
}

// private are the members of a JWK that only its owner may have (RFC 7518 section 6).
var private = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}

// checkKeys: what is published verifies, and signs nothing.
func checkKeys(ctx context.Context, s *suite, c Case) error {
	i, err := s.instance(ctx, c)
	if err != nil {
		return err
	}
	raw, until, err := i.Keys(ctx)
	if err != nil {
		return errors.Join(unable(err, "it publishes no keys here: %v", err), s.release(ctx, i))
	}
	var set struct{ Keys []map[string]json.RawMessage }
	if err := json.Unmarshal(raw, &set); err != nil {
		return fmt.Errorf("the keys are no JWK set: %w", err)
	}
	for n, k := range set.Keys {
		for _, member := range private {
			if _, has := k[member]; has {
				return fmt.Errorf("key %d is a private one: it has %q", n, member)
			}
		}
		if k["kty"] == nil {
			return fmt.Errorf("key %d has no kty", n)
		}
	}
	if !until.IsZero() && until.Before(time.Now()) {
		return fmt.Errorf("the keys may be kept until %v, which is over", until)
	}
	return s.release(ctx, i)
}
