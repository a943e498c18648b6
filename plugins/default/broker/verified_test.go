package broker

import (
	"context"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/verified"
)

// call is one of a realm in the epoch 1.
type call struct{ sdk.UnimplementedCall }

func (call) Epoch() uint64 { return 1 }

// counted counts the signatures that are checked.
type counted struct {
	jwt.SigningMethod
	n int
}

func (c *counted) Verify(signed string, signature []byte, key any) error {
	c.n++
	return c.SigningMethod.Verify(signed, signature, key)
}

// set is a source of keys that a test changes.
type set struct{ keys *keys }

func (s *set) current(context.Context, time.Time) *keys { return s.keys }

// Of a token that was verified only the signature is not checked again, and not without the key that it was verified with.
func TestVerifiedOnce(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		settings *verified.Settings
		change   func(b *KeyPair, s *set)
		reason   string
		checked  int
	}{
		"again":           {nil, func(*KeyPair, *set) {}, "", 0},
		"switched off":    {&verified.Settings{}, func(*KeyPair, *set) {}, "", 1},
		"expired":         {nil, func(b *KeyPair, _ *set) { b.now = func() time.Time { return time.Now().Add(time.Hour) } }, "token_expired", 1}, // nothing is remembered for longer than a token lives
		"the key is gone": {nil, func(_ *KeyPair, s *set) { s.keys = &keys{} }, "key_unknown", 0},
		"the key serves for another algorithm": {nil, func(_ *KeyPair, s *set) {
			k := s.keys.signer
			k.method = jwt.SigningMethodES256
			s.keys = &keys{signer: k, verifies: []key{k}}
		}, "algorithm_not_allowed", 0},
	} {
		b, err := new(Ephemeral).NewRSA(t.Context(), realm1, KeyPairSettings{
			PrivateKeyFile: file(t, privatePEM(testKeys[0]()), 0o600), MaxGeneration: sdk.Duration(time.Hour), VerifiedTokens: tt.settings,
		})
		if err != nil {
			t.Fatal(err)
		}
		k := b.keys.current(t.Context(), time.Now()).signer
		count := &counted{SigningMethod: k.method}
		k.method = count
		s := &set{&keys{signer: k, verifies: []key{k}}}
		b.keys = s
		ctx := sdk.WithCall(t.Context(), call{})
		token, err := b.Issue(ctx, grant(realm1))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Verify(ctx, bearer(token.Value)); err != nil || count.n != 1 {
			t.Fatalf("%s: %v after %d signatures", name, err, count.n)
		}
		tt.change(b, s)
		_, err = b.Verify(ctx, bearer(token.Value))
		got := ""
		if d := sdk.AsDenial(err); d != nil {
			got, err = d.Reason, nil
		}
		if err != nil || got != tt.reason || count.n != 1+tt.checked {
			t.Errorf("%s: %q, %v after %d more signatures", name, got, err, count.n-1)
		}
	}
}
