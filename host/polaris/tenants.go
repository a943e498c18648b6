package polaris

import (
	"slices"
	"strings"
)

// tenant is an identity provider that is enabled.
type tenant struct {
	block  *block
	own    []string // what its polaris.oidc keys begin with
	line   int
	used   bool // by a realm
	mapped bool // its mapper can find a principal
}

// defaultTenant is the name that the tenant without a name gets.
const defaultTenant = "default"

// tenants gives the tenants that are enabled, the one without a name first.
func (i *importer) tenants() []*tenant {
	if p := i.get("quarkus", "oidc", "enabled"); p != nil {
		on := i.boolean(true, p.path...)
		p.note = "tenants that are written are enabled"
		if !on {
			p.note = "no tenant is written"
			i.warn(p.line, shownKey(p.written())+" is off: all tenants are left out", "In Quarkus nobody comes in by a provider's token then.")
			return nil
		}
	}
	names, seen := []string{""}, map[string]bool{}
	for _, p := range i.under("quarkus", "oidc") {
		if name := p.path[2]; len(p.path) > 3 && !slices.Contains(quarkusGroups, name) && !seen[name] {
			names, seen[name] = append(names, name), true
		}
	}
	var out []*tenant
	for _, name := range names {
		prefix, own := []string{"quarkus", "oidc"}, []string{"polaris", "oidc"}
		label := defaultTenant
		if name != "" {
			prefix, own, label = append(prefix, name), append(own, name), name
		}
		url := i.get(slices.Concat(prefix, []string{"auth-server-url"})...)
		enabled := i.get(slices.Concat(prefix, []string{"tenant-enabled"})...)
		if enabled != nil {
			on := i.boolean(true, enabled.path...)
			enabled.note = "a tenant that is written is enabled, and works once a realm names it"
			if !on {
				enabled.note = "the tenant is left out"
				continue
			}
		}
		if url == nil {
			if below := i.under(prefix...); name != "" && enabled == nil && len(below) > 0 {
				i.warn(below[0].line, shownKey(below[0].written())+" is taken for a setting of a tenant, which has no auth-server-url and is left out",
					"If it is one of the tenant without a name, it has no equivalent: tokens that Polaris refuses may be accepted here, or the other way round.")
			}
			continue
		}
		if enabled == nil && name == "" { // Polaris' own application.properties turn it off
			url.note = "the tenant is left out"
			i.warn(url.line, "the tenant without a name is off in Polaris, unless quarkus.oidc.tenant-enabled is true: it is left out", "Set quarkus.oidc.tenant-enabled=true if it is on where Polaris runs.")
			continue
		}
		if !i.checkName(url.line, "a tenant", label) {
			continue
		}
		if name == defaultTenant && slices.ContainsFunc(out, func(t *tenant) bool { return t.block.label == label }) {
			i.fault(url.line, "a tenant has the name default, which the tenant without a name has here", "Give it another name.")
			continue
		}
		t := &tenant{block: &block{kind: "tenant", label: label}, own: own, line: url.line}
		i.provider(t.block.add("identity_provider"), url, prefix)
		out = append(out, t)
	}
	for _, t := range out {
		t.mapped = i.findsPrincipal(t)
		i.byLabel[t.block.label] = t
	}
	return out
}

var mappers = []struct{ kind, key string }{{"principal_mapper", "principal-mapper"}, {"principal_roles_mapper", "principal-roles-mapper"}}

// tenantDefaults writes the mappers: those of all tenants into a block, which it gives, and those of each tenant.
func (i *importer) tenantDefaults(tenants []*tenant) *block {
	b := &block{kind: "tenant_defaults"}
	for _, m := range mappers {
		above := i.mapper("polaris", "oidc", m.key)
		i.part(b.add(m.kind), above, nil, "default", takesMapper)
		for _, t := range tenants {
			if len(t.own) > 2 {
				i.part(t.block.add(m.kind), i.mapper(slices.Concat(t.own, []string{m.key})...), above, "default", takesMapper)
			}
		}
	}
	return b
}

// mapperSettings are those that Polaris declares for mappers of any type, beside the mappings.
var mapperSettings = []string{"id_claim_path", "name_claim_path", "filter"}

// takesMapper says whether a mapper has a setting: those of the type default are known.
func takesMapper(typ, name string) bool {
	return typ != "default" || slices.Contains(mapperSettings, name)
}

// findsPrincipal says whether the mapper of a tenant has a claim to look at, or is not ours.
func (i *importer) findsPrincipal(t *tenant) bool {
	all := i.mapper(slices.Concat(t.own, []string{"principal-mapper"})...).over(i.mapper("polaris", "oidc", "principal-mapper"))
	if i.typeOf(all, "default") != "default" {
		return true
	}
	_, id := all.settings["id_claim_path"]
	_, name := all.settings["name_claim_path"]
	return id || name
}

// provider writes the identity provider of a tenant.
func (i *importer) provider(b *block, url *property, prefix []string) {
	at := func(path ...string) *property { return i.get(slices.Concat(prefix, path)...) }
	is := func(otherwise bool, path ...string) bool { return i.boolean(otherwise, slices.Concat(prefix, path)...) }
	discovery := is(true, "discovery-enabled")
	if p := at("discovery-enabled"); p != nil {
		p.note = "metadata is fetched unless jwks_uri is set"
	}
	only := is(false, "token", "require-jwt-introspection-only")
	if p := at("token", "require-jwt-introspection-only"); p != nil {
		p.note = "the type introspection asks about every token, the type oidc about none"
	}
	if only || !discovery && at("introspection-path") != nil && at("jwks-path") == nil {
		i.introspection(b, url, at)
	} else {
		i.oidc(b, url, at, discovery)
	}
	if p := at("token", "required-claims", "azp"); p != nil {
		b.take("authorized_party", i.list(p), p)
	}
	if p := at("token", "lifespan-grace"); p != nil {
		b.take("clock_skew", i.duration(p), p)
	}
	i.roleClaim(b, at("roles", "role-claim-path"))
	for _, key := range []string{"source", "role-claim-separator"} {
		if p := at("roles", key); p != nil && !strings.EqualFold(p.value, "accesstoken") {
			i.warn(p.line, shownKey(p.written())+" has no equivalent: a token may have other roles here", "Roles come from the access token alone, at role_claim_path: a list, or a text that is split at white space.")
		}
	}
	i.tokenChecks(slices.Concat(prefix, []string{"token"}))
	i.otherChecks(prefix)
}

// roleClaim says where roles are. Quarkus looks at the claim groups if it is told nothing.
func (i *importer) roleClaim(b *block, p *property) {
	if p == nil {
		b.set("role_claim_path", "groups", "the default of Quarkus")
		return
	}
	paths := i.list(p)
	switch {
	case len(paths) == 0:
		i.fault(p.line, shownKey(p.written())+" names no claim", "")
	case len(paths) > 1:
		i.warn(p.line, shownKey(p.written())+" names several claims: only the roles of the first one count here", "Have the provider put the roles into one claim.")
		b.take("role_claim_path", paths[0], p)
	default:
		b.take("role_claim_path", paths[0], p)
	}
}

func (i *importer) oidc(b *block, url *property, at func(...string) *property, discovery bool) {
	b.set("type", "oidc", "")
	server := i.text(url)
	keys := at("jwks-path")
	issuer := at("token", "issuer")
	switch {
	case issuer == nil:
		b.take("issuer", server, url)
	case i.text(issuer) == "any":
		issuer.note = "the issuer is always checked"
		i.warn(issuer.line, "tokens of any issuer are accepted in Polaris, here only those of "+shownKey(url.written()), "")
		b.take("issuer", server, url)
	default:
		b.take("issuer", i.text(issuer), issuer)
		if keys == nil || discovery {
			b.take("discovery_url", strings.TrimRight(server, "/")+"/.well-known/openid-configuration", url)
		} else {
			url.note = "token.issuer and jwks-path say all that is needed"
		}
	}
	switch {
	case keys != nil && !discovery:
		b.take("jwks_uri", i.address(server, keys), keys)
	case keys != nil:
		keys.note = "the provider's metadata says where its keys are"
	case !discovery:
		i.fault(url.line, "the provider's keys cannot be found: its metadata are not to be fetched", "Set jwks-path, or leave discovery-enabled out.")
	}
	i.audience(b, url, at)
	if p := at("token", "signature-algorithm"); p != nil {
		b.take("algorithms", []string{strings.ToUpper(i.text(p))}, p)
	}
}

// audience writes which audiences a token may have. Polaris takes tokens for anyone if it is told none; here one has to be named.
func (i *importer) audience(b *block, url *property, at func(...string) *property) {
	p, client := at("token", "audience"), at("client-id")
	if p != nil {
		if list := i.list(p); !slices.Equal(list, []string{"any"}) && len(list) > 0 {
			b.take("audience", list, p)
			return
		}
		p.note = "an audience is always checked: that of the client stands in its place"
	}
	if client == nil {
		i.fault(url.line, "the tenant says nothing of the audience of its tokens", "Tokens that were issued for anyone else would be accepted. Set token.audience, or client-id.")
		return
	}
	from := shownKey(client.written())
	if client.used {
		from = "as client_id"
	}
	i.warn(url.line, "Polaris does not check the audience of this tenant's tokens, here it must be the client", "Set token.audience to what the provider puts into aud.")
	b.set("audience", []string{i.text(client)}, from)
}

func (i *importer) introspection(b *block, url *property, at func(...string) *property) {
	b.set("type", "introspection", "")
	server := i.text(url)
	path := at("introspection-path")
	if path == nil {
		i.fault(url.line, "the introspection endpoint is not known: it is not looked up in the provider's metadata", "Set introspection-path.")
		return
	}
	b.take("endpoint", i.address(server, path), path)
	issuer := at("token", "issuer")
	switch {
	case issuer == nil:
		b.take("issuer", server, url)
	case i.text(issuer) == "any":
		issuer.note = "the issuer is always checked, if an answer has one"
		b.take("issuer", server, url)
	default:
		b.take("issuer", i.text(issuer), issuer)
		url.note = "the endpoint is below it: see introspection-path"
	}
	first := func(paths ...string) *property {
		for _, path := range paths {
			if p := at(strings.Split(path, ".")...); p != nil {
				return p
			}
		}
		return nil
	}
	id := first("introspection-credentials.name", "client-id")
	secret := first("introspection-credentials.secret", "credentials.client-secret.value", "credentials.secret")
	if id == nil || secret == nil {
		i.fault(path.line, "introspection needs a client and its secret", "Set client-id and credentials.secret.")
		return
	}
	b.take("client_id", i.text(id), id)
	b.take("client_secret", i.secret(secret), secret)
	if p := at("credentials", "client-secret", "method"); p != nil {
		switch method := i.text(p); method {
		case "basic", "post":
			b.take("auth_method", method, p)
		default:
			i.fault(p.line, "a client says who it is by basic or post here", "")
		}
	}
	i.audience(b, url, at)
}

// address gives an endpoint: Quarkus takes an address, or a path below the server's.
func (i *importer) address(server string, p *property) string {
	path := i.text(p)
	if strings.Contains(path, "://") {
		return path
	}
	whole := strings.TrimRight(server, "/") + "/" + strings.TrimLeft(path, "/")
	i.checkAddress(p, whole)
	return whole
}
