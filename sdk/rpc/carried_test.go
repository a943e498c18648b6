package rpc

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

// A vendor may read what its own call brought along; the host learns what that is from what it sent, not from the plugin.
func TestVendorCallsCarryTheirReferences(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, unary bool) {
		identity := mustRef(t, "urn:realmgate-secret:ops:keys")
		var got Caller
		h := &fakeHost{resolve: func(_ context.Context, c Caller, _ sdk.SecretRef) (sdk.Secret, error) {
			got = c
			return sdk.Secret{}, errors.New("seen")
		}}
		build := func(context.Context, sdk.Setup, none) (curious, error) { return curious{}, nil }
		p := start(t, &Server{UnaryOnly: unary, Implementations: []sdk.Implementation{sdk.CredentialVendorType("v", build)}}, h)
		if ds, err := p.Configure(t.Context(), []Instance{{ID: 1, Kind: sdk.KindCredentialVendor, Type: "v", Settings: []byte(`{}`)}}); err != nil || len(ds) > 0 {
			t.Fatal(ds, err)
		}
		c := sdk.Connection{Realm: "r", ServiceIdentity: &sdk.ServiceIdentity{Credentials: identity},
			Authentication: []byte(`{"a":"urn:realmgate-secret:s:p","b":[{"c":"urn:polaris-secret:s:p/q"}],"d":"plain","e":7,"f":"urn:realmgate-secret:s:p","g":"urn:realmgate-secret:nonsense"}`)}
		want := Caller{Instance: 1, Realm: "r", RequestID: "q", Lent: identity, Carried: []sdk.SecretRef{mustRef(t, "urn:realmgate-secret:s:p"), mustRef(t, "urn:realmgate-secret:s:p/q")}}
		if _, err := p.Vend(t.Context(), "r", 1, sdk.VendRequest{Connection: c, RequestID: "q"}); err == nil || !reflect.DeepEqual(got, want) {
			t.Errorf("a Vend: %+v %v", got, err)
		}
		got, want.RequestID = Caller{}, ""
		if _, err := p.Sign(t.Context(), "r", 1, sdk.SignRequest{Connection: c}); err == nil || !reflect.DeepEqual(got, want) {
			t.Errorf("a Sign: %+v %v", got, err)
		}
		c.Authentication = []byte(`not JSON, "urn:realmgate-secret:s:p"`)
		if _, err := p.Sign(t.Context(), "r", 1, sdk.SignRequest{Connection: c}); err == nil || got.Carried != nil {
			t.Errorf("what is no JSON: %+v %v", got, err)
		}
	})
}

// curious asks for a secret.
type curious struct{}

func (curious) ask(ctx context.Context) error {
	ref, err := sdk.ParseSecretRef("urn:realmgate-secret:s:p")
	if err == nil {
		_, err = ref.Value(ctx)
	}
	return err
}

func (c curious) Vend(ctx context.Context, _ sdk.VendRequest) (sdk.ConnectionCredentials, error) {
	return sdk.ConnectionCredentials{}, c.ask(ctx)
}

func (c curious) Sign(ctx context.Context, _ sdk.SignRequest) (sdk.SignedRequest, error) {
	return sdk.SignedRequest{}, c.ask(ctx)
}

// The part learns that it is not allowed, and the host does not mistake the part's error for one of its own.
func TestNotAllowedIsTold(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, unary bool) {
		h := &fakeHost{find: func(context.Context, Caller, sdk.PrincipalRef) (sdk.Principal, error) {
			return sdk.Principal{}, errors.Join(errors.New("principals"), sdk.ErrNotAllowed)
		}}
		var told error
		p := startFake(t, &fake{identify: func(ctx context.Context, _ sdk.Request) (sdk.Identity, error) {
			_, told = sdk.FindPrincipal(ctx, sdk.PrincipalRef{ID: "1"})
			return sdk.Identity{}, told
		}}, h, unary)
		err := p.Run(t.Context(), "r", external[:1], request("x"))
		var f *Failure
		if !errors.Is(told, sdk.ErrNotAllowed) || !errors.As(told, &f) || f.Code != CodeNotAllowed {
			t.Errorf("the part is told %v", told)
		}
		if err == nil || sdk.AsDenial(err) != nil || errors.Is(err, sdk.ErrNotAllowed) {
			t.Errorf("the host is told %v", err)
		}
	})
}

// That a part did not even try, since too much was asked, is told on both ways.
func TestBusyIsTold(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, unary bool) {
		p := startFake(t, &fake{identify: func(context.Context, sdk.Request) (sdk.Identity, error) {
			return sdk.Identity{}, fmt.Errorf("badges: %w", sdk.ErrBusy)
		}}, &fakeHost{}, unary)
		err := p.Run(t.Context(), "r", external[:1], request("x"))
		var f *Failure
		if !errors.Is(err, sdk.ErrBusy) || !errors.As(err, &f) || f.Code != CodeBusy || !strings.Contains(f.Message, "badges") {
			t.Errorf("%v", err)
		}
	})
}

// What one instance was told is not what another one may hear.
func TestAnswersAreNotSharedAmongInstances(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, unary bool) {
		h := &fakeHost{find: func(_ context.Context, c Caller, _ sdk.PrincipalRef) (sdk.Principal, error) {
			if c.Instance != 1 {
				return sdk.Principal{}, sdk.ErrNotAllowed
			}
			return sdk.Principal{ID: "1"}, nil
		}}
		h.epoch.Store(1)
		h.findKey = func(_ context.Context, c Caller, id string) (sdk.AccessKey, error) {
			if c.Instance != 1 {
				return sdk.AccessKey{}, sdk.ErrNotAllowed
			}
			return sdk.AccessKey{ID: id, Secret: mustRef(t, "urn:realmgate-secret:s:k")}, nil
		}
		ask := func(ctx context.Context) error {
			_, err := sdk.FindPrincipal(ctx, sdk.PrincipalRef{ID: "1"})
			_, keyErr := sdk.FindAccessKey(ctx, "k")
			if (err == nil) != (keyErr == nil) {
				t.Errorf("%v, but %v", err, keyErr)
			}
			return err
		}
		var second error
		p := startFake(t, &fake{
			identify: func(ctx context.Context, _ sdk.Request) (sdk.Identity, error) {
				return sdk.Identity{Subject: "s"}, ask(ctx)
			},
			mapPrincipal: func(ctx context.Context, _ sdk.Identity) (sdk.PrincipalRef, error) {
				second = ask(ctx)
				return sdk.PrincipalRef{}, second
			},
		}, h, unary)
		if err := p.Run(t.Context(), "r", external[:2], request("x")); err == nil || !errors.Is(second, sdk.ErrNotAllowed) {
			t.Errorf("%v, the second one was told %v", err, second)
		}
	})
}
