package implicit

import (
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

func TestVend(t *testing.T) {
	t.Parallel()
	v, err := NewVendor(t.Context(), sdk.Setup{}, Settings{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := v.Vend(t.Context(), sdk.VendRequest{Connection: sdk.Connection{AuthenticationType: Type}})
	if err != nil || c.Properties == nil || len(c.Properties) > 0 || !c.Expires.IsZero() {
		t.Errorf("%+v, %v", c, err)
	}
	for _, other := range []string{"", "OAUTH", "implicit"} {
		if _, err := v.Vend(t.Context(), sdk.VendRequest{Connection: sdk.Connection{AuthenticationType: other}}); sdk.AsDenial(err) == nil {
			t.Errorf("a connection of the type %q gets away without credentials: %v", other, err)
		}
	}
}
