# The configuration of a first start. It needs no other server. docs/configuration.md explains every key.

# What clients call this daemon. Issuers are derived from it, never from a request; https unless on loopback.
public_url = "http://127.0.0.1:8642"

log {
  level  = "info" # trace | debug | info | warn | error
  format = "text" # text | json
}

listener "main" {
  address = "127.0.0.1:8642"

  # Behind a proxy: the peers whose X-Forwarded-* headers count.
  # trusted_proxies = ["10.0.0.0/8"]

  # A header that may name the realm. Off unless set: a caller must not choose the realm behind a proxy's back.
  # realm_header = "X-Realm"

  # tls {
  #   cert_file = "tls.crt"
  #   key_file  = "tls.key"
  # }
}

# The door for `realmgate principal`, `realmgate role` and the like.
admin {
  socket = "data/admin.sock"
}

directory {
  type = "sqlite"
  path = "data/realmgate.db"
}

# A line for every token and every change by an operator. If it cannot be written, nothing happens: on_failure = "refuse".
audit {
  path = "data/audit.log" # or stdout; "" turns it off
}

# What every realm does unless its own block says otherwise.
authentication {
  type = "internal" # internal | external | mixed

  authenticator {
    type = "default"
  }

  token_service {
    type = "default" # default | disabled
  }

  # Without a key file the key is made at start: tokens end with the plugin's process, and no other node knows them.
  # For anything but a trial set private_key_file, or key_dir with keys that rotate (realmgate key generate --dir DIR).
  token_broker {
    type                 = "rsa-key-pair"
    max_token_generation = "PT1H" # ISO 8601, or 1h
  }
}

active_roles_provider {
  type = "default"
}

# Where the secrets of connections are kept, sealed with the key in key_file. Folder and key are made at the first start; keep
# a copy of the key, since nothing else opens what is sealed with it.
secret_store "local" {
  type     = "sealed-file"
  dir      = "data/secrets"
  key_file = "data/secrets.key"

  grant {
    realm  = "demo"
    prefix = "demo/"
  }
}

# Who Realmgate itself is towards AWS, for connections with SIGV4 and a role. Without credentials, the plugin's environment has them.
#
# service_identity "aws_iam" {
#   iam_arn     = "arn:aws:iam::123456789012:user/realmgate"
#   credentials = "urn:realmgate-secret:local:operator/aws"
# }

# A realm with its own principals: POST /realms/demo/v1/oauth/tokens issues tokens, /realms/demo/v1/check checks them.
realm "demo" {
  # Connections to other systems, below /realms/demo/v1/connections. Of these active roles, one has to be there.
  connections {
    secret_store = "local"
    manage_roles = ["service_admin"] # create and change them
    use_roles    = ["service"]       # get credentials and signatures for them
  }
}

# A realm that takes its own tokens and those of a foreign identity provider. It starts although the provider below does
# not exist; until it answers, foreign tokens are "unavailable", not "denied".
realm "demo-mixed" {
  tenant = "demo-idp"

  authentication {
    type = "mixed"
  }
}

# A realm that takes foreign tokens only, and issues none.
#
# realm "demo-external" {
#   tenant = "demo-idp"
#
#   authentication {
#     type = "external"
#
#     authenticator {
#       type = "claims" # trusts the mapped roles; "default" looks the principal up in the directory
#     }
#   }
# }

tenant "demo-idp" {
  identity_provider {
    type            = "oidc"
    issuer          = "https://idp.example.com" # put yours here; https unless on loopback
    audience        = ["realmgate"]
    role_claim_path = "realmgate/roles"
  }

  principal_mapper {
    type            = "default"
    id_claim_path   = "sub"
    name_claim_path = "preferred_username"
  }

  # Of every role, keep those that match the filter as a whole, then give them the prefix that a role has in a request.
  principal_roles_mapper {
    type   = "default"
    filter = "^(?!profile$|email$).*"

    mapping {
      regex       = "^.*$"
      replacement = "PRINCIPAL_ROLE:$0"
    }
  }
}
