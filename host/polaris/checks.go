package polaris

import (
	"cmp"
	"slices"
	"strings"
)

// harmlessChecks are the settings of the group token that let no token be refused, with the reason why they have no equivalent.
var harmlessChecks = map[string]string{
	"allow-jwt-introspection":          "the type introspection asks about every token, the type oidc about none",
	"allow-opaque-token-introspection": "the type introspection asks about every token, the type oidc about none",
	"forced-jwk-refresh-interval":      "keys are fetched by refresh_interval of oidc, see docs/parts.md",
	"principal-claim":                  "the principal mapper says which claim names the principal",
	"refresh-expired":                  "every tenant is a service here: the parts for browsers have no equivalent",
	"refresh-token-time-skew":          "every tenant is a service here: the parts for browsers have no equivalent",
}

// lostChecks are those without which tokens of another kind, holder or owner would be accepted: there is no going on without them.
var lostChecks = map[string]bool{
	"required-claims": true, "token-type": true, "binding-certificate": true, "verify-access-token-with-user-info": true,
}

// harmlessGroups are the settings of a tenant, by their first segments, that let no token in or out: those of the connection, of the
// parts for browsers, of what is remembered, and those of which something else tells.
var harmlessGroups = []string{
	"allow-token-introspection-cache", "allow-user-info-cache", "application-type", "auth-server-url", "authorization-path", "cache-user-info-in-idtoken",
	"client-id", "client-name", "code-grant", "connection-delay", "connection-retry-count", "connection-timeout", "credentials", "default-token-cache",
	"devservices", "devui", "discovery-enabled", "enabled", "end-session-path", "follow-redirects", "health", "introspection-credentials", "introspection-path",
	"jwks", "jwks-path", "logging", "logout", "max-pool-size", "proxy", "registration-path", "resolve-tenants-with-issuer", "resource-metadata", "revoke-path",
	"roles", "tenant-enabled", "tenant-id", "tenant-paths", "token", "token-cache", "token-path", "token-state-manager", "use-blocking-dns-lookup", "user-info-path",
}

// otherChecks warns of the settings of a tenant outside of the group token that became none here, unless they are known to be harmless:
// who is trusted, and whether the provider is asked, may be said there.
func (i *importer) otherChecks(prefix []string) {
	for _, p := range i.under(prefix...) {
		group := p.path[len(prefix)]
		another := len(prefix) == 2 && len(p.path) > 3 && !slices.Contains(quarkusGroups, group) // tenant's
		switch {
		case p.used || another || slices.Contains(harmlessGroups, group) || p.value == "" || strings.EqualFold(strings.TrimSpace(p.value), "false"):
		default:
			i.warn(p.line, shownKey(p.written())+" has no equivalent: tokens that Polaris refuses may be accepted here, or the other way round",
				sentence(cmp.Or(groupReasons[group], "see docs/parts.md for what is checked")))
		}
	}
}

// tokenChecks says of each setting of a tenant's group token that became none here what is not checked then. What is not known to be
// harmless is at least a warning, so that a setting of a newer Quarkus is too.
func (i *importer) tokenChecks(prefix []string) {
	for _, p := range i.under(prefix...) {
		if p.used {
			continue
		}
		name, key := p.path[len(prefix)], shownKey(p.written())
		switch {
		case p.value == "":
			p.note = "it is empty"
		case harmlessChecks[name] != "":
			p.note = harmlessChecks[name]
		case strings.EqualFold(p.value, "false") && name != "required-claims":
			p.note = "it is off"
		case lostChecks[name]:
			i.fault(p.line, key+" has no equivalent: tokens that Polaris refuses would be accepted",
				"Have the provider issue such tokens for another audience, or let an identity provider of your own check them; then take the property out.")
		default:
			i.warn(p.line, key+" has no equivalent: tokens that Polaris refuses may be accepted here, or the other way round", "See docs/parts.md for what is checked.")
		}
	}
}
