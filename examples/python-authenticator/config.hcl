# A realm whose principals carry a seal. Beside /opt/acme/plugin.py lies what protoc made of the contract.
plugin "seal" {
  command = "/usr/bin/python3"
  args    = ["/opt/acme/plugin.py"]
  allow {
    types      = ["seal"]
    principals = true
  }
}

secret_store "local" {
  type      = "env"
  variables = ["SEAL_KEY"]
}

realm "acme" {
  authentication {
    authenticator {
      type = "seal"
      key  = "urn:realmgate-secret:local:SEAL_KEY"
    }
  }
}
