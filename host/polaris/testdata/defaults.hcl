# Made of defaults.properties, profile prod, by `realmgate config import`. Beside each setting stands the property that it comes from.

# Whoever reaches this listener can choose the realm, as in Polaris. Leave realm_header out where a proxy, the path or the host chooses it.
# No property lists the realms: these are the ones that others name, or the default of Polaris.
listener "main" {
  realm_header = "Polaris-Realm" # the default of Polaris
}

realm "POLARIS" {}

# What became no setting, with the line where it stands:
#
#   2: quarkus.http.port: the daemon has listeners of its own, see docs/configuration.md
#   3: polaris.persistence.type: principals and roles are kept in a directory of our own, see docs/migrating-from-polaris.md
#   4: quarkus.datasource.password: not about authentication
