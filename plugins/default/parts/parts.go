package parts

import (
	"github.com/realmgate/realmgate/plugins/default/activeroles"
	"github.com/realmgate/realmgate/plugins/default/authenticator"
	"github.com/realmgate/realmgate/plugins/default/broker"
	"github.com/realmgate/realmgate/plugins/default/claims"
	"github.com/realmgate/realmgate/plugins/default/introspection"
	"github.com/realmgate/realmgate/plugins/default/oidc"
	"github.com/realmgate/realmgate/plugins/default/roles"
	"github.com/realmgate/realmgate/plugins/default/secrets"
	"github.com/realmgate/realmgate/plugins/default/vendors/bearer"
	"github.com/realmgate/realmgate/plugins/default/vendors/implicit"
	"github.com/realmgate/realmgate/plugins/default/vendors/oauth"
	"github.com/realmgate/realmgate/sdk"
)

// Implementations gives all parts of the default plugin. Those of one call share the ephemeral keys of realms without a
// configured one, and what is compiled of expressions, so a process calls it once.
func Implementations() []sdk.Implementation {
	ephemeral, expressions := &broker.Ephemeral{}, &roles.Expressions{}
	return []sdk.Implementation{
		sdk.IdentityProviderType("oidc", oidc.NewProvider, sdk.Cacheable()),
		sdk.IdentityProviderType("introspection", introspection.NewProvider, sdk.Cacheable()),
		sdk.PrincipalMapperType("default", claims.NewMapper, sdk.Cacheable()),
		sdk.PrincipalRolesMapperType("default", expressions.NewMapper, sdk.Cacheable()),
		sdk.AuthenticatorType("default", authenticator.NewDirectory, sdk.Wants(sdk.WantPrincipals), sdk.Cacheable()),
		sdk.AuthenticatorType("claims", authenticator.NewClaims, sdk.ExternalOnly(), sdk.Cacheable()),
		sdk.ActiveRolesProviderType("default", activeroles.NewProvider, sdk.Cacheable()),
		sdk.TokenBrokerType("key-pair", ephemeral.NewKeyPair, sdk.Cacheable()),
		sdk.TokenBrokerType("rsa-key-pair", ephemeral.NewRSA, sdk.Cacheable()),
		sdk.TokenBrokerType("symmetric-key", broker.NewSymmetric, sdk.Cacheable()),
		sdk.SecretResolverType("env", secrets.NewEnv, sdk.OperatorOnly()),
		sdk.SecretResolverType("file", secrets.NewFile, sdk.OperatorOnly()),
		sdk.SecretResolverType("sealed-file", secrets.NewSealed),
		sdk.CredentialVendorType("oauth", oauth.NewVendor),
		sdk.CredentialVendorType("bearer", bearer.NewVendor),
		sdk.CredentialVendorType("implicit", implicit.NewVendor),
	}
}
