package plugintest

import (
	"context"
	"fmt"
	"slices"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
)

var stages = []sdk.Kind{
	sdk.KindIdentityProvider, sdk.KindPrincipalMapper, sdk.KindPrincipalRolesMapper, sdk.KindAuthenticator,
	sdk.KindActiveRolesProvider, sdk.KindTokenBroker,
}

// takesLegs says whether a case is called on the session: the other cases are on the unary services anyway.
func takesLegs(s *suite, c Case) bool {
	return s.manifest.Session == rpc.SessionLegs && slices.Contains(stages, c.Kind)
}

// checkUnary: what holds on the session holds on the unary services, which serve the same instances.
func checkUnary(ctx context.Context, s *suite, c Case) error {
	u := *s
	u.unary = true
	for _, k := range []struct {
		name string
		run  func(context.Context, *suite, Case) error
	}{
		{"call", checkCall}, {"life", checkLife}, {"wrong kind", checkWrongKind}, {"concurrency", checkConcurrency},
		{"cancellation", checkCancellation}, {"deadline", checkDeadline}, {"odd input", checkOdd},
	} {
		if err := k.run(ctx, &u, c); err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
	}
	return nil
}
