package parts

import (
	"github.com/realmgate/realmgate/plugins/aws/secrets"
	"github.com/realmgate/realmgate/plugins/aws/sigv4"
	"github.com/realmgate/realmgate/sdk"
)

// Implementations gives all parts of the AWS plugin.
func Implementations() []sdk.Implementation {
	return []sdk.Implementation{
		sdk.CredentialVendorType("sigv4", sigv4.NewVendor),
		sdk.SecretResolverType("aws-secrets-manager", secrets.NewManager),
		sdk.SecretResolverType("aws-ssm-parameters", secrets.NewParameters),
	}
}
