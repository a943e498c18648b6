# Made of tenants.properties, profile prod, by `realmgate config import`. Beside each setting stands the property that it comes from.

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
    name_claim_path = "preferred_username" # polaris.oidc.principal-mapper.name-claim-path
  }
  principal_roles_mapper {
    type   = "default"
    filter = "role\\_.*" # polaris.oidc.principal-roles-mapper.filter
    mapping {
      regex       = "role\\_(.*)"         # polaris.oidc.principal-roles-mapper.mappings[0].regex
      replacement = "PRINCIPAL\\_ROLE:$1" # polaris.oidc.principal-roles-mapper.mappings[0].replacement
    }
    mapping {
      regex       = "(?<n>admin)"   # polaris.oidc.principal-roles-mapper.mappings[1].regex
      replacement = "service_$${n}" # polaris.oidc.principal-roles-mapper.mappings[1].replacement
    }
  }
}

tenant "default" {
  identity_provider {
    type            = "oidc"
    issuer          = "https://auth.example.com/realms/polaris" # quarkus.oidc.auth-server-url
    audience        = ["polaris"]                               # quarkus.oidc.client-id
    role_claim_path = "foo/\"https://ns/claim\"/bar"            # quarkus.oidc.roles.role-claim-path
  }
}

tenant "idp1" {
  identity_provider {
    type             = "oidc"
    issuer           = "https://issuer.example.com/"                               # quarkus.oidc.idp1.token.issuer
    discovery_url    = "https://idp1.example.com/.well-known/openid-configuration" # quarkus.oidc.idp1.auth-server-url
    audience         = ["idp1-client"]                                             # quarkus.oidc.idp1.client-id
    algorithms       = ["ES256"]                                                   # quarkus.oidc.idp1.token.signature-algorithm
    authorized_party = ["app-1"]                                                   # quarkus.oidc.idp1.token.required-claims.azp
    clock_skew       = "PT10S"                                                     # quarkus.oidc.idp1.token.lifespan-grace
    role_claim_path  = "groups"                                                    # the default of Quarkus
  }
  principal_mapper {
    id_claim_path = "sub" # polaris.oidc.idp1.principal-mapper.id-claim-path
  }
}

tenant "opaque" {
  identity_provider {
    type            = "introspection"
    endpoint        = "https://opaque.example.com/protocol/introspect" # quarkus.oidc."opaque".introspection-path
    issuer          = "https://opaque.example.com"                     # quarkus.oidc."opaque".auth-server-url
    client_id       = "realmgate"                                      # quarkus.oidc."opaque".client-id
    client_secret   = "urn:realmgate-secret:environment:OPAQUE_SECRET" # quarkus.oidc."opaque".credentials.secret
    auth_method     = "post"                                           # quarkus.oidc."opaque".credentials.client-secret.method
    audience        = ["realmgate"]                                    # as client_id
    role_claim_path = "groups"                                         # the default of Quarkus
  }
  principal_roles_mapper {
    mapping {
      regex       = "role\\_(.*)"         # as above
      replacement = "PRINCIPAL\\_ROLE:$1" # as above
    }
    mapping {
      regex       = "(?<n>admin)"   # as above
      replacement = "catalog_$${n}" # polaris.oidc.opaque.principal-roles-mapper.mappings[1].replacement
    }
  }
}

realm "idp1" {
  tenant = "idp1" # it has the name of the realm
}

realm "analytics.eu" {
  tenant = "opaque" # as the command said
  authentication {
    type = "mixed" # polaris.authentication."analytics.eu".type
  }
}

# Set these variables in the environment of the daemon.
secret_store "environment" {
  type      = "env"
  variables = ["OPAQUE_SECRET"]
}

# What became no setting, with the line where it stands:
#
#   4: polaris.realm-context.require-header: a request always names its realm here: in the path, the host or the header
#   5: polaris.authentication.other.type: there is no such realm in polaris.realm-context
#   13: quarkus.oidc.idp1.token.audience: an audience is always checked: that of the client stands in its place
#   18: quarkus.oidc.idp1.tenant-paths: a realm names its tenant here, paths do not choose it
#   19: quarkus.oidc.idp1.tls.verification: see ca_file in docs/parts.md; certificates are always verified
#   22: quarkus.oidc."opaque".token.require-jwt-introspection-only: the type introspection asks about every token, the type oidc about none
#   26: quarkus.oidc.off.tenant-enabled: the tenant is left out
#   27: quarkus.oidc.off.auth-server-url: the tenant is not enabled
#   37: quarkus.oidc.tenant-enabled: a tenant that is written is enabled, and works once a realm names it
