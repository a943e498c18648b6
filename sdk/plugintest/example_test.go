package plugintest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/plugintest"
)

type badges struct {
	Claim string `json:"claim" doc:"claim that holds the badge number"`
}

func newBadges(_ context.Context, _ sdk.Setup, b badges) (*badges, error) { return &b, nil }

func (b *badges) MapPrincipal(_ context.Context, id sdk.Identity) (sdk.PrincipalRef, error) {
	badge, ok := id.Claims.String(b.Claim)
	if !ok {
		return sdk.PrincipalRef{}, sdk.Deny("claim_missing", "the token has no claim %q", b.Claim)
	}
	return sdk.PrincipalRef{Name: badge}, nil
}

func parts() []sdk.Implementation {
	return []sdk.Implementation{sdk.PrincipalMapperType("badge", newBadges, sdk.Cacheable())}
}

// The suite, in process; [plugintest.Binary] in place of [plugintest.InProcess] runs it on what was built.
func TestExample(t *testing.T) {
	plugintest.Run(t, plugintest.InProcess(parts()...), plugintest.Case{
		Kind: sdk.KindPrincipalMapper, Type: "badge", Settings: `{"claim":"badge"}`,
		Call: func(ctx context.Context, i *plugintest.Instance) error {
			st := sdk.State{Request: &sdk.Request{Realm: "r"}, Identity: &sdk.Identity{Claims: sdk.NewClaims([]byte(`{"badge":"7"}`))}}
			if err := i.Step(ctx, &st); err != nil {
				return err
			}
			if st.Ref.Name != "7" {
				return fmt.Errorf("the badge 7 is that of %q", st.Ref.Name)
			}
			return nil
		},
	})
}

// A case as `realmgate plugin verify --case` reads it.
func ExampleReadCases() {
	cases, err := plugintest.ReadCases([]byte(`{"kind": "principal-mapper", "type": "badge", "settings": {"claim": "badge"}, "claims": {"badge": "7"}}`))
	fmt.Println(len(cases), cases[0].Kind, cases[0].Settings, err)
	_, err = plugintest.ReadCases([]byte(`{"kind": "mapper", "type": "badge"}`))
	fmt.Println(err != nil)
	// Output:
	// 1 principal-mapper {"claim": "badge"} <nil>
	// true
}
