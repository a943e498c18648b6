package plugintest

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

// gossip is an identity provider that tells what it was shown and given.
type gossip struct {
	Key sdk.SecretRef `json:"key"`

	tell func(ctx context.Context, token, key string) error
}

func (g *gossip) Identify(ctx context.Context, r sdk.Request) (sdk.Identity, error) {
	key, err := g.Key.Value(ctx)
	if err != nil {
		return sdk.Identity{}, err
	}
	if r.Token != gossipToken {
		return sdk.Identity{}, sdk.NotMine()
	}
	if err := g.tell(ctx, r.Token, string(key.Reveal())); err != nil {
		return sdk.Identity{}, err
	}
	return sdk.Identity{Issuer: "i", Subject: "s", Claims: sdk.NewClaims([]byte(`{}`))}, nil
}

const (
	gossipToken = "opaque-3f9a51c7e2"
	gossipKey   = "k1: <a&b> \"c\"\nand a second line of it\n"
)

func gossipCase() Case {
	return Case{
		Kind: sdk.KindIdentityProvider, Type: "gossip", Settings: `{"key":"urn:realmgate-secret:s:key"}`, Setup: sdk.Setup{Tenant: "t"},
		Secrets: map[string]string{"urn:realmgate-secret:s:key": gossipKey},
		Call: func(ctx context.Context, i *Instance) error {
			return i.Step(ctx, &sdk.State{Request: &sdk.Request{Scheme: "bearer", Token: gossipToken}})
		},
	}
}

// What a plugin was shown and given is found wherever it tells of it, and is not in what is said about that.
func TestSecretsThatAreTold(t *testing.T) {
	t.Parallel()
	logged := func(text func(token, key string) string) func(context.Context, string, string) error {
		return func(ctx context.Context, token, key string) error {
			sdk.Logger(ctx).InfoContext(ctx, "signed", "what", text(token, key))
			return nil
		}
	}
	const token, key = "the plugin logs a secret that it was given or made: the token of a request", "the plugin logs a secret that it was given or made: the value of urn:realmgate-secret:s:key"
	for name, tt := range map[string]struct {
		tell func(ctx context.Context, token, key string) error
		want string
	}{
		"nothing":         {logged(func(string, string) string { return "a token of 17 bytes" }), ""},
		"the token":       {logged(func(token, _ string) string { return token }), token},
		"half of it":      {logged(func(token, _ string) string { return token[:12] }), token},
		"the key":         {logged(func(_, key string) string { return key }), key},
		"it, quoted":      {logged(func(_, key string) string { return fmt.Sprintf("%q", key) }), key},
		"it, in hex":      {logged(func(_, key string) string { return hex.EncodeToString([]byte(key)) }), key},
		"its bytes":       {logged(func(_, key string) string { return fmt.Sprint([]byte(key)) }), key},
		"its second line": {logged(func(_, key string) string { return strings.Split(key, "\n")[1] }), key},
		"a note": {func(ctx context.Context, token, _ string) error {
			sdk.NotesOf(ctx).Add("the token is %s", token)
			return nil
		}, "a note has a secret that the plugin was given or made: the token of a request"},
		"an error": {func(_ context.Context, _, key string) error {
			return fmt.Errorf("bad key %q", key)
		}, "an error has a secret that the plugin was given or made: the value of urn:realmgate-secret:s:key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			impls := []sdk.Implementation{sdk.IdentityProviderType("gossip", func(_ context.Context, _ sdk.Setup, g gossip) (*gossip, error) {
				g.tell = tt.tell
				return &g, nil
			})}
			var all collected
			Verify(t.Context(), InProcess(impls...), Options{Cases: casesIn(gossipCase())}, &all)
			found := ""
			for _, r := range all {
				text := strings.Join(r.Got, "\n")
				if r.Check == "secrets" {
					found = text
				}
				if strings.Contains(text, "second line of it") || strings.Contains(text, gossipToken) {
					t.Errorf("the report has it: %s: %s", r.Check, text)
				}
			}
			if found != tt.want {
				t.Errorf("%q, want %q", found, tt.want)
			}
		})
	}
}
