package plugintest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
	"github.com/realmgate/realmgate/sdk/serve"
)

// The test binary is a plugin if a host starts it.
func TestMain(m *testing.M) {
	if os.Getenv(serve.Handshake.MagicCookieKey) == serve.Handshake.MagicCookieValue {
		serve.Main("good", "1.0.0", good()...)
	}
	os.Exit(m.Run())
}

type settings struct {
	Claim string `json:"claim" doc:"claim that holds the badge number"`
}

// badge is a mapper that may be made to misbehave.
type badge struct {
	settings
	misbehave func(context.Context, sdk.Identity) error
}

func (b *badge) MapPrincipal(ctx context.Context, id sdk.Identity) (sdk.PrincipalRef, error) {
	if b.misbehave != nil {
		if err := b.misbehave(ctx, id); err != nil {
			return sdk.PrincipalRef{}, err
		}
	}
	v, ok := id.Claims.String(b.Claim)
	if !ok {
		return sdk.PrincipalRef{}, sdk.Deny("claim_missing", "the token has no claim %q", b.Claim)
	}
	return sdk.PrincipalRef{Name: v}, nil
}

func badges(misbehave func(context.Context, sdk.Identity) error, opts ...sdk.Option) []sdk.Implementation {
	return []sdk.Implementation{sdk.PrincipalMapperType("badge", func(_ context.Context, _ sdk.Setup, s settings) (*badge, error) {
		return &badge{settings: s, misbehave: misbehave}, nil
	}, opts...)}
}

// greeter asks the host for everything that it can be asked for.
type greeter struct {
	Password sdk.SecretRef `json:"password"`
}

func (g *greeter) Authenticate(ctx context.Context, c sdk.Credential) (sdk.Principal, error) {
	if s, err := g.Password.Value(ctx); err != nil || string(s.Reveal()) != "hunter2" {
		return sdk.Principal{}, errors.Join(err, errors.New("the password is another one"))
	}
	k, err := sdk.FindAccessKey(ctx, c.TokenID)
	if err != nil {
		return sdk.Principal{}, err
	}
	return sdk.FindPrincipal(ctx, k.Principal)
}

func mustRef(text string) sdk.SecretRef {
	ref, err := sdk.ParseSecretRef(text)
	if err != nil {
		panic(err)
	}
	return ref
}

func good() []sdk.Implementation {
	return append(append(append(badges(nil), tellers("")...), vaults("")...), greeters(sdk.Wants(sdk.WantPrincipals, sdk.WantAccessKeys)))
}

func greeters(opts ...sdk.Option) sdk.Implementation {
	return sdk.AuthenticatorType("greeter", func(_ context.Context, _ sdk.Setup, g greeter) (*greeter, error) { return &g, nil }, opts...)
}

func badgeCase() Case {
	return Case{
		Kind: sdk.KindPrincipalMapper, Type: "badge", Settings: `{"claim":"badge"}`,
		Call: func(ctx context.Context, i *Instance) error {
			st := sdk.State{Identity: &sdk.Identity{Claims: sdk.NewClaims([]byte(`{"badge":"7"}`))}}
			if err := i.Step(ctx, &st); err != nil {
				return err
			}
			if st.Ref.Name != "7" {
				return fmt.Errorf("mapped to %+v", st.Ref)
			}
			return nil
		},
	}
}

func greeterCase() Case {
	return Case{
		Name: "with a secret", Kind: sdk.KindAuthenticator, Type: "greeter", Settings: `{"password":"urn:realmgate-secret:s:p"}`,
		Setup:      sdk.Setup{Realm: "realm1"},
		Principals: []sdk.Principal{{ID: "1", Name: "alice", Enabled: true}},
		AccessKeys: []sdk.AccessKey{{ID: "key", Principal: sdk.PrincipalRef{Name: "alice"}, Secret: mustRef("urn:realmgate-secret:s:p")}},
		Secrets:    map[string]string{"urn:polaris-secret:s:p": "hunter2"},
		Call: func(ctx context.Context, i *Instance) error {
			st := sdk.State{Credential: &sdk.Credential{TokenID: "key"}}
			if err := i.Step(ctx, &st); err != nil {
				return err
			}
			if st.Principal.ID != "1" {
				return fmt.Errorf("found %+v", st.Principal)
			}
			return nil
		},
	}
}

func TestGoodPlugin(t *testing.T) {
	t.Parallel()
	Run(t, InProcess(good()...), badgeCase(), greeterCase(), tellerCase(), vaultCase())
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	Run(t, Binary(path), badgeCase(), greeterCase(), tellerCase(), vaultCase())
}

// TestBadPlugins sees to it that each check finds what it is there for.
func TestBadPlugins(t *testing.T) {
	t.Parallel()
	deny := func(ctx context.Context, _ sdk.Identity) error {
		if err := ctx.Err(); err != nil {
			return sdk.Deny("late", "you gave up")
		}
		return nil
	}
	ended := make(chan struct{})
	t.Cleanup(func() { close(ended) })
	deaf := func(context.Context, sdk.Identity) error {
		<-ended
		return nil
	}
	hears := func(ctx context.Context, _ sdk.Identity) error {
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
		return ctx.Err()
	}
	tests := map[string]struct {
		impls []sdk.Implementation
		check func(context.Context, *suite, Case) error
		c     Case
		want  string
	}{
		"good": {good(), checkOdd, badgeCase(), ""},
		"panics on odd input": {badges(func(_ context.Context, id sdk.Identity) error {
			_ = id.Claims.Map()["badge"].(string)
			return nil
		}), checkOdd, badgeCase(), "panics"},
		"is not concurrent":         {badges(alone()), checkConcurrency, badgeCase(), "busy"},
		"case of refused settings":  {good(), checkCall, func() Case { c := badgeCase(); c.Settings = `{}`; return c }(), "refused"},
		"wrong answer":              {good(), checkCall, func() Case { c := badgeCase(); c.Settings = `{"claim":"x"}`; return c }(), "claim_missing"},
		"unknown principal":         {good(), checkCall, func() Case { c := greeterCase(); c.Principals = nil; return c }(), "principal_unknown"},
		"unknown key":               {good(), checkCall, func() Case { c := greeterCase(); c.AccessKeys = nil; return c }(), "access_key_unknown"},
		"unknown secret":            {good(), checkCall, func() Case { c := greeterCase(); c.Secrets = nil; return c }(), "no such secret"},
		"does not say what it asks": {[]sdk.Implementation{greeters(sdk.Wants(sdk.WantAccessKeys))}, checkCall, greeterCase(), "does not say that the authenticator \"greeter\" wants principals"},
		"nor that it asks for keys": {[]sdk.Implementation{greeters(sdk.Wants(sdk.WantPrincipals))}, checkCall, greeterCase(), "wants access-keys"},
		"nor for secrets": {badges(func(ctx context.Context, _ sdk.Identity) error {
			_, err := mustRef("urn:realmgate-secret:s:p").Value(ctx)
			return err
		}), checkCall, func() Case {
			c := badgeCase()
			c.Secrets = map[string]string{"urn:realmgate-secret:s:p": "hunter2"}
			return c
		}(), "wants granted-secrets"},
		"answers the same":         {badges(nil, sdk.Cacheable()), checkTwice, badgeCase(), ""},
		"takes an identity once":   {badges(once(), sdk.Cacheable()), checkTwice, badgeCase(), "the first answer is a yes and the second one denied for replayed"},
		"looks at the peer":        {[]sdk.Implementation{peers(sdk.Cacheable())}, checkTwice, peerCase(), "they differ in Identity.Subject"},
		"says that it does":        {[]sdk.Implementation{peers()}, checkTwice, peerCase(), "no question was answered that may be remembered"},
		"not its kind":             {[]sdk.Implementation{deniers(sdk.NotMine())}, checkOdd, denierCase(), ""},
		"not its kind, in no word": {[]sdk.Implementation{deniers(&sdk.Denial{Reason: "not_mine"})}, checkOdd, denierCase(), ""},
		"a no that looks like it":  {[]sdk.Implementation{deniers(sdk.Deny("not_mine", "the badge is another's"))}, checkOdd, denierCase(), `the reason not_mine is reserved for a credential that is not of the part's kind (sdk.NotMine): it has no detail and no 403 of its own, which nobody would see; a denial that says "the badge is another's" needs another reason`},
		"a reason that is none":    {[]sdk.Implementation{deniers(sdk.Deny("Claim-Missing", "no claim"))}, checkOdd, denierCase(), "a denial has no reason, or one that is none"},
		"a reason too long":        {[]sdk.Implementation{deniers(sdk.Deny(strings.Repeat("a", 65), ""))}, checkCall, denierCase(), "of at most 64 bytes"},
		"no reason":                {[]sdk.Implementation{deniers(sdk.Deny("", ""))}, checkCall, denierCase(), "a denial has no reason"},
		"a 403 that looks like it": {[]sdk.Implementation{deniers(&sdk.Denial{Reason: "not_mine", Forbidden: true})}, checkOdd, denierCase(), "needs another reason"},
		"denies the latecomer":     {badges(deny), checkCancellation, badgeCase(), ""}, // the host gives up first
		"does not hear of the end": {badges(deaf), checkCancellation, badgeCase(), "given up goes on in the plugin"},
		"does not mind the time":   {badges(deaf), checkDeadline, badgeCase(), "behind its deadline goes on in the plugin"},
		"hears of the end":         {badges(hears), checkCancellation, badgeCase(), ""},
		"minds the time":           {badges(hears), checkDeadline, badgeCase(), ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := tt.check(t.Context(), startSuite(t, tt.impls), tt.c)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// once gives a mapper that takes an identity once.
func once() func(context.Context, sdk.Identity) error {
	var n atomic.Int32
	return func(context.Context, sdk.Identity) error {
		if n.Add(1) > 1 {
			return sdk.Deny("replayed", "")
		}
		return nil
	}
}

// peer is an identity provider whose answer depends on who asks.
type peer struct{}

func (peer) Identify(_ context.Context, r sdk.Request) (sdk.Identity, error) {
	return sdk.Identity{Issuer: "i", Subject: r.Peer, Claims: sdk.NewClaims([]byte(`{}`))}, nil
}

func peers(opts ...sdk.Option) sdk.Implementation {
	return sdk.IdentityProviderType("peer", func(context.Context, sdk.Setup, struct{}) (peer, error) { return peer{}, nil }, opts...)
}

func peerCase() Case {
	return Case{Kind: sdk.KindIdentityProvider, Type: "peer", Setup: sdk.Setup{Tenant: "t"}, Call: func(ctx context.Context, i *Instance) error {
		return i.Step(ctx, &sdk.State{Request: &sdk.Request{Scheme: "bearer", Token: "x", Peer: "192.0.2.1:1"}})
	}}
}

// denier is an identity provider that denies everybody.
type denier struct{ err error }

func (d denier) Identify(context.Context, sdk.Request) (sdk.Identity, error) {
	return sdk.Identity{}, d.err
}

func deniers(err error) sdk.Implementation {
	return sdk.IdentityProviderType("denier", func(context.Context, sdk.Setup, struct{}) (denier, error) { return denier{err}, nil })
}

func denierCase() Case {
	return Case{Kind: sdk.KindIdentityProvider, Type: "denier", Setup: sdk.Setup{Tenant: "t"}, Call: probes[sdk.KindIdentityProvider], tolerant: true}
}

// alone gives a mapper that takes one call at a time. The first call waits for a second one, so that they meet.
func alone() func(context.Context, sdk.Identity) error {
	var inside atomic.Bool
	met := make(chan struct{})
	meet := sync.OnceFunc(func() { close(met) })
	return func(ctx context.Context, _ sdk.Identity) error {
		if !inside.CompareAndSwap(false, true) {
			meet()
			return errors.New("busy")
		}
		select {
		case <-met:
		case <-ctx.Done():
		}
		return nil
	}
}

func startSuite(t *testing.T, impls []sdk.Implementation) *suite {
	t.Helper()
	s, err := newSuite(t.Context(), t.Context(), InProcess(impls...))
	t.Cleanup(s.notes.stop)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCheckManifest(t *testing.T) {
	t.Parallel()
	strict := []byte(`{"type":"object","additionalProperties":false}`)
	offer := rpc.Offer{Kind: sdk.KindPrincipalMapper, Type: "badge", SettingsSchema: strict}
	loose := offer
	loose.SettingsSchema = []byte(`{"type":"object"}`)
	bare := offer
	bare.SettingsSchema = nil
	for name, tt := range map[string]struct {
		m     rpc.Manifest
		cases []Case
		want  string
	}{
		"good":          {rpc.Manifest{Version: "1", Offers: []rpc.Offer{offer}}, []Case{badgeCase()}, ""},
		"no version":    {rpc.Manifest{Offers: []rpc.Offer{offer}}, []Case{badgeCase()}, "no version"},
		"no case":       {rpc.Manifest{Version: "1", Offers: []rpc.Offer{offer}}, nil, "no case"},
		"not offered":   {rpc.Manifest{Version: "1", Offers: []rpc.Offer{offer}}, []Case{badgeCase(), greeterCase()}, "the plugin does not offer that; it offers principal-mapper badge"},
		"a loose shape": {rpc.Manifest{Version: "1", Offers: []rpc.Offer{loose}}, []Case{badgeCase()}, "refuses unknown keys"},
		"no schema":     {rpc.Manifest{Version: "1", Offers: []rpc.Offer{bare}}, []Case{badgeCase()}, "settings schema"},
	} {
		err := errors.Join(checkManifest(tt.m), checkOffered(tt.m, tt.cases), checkCovered(tt.m, tt.cases))
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}
