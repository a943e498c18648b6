package implicit

import (
	"context"

	"github.com/realmgate/realmgate/sdk"
)

// Type is the authentication type of the connections that need no credentials. To no other one the host lets a vendor
// answer without any.
const Type = "IMPLICIT"

// Settings of the vendor: none.
type Settings struct{}

// Vendor gives nothing, for connections that need nothing.
type Vendor struct{}

// NewVendor is the constructor of [Vendor].
func NewVendor(context.Context, sdk.Setup, Settings) (*Vendor, error) { return &Vendor{}, nil }

// Vend answers without a property, and without an end. A connection of another type is denied.
func (*Vendor) Vend(_ context.Context, r sdk.VendRequest) (sdk.ConnectionCredentials, error) {
	if r.Connection.AuthenticationType != Type {
		return sdk.ConnectionCredentials{}, sdk.Forbid("connection_invalid", "authenticationType: the vendor implicit is for %s alone", Type)
	}
	return sdk.ConnectionCredentials{Properties: map[string]sdk.Secret{}}, nil
}
