// Package plugintest owns the conformance suite of plugins: what every implementation of a kind must do, whoever wrote it.
// It runs against implementations in process and against a real binary, over the same contract:
//
//	func TestConformance(t *testing.T) {
//		cases := []plugintest.Case{{
//			Kind: sdk.KindPrincipalMapper, Type: "badge", Settings: `{"claim": "badge"}`,
//			Call: func(ctx context.Context, i *plugintest.Instance) error {
//				st := sdk.State{Identity: &sdk.Identity{Claims: sdk.NewClaims([]byte(`{"badge": "7"}`))}}
//				return i.Step(ctx, &st)
//			},
//		}}
//		plugintest.Run(t, plugintest.InProcess(implementations()...), cases...)
//		plugintest.Run(t, plugintest.Binary("bin/realmgate-plugin-acme"), cases...)
//	}
//
// The suite may grow: what it checks tomorrow is what the contract asks for today.
package plugintest
