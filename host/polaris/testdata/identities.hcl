# Made of identities.properties, profile prod, by `realmgate config import`. Beside each setting stands the property that it comes from.

# Whoever reaches this listener can choose the realm, as in Polaris. Leave realm_header out where a proxy, the path or the host chooses it.
# The realms are those of polaris.realm-context.realms.
listener "main" {
  realm_header = "Polaris-Realm" # the default of Polaris
}

service_identity "aws_iam" {
  iam_arn = "arn:aws:iam::123456789012:user/polaris-default" # polaris.service-identity.aws-iam.iam-arn
}

realm "POLARIS" {}

realm "my-realm" {
  # The variable holds {"access_key_id": "...", "secret_access_key": "...", "session_token": "only if they are temporary"}.
  service_identity "aws_iam" {
    iam_arn     = "arn:aws:iam::123456789012:user/polaris"                                     # polaris.service-identity.my-realm.aws-iam.iam-arn
    credentials = "urn:realmgate-secret:environment:POLARIS_SERVICE_IDENTITY_MY_REALM_AWS_IAM" # polaris.service-identity.my-realm.aws-iam.access-key-id, polaris.service-identity.my-realm.aws-iam.secret-access-key, polaris.service-identity.my-realm.aws-iam.session-token
  }
}

# Set these variables in the environment of the daemon.
secret_store "environment" {
  type      = "env"
  variables = ["POLARIS_SERVICE_IDENTITY_MY_REALM_AWS_IAM"]
}

# What became no setting, with the line where it stands:
#
#   7: polaris.credential-manager.type: credential vendors are chosen by credential_vendor blocks, and have defaults
