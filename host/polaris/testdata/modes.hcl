# Made of modes.properties, profile prod, by `realmgate config import`. Beside each setting stands the property that it comes from.

# Whoever reaches this listener can choose the realm, as in Polaris. Leave realm_header out where a proxy, the path or the host chooses it.
# The realms are those of polaris.realm-context.realms.
listener "main" {
  realm_header = "X-Realm" # polaris.realm-context.header-name
}

authentication {
  type = "internal" # polaris.authentication.type
  token_service {
    type = "default" # polaris.authentication.token-service.type
  }
  authenticator {
    type = "default" # polaris.authentication.authenticator.type
  }
  token_broker {
    type                 = "rsa-key-pair" # polaris.authentication.token-broker.type
    max_token_generation = "PT1H"         # polaris.authentication.token-broker.max-token-generation
  }
}

active_roles_provider {
  type = "default" # polaris.active-roles-provider.type
}

tenant_defaults {
  principal_mapper {
    type            = "default"                # polaris.oidc.principal-mapper.type
    id_claim_path   = "polaris/principal_id"   # polaris.oidc.principal-mapper.id-claim-path
    name_claim_path = "polaris/principal_name" # polaris.oidc.principal-mapper.name-claim-path
  }
  principal_roles_mapper {
    type   = "default"                # polaris.oidc.principal-roles-mapper.type
    filter = "^(?!profile$|email$).*" # polaris.oidc.principal-roles-mapper.filter
    mapping {
      regex       = "^.*$"              # polaris.oidc.principal-roles-mapper.mappings[0].regex
      replacement = "PRINCIPAL_ROLE:$0" # polaris.oidc.principal-roles-mapper.mappings[0].replacement
    }
  }
}

tenant "oidc-tenant1" {
  identity_provider {
    type            = "oidc"
    issuer          = "http://localhost:8080/realms/polaris" # quarkus.oidc.oidc-tenant1.auth-server-url
    audience        = ["polaris", "account"]                 # quarkus.oidc.oidc-tenant1.token.audience
    role_claim_path = "polaris/roles"                        # quarkus.oidc.oidc-tenant1.roles.role-claim-path
  }
}

realm "realm1" {
  tenant = "oidc-tenant1" # it is the only one
  authentication {
    type = "external" # polaris.authentication.realm1.type
  }
}

realm "realm2" {
  tenant = "oidc-tenant1" # it is the only one
  authentication {
    type = "mixed" # polaris.authentication.realm2.type
    token_broker {
      type                 = "symmetric-key"                                                                                    # polaris.authentication.realm2.token-broker.type
      secret               = "urn:realmgate-secret:environment:POLARIS_AUTHENTICATION_REALM2_TOKEN_BROKER_SYMMETRIC_KEY_SECRET" # polaris.authentication.realm2.token-broker.symmetric-key.secret
      max_token_generation = "PT1H"                                                                                             # as above
    }
  }
}

realm "realm3" {}

# Set these variables in the environment of the daemon.
secret_store "environment" {
  type      = "env"
  variables = ["POLARIS_AUTHENTICATION_REALM2_TOKEN_BROKER_SYMMETRIC_KEY_SECRET"]
}

# What became no setting, with the line where it stands:
#
#   14: polaris.realm-context.type: it is always so
#   17: polaris.realm-context.require-header: a request always names its realm here: in the path, the host or the header
#   19: quarkus.oidc.tenant-enabled: the tenant is left out
#   21: quarkus.oidc.oidc-tenant1.client-id: tokens are verified with the provider's keys, no client is needed for that
#   22: quarkus.oidc.oidc-tenant1.credentials.secret: tokens are verified with the provider's keys, no client is needed for that
#   23: quarkus.oidc.oidc-tenant1.application-type: every tenant is a service here: the parts for browsers have no equivalent
