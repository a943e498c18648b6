package oidc

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/realmgate/realmgate/sdk"
)

// call is one of a realm in an epoch.
type call struct {
	sdk.UnimplementedCall
	epoch uint64
}

func (c call) Epoch() uint64 { return c.epoch }

func in(t *testing.T, epoch uint64) context.Context {
	return sdk.WithCall(t.Context(), call{epoch: epoch})
}

// counted counts the signatures that are checked.
type counted struct {
	jwt.SigningMethod
	n *int
}

func (c counted) Verify(signed string, signature []byte, key any) error {
	*c.n++
	return c.SigningMethod.Verify(signed, signature, key)
}

// counting has the signatures counted of tokens with the header of this one.
func counting(t *testing.T, p *Provider, token string) (n *int) {
	t.Helper()
	head, _, _ := strings.Cut(token, ".")
	h, err := p.readHeader(head)
	if err != nil {
		t.Fatal(err)
	}
	n = new(int)
	h.method = counted{h.method, n}
	p.header.Store(h)
	return n
}

// Of a token that was verified only the signature is not checked again: whatever else there is about it decides anew.
func TestVerifiedOnce(t *testing.T) {
	t.Parallel()
	f := newFakeIssuer(t, jwk("rsa", "", "", rsaKey().Public()))
	now := time.Now()
	good := f.sign(t, token{claims: map[string]any{"exp": now.Unix() + 60}})
	broken := good[:len(good)-8] + "AAAAAAAA"
	for _, tt := range []struct {
		name     string
		settings map[string]any
		change   func(p *Provider)
		token    string
		epoch    uint64
		reason   string
		checked  int
	}{
		{"again", nil, nil, good, 1, "", 0},
		{"expired", nil, func(p *Provider) { p.now = func() time.Time { return now.Add(91 * time.Second) } }, good, 1, "token_expired", 0},
		{"not for us any more", nil, func(p *Provider) { p.settings.Audience = []string{"other"} }, good, 1, "audience_mismatch", 0},
		{"from another issuer", nil, func(p *Provider) { p.settings.Issuer = "https://other" }, good, 1, "issuer_mismatch", 0},
		{"the same with another signature", nil, nil, broken, 1, "signature_invalid", 1},
		{"another epoch", nil, nil, good, 2, "", 1},
		{"nothing may be remembered", nil, nil, good, 0, "", 1},
		{"switched off", map[string]any{"verified_tokens": []any{map[string]any{"max_age": "PT0S"}}}, nil, good, 1, "", 1},
	} {
		p := f.provider(t, tt.settings)
		n := counting(t, p, good)
		if _, err := p.Identify(in(t, 1), bearer(good)); err != nil || *n != 1 {
			t.Fatalf("%s: %v after %d signatures", tt.name, err, *n)
		}
		if tt.change != nil {
			tt.change(p)
		}
		_, err := p.Identify(in(t, tt.epoch), bearer(tt.token))
		if reason(err) != tt.reason || *n != 1+tt.checked {
			t.Errorf("%s: %v after %d more signatures", tt.name, err, *n-1)
		}
	}
}

// A key that is gone, or another one under its id, verifies nothing that was verified before.
func TestVerifiedByAKeyThatIsGone(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		keys   []jose.JSONWebKey
		reason string
	}{
		"gone":                     {[]jose.JSONWebKey{jwk("rsa2", "", "", rsaKey2().Public())}, "key_unknown"},
		"another one under its id": {[]jose.JSONWebKey{jwk("rsa", "", "", rsaKey2().Public())}, "signature_invalid"},
		"one more":                 {[]jose.JSONWebKey{jwk("rsa", "", "", rsaKey().Public()), jwk("rsa2", "", "", rsaKey2().Public())}, ""},
	} {
		f := newFakeIssuer(t, jwk("rsa", "", "", rsaKey().Public()))
		p := f.provider(t, nil)
		good := f.sign(t, token{claims: map[string]any{"exp": time.Now().Add(time.Hour).Unix()}})
		for range 2 {
			if _, err := p.Identify(in(t, 1), bearer(good)); err != nil {
				t.Fatal(err)
			}
		}
		f.change(func() { f.keys = tt.keys })
		set, err := p.keys.fetchKeys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p.keys.mu.Lock()
		p.keys.set = set
		p.keys.mu.Unlock()
		if _, err := p.Identify(in(t, 1), bearer(good)); reason(err) != tt.reason {
			t.Errorf("%s: %v", name, err)
		}
	}
}
