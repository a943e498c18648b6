package main

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/accesstoken"
)

func testBroker(t *testing.T, realm string, key ed25519.PrivateKey) *broker {
	t.Helper()
	r, err := accesstoken.ForRealm(sdk.Setup{Realm: realm, Issuer: "https://gate", Audience: []string{"gate"}}, sdk.Duration(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return &broker{key: key, realm: r, issuer: "https://gate"}
}

func newKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func reason(b *broker, token string) string {
	_, err := b.Verify(context.Background(), sdk.Request{Scheme: "bearer", Token: token})
	if d := sdk.AsDenial(err); d != nil {
		return d.Reason
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func TestBroker(t *testing.T) {
	key := newKey(t)
	b := testBroker(t, "acme", key)
	token, err := b.Issue(t.Context(), sdk.Grant{Principal: sdk.PrincipalRef{Name: "eve"}, Realm: "acme", Issuer: "https://gate",
		TokenID: "t1", SecretVersion: "3", Scope: []string{"PRINCIPAL_ROLE:dev"}, Lifetime: 2 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	c, err := b.Verify(t.Context(), sdk.Request{Scheme: "bearer", Token: token.Value})
	if err != nil || c.Principal.Name != "eve" || c.TokenID != "t1" || c.SecretVersion != "3" || !c.Expires.Equal(token.Expires) ||
		c.Expires.Sub(c.IssuedAt) != time.Hour || len(c.RequestedRoles) != 1 {
		t.Errorf("%+v %v", c, err)
	}
	stale, _ := json.Marshal(payload{Claims: accesstoken.Claims{Issuer: "https://gate", Audience: []string{"gate"}, Realm: "acme",
		PrincipalName: "eve", ID: "t2"}, Expires: time.Now().Add(-time.Minute)})
	for name, c := range map[string]struct {
		at          *broker
		token, want string
	}{
		"changed":       {b, token.Value[:20] + "AAAA" + token.Value[24:], "signature_invalid"},
		"short":         {b, header + "AAAA", "signature_invalid"},
		"footer":        {b, token.Value + ".AAAA", "signature_invalid"},
		"another key":   {testBroker(t, "acme", newKey(t)), token.Value, "signature_invalid"},
		"another realm": {testBroker(t, "other", key), token.Value, "realm_mismatch"},
		"expired":       {b, sign(key, stale), "token_expired"},
		"other issuer":  {b, sign(key, []byte(`{"iss":"https://other"}`)), "issuer_mismatch"},
		"no claims":     {b, sign(key, []byte(`[]`)), "token_malformed"},
		"a JWT":         {b, "eyJhbGciOiJub25lIn0.e30.", sdk.ReasonNotMine},
	} {
		if got := reason(c.at, c.token); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// The encoding that is signed, by hand: four parts, each with its length as eight bytes, the least first.
func TestSigned(t *testing.T) {
	want := "0400000000000000" + "0a00000000000000" + hex.EncodeToString([]byte("v4.public.")) + "0200000000000000" + "7b7d" + strings.Repeat("00", 16)
	if got := hex.EncodeToString(signed([]byte("{}"))); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestParseKeyTellsNothing(t *testing.T) {
	if _, err := parseKey([]byte("canary")); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("%v", err)
	}
}
