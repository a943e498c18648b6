// Package polaris translates the configuration of an Apache Polaris server, its application.properties, into a
// configuration of Realmgate: polaris.authentication.*, polaris.oidc.*, polaris.realm-context.*,
// polaris.service-identity.*, polaris.active-roles-provider.* and quarkus.oidc.*.
//
// Nothing is lost: each property becomes a setting, with its name in a comment beside it, or stands in a comment at the end that says
// why it has no equivalent. Nothing is guessed that makes a decision weaker: what cannot be decided is a fault at its line.
// Values of secrets are never copied; what needs one gets a reference to an environment variable.
package polaris
