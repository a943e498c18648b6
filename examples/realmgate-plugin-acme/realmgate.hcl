plugin "acme" {
  path = "/usr/local/libexec/realmgate/realmgate-plugin-acme"
}

tenant_defaults {
  identity_provider {
    issuer          = "https://idp.example.com"
    audience        = ["realmgate"]
    role_claim_path = "roles"
  }
  principal_mapper {
    name_claim_path = "sub"
  }
}

tenant "badges" {
  principal_mapper {
    type   = "badge"
    claim  = "badge"
    prefix = "emp-"
  }
}

tenant "plain" {}

authentication {
  type = "external"
  authenticator {
    type = "claims"
  }
}

realm "badges" {
  tenant = "badges"
}

realm "plain" {
  tenant = "plain"
}
