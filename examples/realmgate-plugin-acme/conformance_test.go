package main

import (
	"context"
	"testing"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/plugintest"
)

// What every part must keep to: strict settings, concurrency, cancellation, odd inputs, two instances side by side.
func TestConformance(t *testing.T) {
	plugintest.Run(t, plugintest.InProcess(parts()...), plugintest.Case{
		Name: "badge", Kind: sdk.KindPrincipalMapper, Type: "badge", Settings: `{"claim":"badge"}`,
		Call: func(ctx context.Context, i *plugintest.Instance) error {
			return i.Step(ctx, &sdk.State{Request: &sdk.Request{Realm: "r"}, Identity: &sdk.Identity{Claims: sdk.NewClaims([]byte(`{"badge":"7"}`))}})
		},
	})
}
