package parts

import (
	"github.com/realmgate/realmgate/plugins/vault/identity"
	"github.com/realmgate/realmgate/plugins/vault/login"
	"github.com/realmgate/realmgate/plugins/vault/secrets"
	"github.com/realmgate/realmgate/plugins/vault/transit"
	"github.com/realmgate/realmgate/sdk"
)

// Implementations gives all parts of the Vault plugin. Those of one call share sessions, so a process calls it once.
func Implementations() []sdk.Implementation {
	sessions := &login.Pool{}
	return []sdk.Implementation{
		sdk.IdentityProviderType("vault-token", identity.New(sessions), sdk.Cacheable()),
		sdk.TokenBrokerType("vault-transit", transit.New(sessions), sdk.Cacheable()),
		sdk.SecretResolverType("vault", secrets.New(sessions)),
	}
}
