# Made of custom.properties, profile prod, by `realmgate config import`. Beside each setting stands the property that it comes from.

# Whoever reaches this listener can choose the realm, as in Polaris. Leave realm_header out where a proxy, the path or the host chooses it.
# The realms are those of polaris.realm-context.realms.
listener "main" {
  realm_header = "Polaris-Realm" # the default of Polaris
}

authentication {
  type = "external" # polaris.authentication.type
}

tenant_defaults {
  principal_mapper {
    type            = "default"
    name_claim_path = "sub" # polaris.oidc.principal-mapper.name-claim-path
  }
  principal_roles_mapper {
    type   = "default"
    filter = "x.*" # polaris.oidc.principal-roles-mapper.filter
  }
}

tenant "t" {
  identity_provider {
    type            = "oidc"
    issuer          = "https://t.example.com" # quarkus.oidc.t.auth-server-url
    audience        = ["polaris"]             # quarkus.oidc.t.token.audience
    role_claim_path = "groups"                # the default of Quarkus
  }
  principal_roles_mapper {
    type   = "custom"                                                                      # polaris.oidc.t.principal-roles-mapper.type
    hint   = "urn:realmgate-secret:environment:POLARIS_OIDC_T_PRINCIPAL_ROLES_MAPPER_HINT" # polaris.oidc.t.principal-roles-mapper.hint
    filter = "x.*"                                                                         # as above
    mapping {
      regex       = "POLARIS_ROLE:(.*)" # polaris.oidc.t.principal-roles-mapper.mappings[0].regex
      replacement = "POLARIS_ROLE:$1"   # polaris.oidc.t.principal-roles-mapper.mappings[0].replacement
    }
  }
}

realm "r" {
  tenant = "t" # it is the only one
  authentication {
    authenticator {
      type        = "badge"                                                                               # polaris.authentication.r.authenticator.type
      db_url      = "urn:realmgate-secret:environment:POLARIS_AUTHENTICATION_R_AUTHENTICATOR_DB_URL"      # polaris.authentication.r.authenticator.db-url
      db_password = "urn:realmgate-secret:environment:POLARIS_AUTHENTICATION_R_AUTHENTICATOR_DB_PASSWORD" # polaris.authentication.r.authenticator.db-password
      pin         = "urn:realmgate-secret:environment:ACME_PWD"                                           # polaris.authentication.r.authenticator.pin
      greeting    = "urn:realmgate-secret:environment:POLARIS_AUTHENTICATION_R_AUTHENTICATOR_GREETING"    # polaris.authentication.r.authenticator.greeting
    }
    token_broker {
      type       = "acme"                                                                              # polaris.authentication.r.token-broker.type
      kms_handle = "urn:realmgate-secret:environment:POLARIS_AUTHENTICATION_R_TOKEN_BROKER_KMS_HANDLE" # polaris.authentication.r.token-broker.kms.handle
    }
  }
}

# Set these variables in the environment of the daemon.
secret_store "environment" {
  type      = "env"
  variables = ["POLARIS_AUTHENTICATION_R_AUTHENTICATOR_DB_URL", "POLARIS_AUTHENTICATION_R_AUTHENTICATOR_DB_PASSWORD", "ACME_PWD", "POLARIS_AUTHENTICATION_R_AUTHENTICATOR_GREETING", "POLARIS_AUTHENTICATION_R_TOKEN_BROKER_KMS_HANDLE", "POLARIS_OIDC_T_PRINCIPAL_ROLES_MAPPER_HINT"]
}
