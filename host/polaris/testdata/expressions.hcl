# Made of expressions.properties, profile prod, by `realmgate config import`. Beside each setting stands the property that it comes from.

# Whoever reaches this listener can choose the realm, as in Polaris. Leave realm_header out where a proxy, the path or the host chooses it.
# The realms are those of %test,prod.polaris.realm-context.realms.
listener "main" {
  realm_header = "Polaris-Realm" # the default of Polaris
}

authentication {
  type = "internal" # %prod.polaris.authentication.type
  token_broker {
    type                 = "symmetric-key"                               # polaris.authentication.token-broker.type
    max_token_generation = "30m"                                         # polaris.authentication.token-broker.max-token-generation
    secret               = "urn:realmgate-secret:environment:BROKER_KEY" # polaris.authentication.token-broker.symmetric-key.secret
  }
}

realm "a" {}

realm "b" {
  authentication {
    # Polaris had another token service, which has no equivalent: no tokens are issued.
    token_service {
      type = "disabled" # polaris.authentication.b.token-service.type
    }
    token_broker {
      max_token_generation = "P1D" # polaris.authentication.b.token-broker.max-token-generation
    }
  }
}

# Set these variables in the environment of the daemon.
secret_store "environment" {
  type      = "env"
  variables = ["BROKER_KEY"]
}

# What became no setting, with the line where it stands:
#
#   2: polaris.authentication.type: line 3 counts instead
#   4: %dev.polaris.authentication.type: for another profile
#   7: polaris.realm-context.realms: line 5 counts instead
#   9: ttl: it went into properties that refer to it
#   10: keys.dir: not about authentication
#   13: polaris.authentication.b.token-broker.max-token-generation: line 14 counts instead
#   16: polaris.authentication.token-broker.rsa-key-pair.private-key-file: no part that was chosen takes it
#   17: quarkus.log.category."org.apache.polaris".level: see log in docs/configuration.md
#   18: spaces in:key: not about authentication
