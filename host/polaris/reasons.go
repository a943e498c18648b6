package polaris

import (
	"slices"
	"strings"
)

// quarkusGroups are the first segments of the settings of Quarkus' OpenID connector; any other one is the name of a tenant.
var quarkusGroups = []string{
	"allow-token-introspection-cache", "allow-user-info-cache", "application-type", "auth-server-url", "authentication", "authorization-path",
	"cache-user-info-in-idtoken", "certificate-chain", "client-id", "client-name", "code-grant", "connection-delay", "connection-retry-count",
	"connection-timeout", "credentials", "default-token-cache", "devservices", "devui", "discovery-enabled", "enabled", "end-session-path",
	"follow-redirects", "health", "introspection-credentials", "introspection-path", "jwks", "jwks-path", "logout", "max-pool-size", "oidc-request-filter",
	"provider", "proxy", "public-key", "registration-path", "resolve-tenants-with-issuer", "resource-metadata", "revoke-path", "roles", "tenant-enabled", "tenant-id", "tenant-paths", "tls",
	"token", "token-cache", "token-path", "token-state-manager", "use-blocking-dns-lookup", "user-info-path", "logging", "keycloak",
}

const (
	elsewhere = "not about authentication"
	unknown   = "there is no such property of Polaris that is known here"
)

// groupReasons say why settings of the connector have no equivalent, by their first segments.
var groupReasons = map[string]string{
	"application-type":            "every tenant is a service here: the parts for browsers have no equivalent",
	"client-id":                   "tokens are verified with the provider's keys, no client is needed for that",
	"credentials":                 "tokens are verified with the provider's keys, no client is needed for that",
	"introspection-credentials":   "only an identity_provider of the type introspection has a client",
	"introspection-path":          "tokens are verified with the provider's keys: for opaque ones choose the type introspection, see docs/parts.md",
	"auth-server-url":             "the tenant is not enabled",
	"connection-delay":            "a provider that is down at the start is asked again when it is needed",
	"connection-retry-count":      "a provider that is down is asked again by itself",
	"connection-timeout":          "the time of a decision is bounded by authentication.timeout",
	"max-pool-size":               "connections to the provider are not limited",
	"jwks":                        "see refresh_interval and max_stale of oidc in docs/parts.md",
	"public-key":                  "keys are fetched from the provider: set jwks_uri",
	"provider":                    "set the issuer of the provider",
	"tls":                         "see ca_file in docs/parts.md; certificates are always verified",
	"proxy":                       "set HTTPS_PROXY in the env of a plugin block",
	"tenant-paths":                "a realm names its tenant here, paths do not choose it",
	"resolve-tenants-with-issuer": "a realm names its tenant here, the issuer of a token does not choose it",
	"tenant-id":                   "the tenant has the name of its block",
	"token":                       "the check has no equivalent, see docs/parts.md for what is checked",
	"token-cache":                 "see max_age of introspection in docs/parts.md",
	"roles":                       "roles come from the access token alone, at role_claim_path",
	"discovery-enabled":           "metadata is fetched unless jwks_uri is set",
	"devservices":                 "there are no such services",
}

// reason says why a property became no setting, as far as its name tells.
func reason(path []string) string {
	head := strings.Join(path[:min(2, len(path))], ".")
	switch head {
	case "quarkus.oidc":
		for _, segment := range path[2:min(4, len(path))] {
			if why := groupReasons[segment]; why != "" {
				return why
			}
			if slices.Contains(quarkusGroups, segment) {
				return "it has no equivalent: the parts that verify tokens do not need it"
			}
		}
		return unknown
	case "polaris.authentication":
		return "no part that was chosen takes it"
	case "polaris.oidc":
		return "no tenant that is enabled takes it"
	case "polaris.realm-context", "polaris.service-identity", "polaris.active-roles-provider":
		return unknown
	case "polaris.credential-manager":
		return "credential vendors are chosen by credential_vendor blocks, and have defaults"
	case "polaris.token-broker":
		return "the property of an old Polaris: there are polaris.authentication.token-broker ones since"
	}
	switch {
	case len(path) > 1 && path[0] == "quarkus" && (path[1] == "http" || path[1] == "management"):
		return "the daemon has listeners of its own, see docs/configuration.md"
	case len(path) > 1 && path[0] == "quarkus" && path[1] == "log":
		return "see log in docs/configuration.md"
	case len(path) > 1 && path[0] == "polaris" && path[1] == "persistence":
		return "principals and roles are kept in a directory of our own, see docs/migrating-from-polaris.md"
	}
	return elsewhere
}
