package catalog

import (
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

func TestUnknownType(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]UnknownTypeError{
		`no plugin offers an authenticator of type "x"`:                                           {Kind: sdk.KindAuthenticator},
		`no plugin offers a token-broker of type "x"; plugin p did not start`:                     {Kind: sdk.KindTokenBroker, Broken: []string{"p"}},
		`no plugin offers a token-broker of type "x"; there are a, b; plugins p, q did not start`: {Kind: sdk.KindTokenBroker, Known: []string{"a", "b"}, Broken: []string{"p", "q"}},
	} {
		e.Type = "x"
		if got := e.Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
