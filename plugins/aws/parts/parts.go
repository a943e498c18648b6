package parts

import "github.com/realmgate/realmgate/sdk"

// Implementations gives all parts of the AWS plugin.
func Implementations() []sdk.Implementation {
	return []sdk.Implementation{}
}
