plugin "postgres" {
  path = "/usr/local/libexec/realmgate/realmgate-plugin-postgres"
}

secret_store "files" {
  type = "file"
  dir  = "/etc/realmgate/secrets"
}

tenant "acme" {
  identity_provider {
    issuer          = "https://idp.example.com"
    audience        = ["realmgate"]
    role_claim_path = "roles"
  }
  principal_mapper {
    name_claim_path = "sub"
  }
}

realm "acme" {
  tenant = "acme"
  authentication {
    type = "external"
    authenticator {
      type     = "postgres"
      url      = "postgres://realmgate@db.example.com:5432/app"
      password = "urn:realmgate-secret:files:postgres"
      query    = <<-SQL
        SELECT p.id::text, p.name, p.enabled,
               ARRAY(SELECT r.role FROM principal_roles r WHERE r.principal_id = p.id ORDER BY r.role)
        FROM principals p
        WHERE ($1::text = '' OR p.id::text = $1) AND ($2::text = '' OR p.name = $2) AND p.realm = $3::text
      SQL
    }
  }
}
