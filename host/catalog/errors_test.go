package catalog

import (
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

func TestUnknownType(t *testing.T) {
	t.Parallel()
	for kind, want := range map[sdk.Kind]string{
		sdk.KindAuthenticator: `no plugin offers an authenticator of type "x"`,
		sdk.KindTokenBroker:   `no plugin offers a token-broker of type "x"`,
	} {
		if got := (&UnknownTypeError{Kind: kind, Type: "x"}).Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
