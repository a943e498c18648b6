# A realm whose principals are named by the plugin. /opt/acme/plugin.cjs is dist/plugin.cjs after npm ci and npm run build.
plugin "email" {
  command = "/usr/bin/node"
  args    = ["/opt/acme/plugin.cjs"]
}

tenant "acme" {
  identity_provider {
    issuer   = "https://idp.example.com"
    audience = ["realmgate"]
  }
  principal_mapper {
    type    = "email"
    claim   = "email"
    domains = ["example.com"]
    prefix  = "emp-"
  }
  principal_roles_mapper {
    type = "default"
    mapping {
      regex       = "^.*$"
      replacement = "PRINCIPAL_ROLE:$0"
    }
  }
}

realm "acme" {
  tenant = "acme"
  authentication {
    type = "external"
  }
}
