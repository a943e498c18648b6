plugin "paseto" {
  path = "/usr/local/libexec/realmgate/realmgate-plugin-paseto"
}

secret_store "files" {
  type = "file"
  dir  = "/etc/realmgate/secrets"
}

realm "acme" {
  authentication {
    type = "internal"
    token_broker {
      type                 = "paseto"
      private_key          = "urn:realmgate-secret:files:paseto.pem"
      max_token_generation = "PT30M"
    }
  }
}
