package rpc

import "github.com/realmgate/realmgate/sdk"

// lent is what the vendor of a connection may resolve although it is the operator's, for as long as it is asked.
func lent(c sdk.Connection) sdk.SecretRef {
	if c.ServiceIdentity == nil {
		return sdk.SecretRef{}
	}
	return c.ServiceIdentity.Credentials
}

// carried are the references that stand in the authentication of a connection, wherever a vendor keeps them in it.
func carried(c sdk.Connection) []sdk.SecretRef { return sdk.SecretRefsIn(c.Authentication) }
