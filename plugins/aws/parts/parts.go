package parts

import (
	"github.com/realmgate/realmgate/plugins/aws/awsiam"
	"github.com/realmgate/realmgate/plugins/aws/awssigv4"
	"github.com/realmgate/realmgate/plugins/aws/secrets"
	"github.com/realmgate/realmgate/plugins/aws/sigv4"
	"github.com/realmgate/realmgate/sdk"
)

// Implementations gives all parts of the AWS plugin.
func Implementations() []sdk.Implementation {
	return []sdk.Implementation{
		sdk.IdentityProviderType("aws-iam", awsiam.NewProvider, sdk.Cacheable()),
		sdk.IdentityProviderType("aws-sigv4", awssigv4.NewProvider, sdk.Schemes(awssigv4.Scheme), sdk.NeedsHTTP(),
			sdk.Wants(sdk.WantAccessKeys, sdk.WantGrantedSecrets)), // a key is a secret of the realm's
		sdk.CredentialVendorType("sigv4", sigv4.NewVendor),
		sdk.SecretResolverType("aws-secrets-manager", secrets.NewManager),
		sdk.SecretResolverType("aws-ssm-parameters", secrets.NewParameters),
	}
}
