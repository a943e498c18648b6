package polaris

import "strings"

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
