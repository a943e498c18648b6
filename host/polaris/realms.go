package polaris

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// translate makes the blocks, in the order in which they are written.
func (i *importer) translate() {
	realms, header := i.realmContext()
	tenants := i.tenants()
	authentication := &block{kind: "authentication"}
	above := i.authentication("polaris", "authentication")
	i.writeAuthentication(authentication, above, nil)
	active := &block{kind: "active_roles_provider"}
	if p := i.get("polaris", "active-roles-provider", "type"); p != nil {
		active.take("type", i.text(p), p)
	}
	identity := i.identity("polaris", "service-identity")
	blocks := make([]*block, 0, len(realms))
	for _, name := range realms {
		blocks = append(blocks, i.realm(name, above, tenants))
	}
	for _, prefix := range []string{"authentication", "service-identity"} {
		for _, p := range i.under("polaris", prefix) {
			if name := p.path[2]; !p.used && p.note == "" && len(p.path) > 3 && !slices.Contains(groups, name) && !slices.Contains(realms, name) {
				p.note = "there is no such realm in polaris.realm-context"
			}
		}
	}
	defaults := i.tenantDefaults(tenants)
	for _, b := range []*block{header, authentication, active, identity, defaults} {
		if b == nil {
			continue
		}
		if b.drop(); !b.empty() {
			i.top = append(i.top, b)
		}
	}
	for _, t := range tenants {
		i.top = append(i.top, t.block)
	}
	i.top = append(i.top, blocks...)
	if len(i.env) > 0 {
		b := &block{kind: "secret_store", label: store, comments: []string{"Set these variables in the environment of the daemon."}}
		b.set("type", "env", "")
		b.set("variables", i.env, "")
		i.top = append(i.top, b)
	}
}

// groups are the first segments of polaris.authentication and polaris.service-identity that are no realms.
var groups = []string{"type", "authenticator", "token-service", "token-broker", "active-roles-provider", "aws-iam"}

var nameSyntax = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func (i *importer) checkName(line int, what, name string) bool {
	if nameSyntax.MatchString(name) && name != "." && name != ".." {
		return true
	}
	i.fault(line, what+" has a name that cannot be used here", "A name has 1 to 64 letters, digits, and -, _ and . here.")
	return false
}

// realmContext gives the realms, and the listener whose header chooses them.
func (i *importer) realmContext() ([]string, *block) {
	listener := &block{kind: "listener", label: "main"}
	if p := i.get("polaris", "realm-context", "type"); p != nil {
		if i.text(p) != "default" {
			p.note = "a realm is chosen by the path, by hosts and by realm_header here, see docs/http.md"
		} else {
			p.note = "it is always so"
		}
	}
	header, from := "Polaris-Realm", "the default of Polaris"
	if p := i.get("polaris", "realm-context", "header-name"); p != nil {
		header, from = i.text(p), shownKey(p.written())
	}
	listener.set("realm_header", header, from)
	listener.comments = []string{"Whoever reaches this listener can choose the realm, as in Polaris. Leave realm_header out where a proxy, the path or the host chooses it."}

	var out []string
	p := i.get("polaris", "realm-context", "realms")
	switch {
	case p != nil:
		for _, name := range i.list(p) {
			if i.checkName(p.line, "a realm", name) && !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
		listener.comments = append(listener.comments, "The realms are those of "+shownKey(p.written())+".")
	default:
		for _, p := range i.under("polaris", "authentication") {
			if name := p.path[2]; !slices.Contains(groups, name) && len(p.path) > 3 && !slices.Contains(out, name) && i.checkName(p.line, "a realm", name) {
				out = append(out, name)
			}
		}
		if len(out) == 0 {
			out = []string{"POLARIS"}
		}
		listener.comments = append(listener.comments, "No property lists the realms: these are the ones that others name, or the default of Polaris.")
	}
	if p := i.get("polaris", "realm-context", "require-header"); p != nil {
		p.note = "a request always names its realm here: in the path, the host or the header"
		if !i.boolean(true, p.path...) && len(out) > 1 {
			i.warn(p.line, "requests without the realm header are refused here", "In Polaris they meant realm "+out[0]+". Give it hosts, or name it in the path.")
		}
	}
	return out, listener
}

// authentication is what one level says about how a realm decides.
type authentication struct {
	typ, service          *property
	authenticator, broker *level
}

// brokerNames are the settings of the two bundled token brokers, by the keys of Polaris; max-token-generation belongs to both.
var brokerNames = map[string]struct{ typ, name string }{
	"max-token-generation":          {"", "max_token_generation"},
	"rsa-key-pair.public-key-file":  {"rsa-key-pair", "public_key_file"},
	"rsa-key-pair.private-key-file": {"rsa-key-pair", "private_key_file"},
	"symmetric-key.secret":          {"symmetric-key", "secret"},
	"symmetric-key.file":            {"symmetric-key", "secret_file"},
}

// takesBroker says whether a type of token broker has a setting.
func takesBroker(typ, name string) bool {
	bundled := typ == "rsa-key-pair" || typ == "symmetric-key"
	for _, n := range brokerNames {
		if n.name == name {
			return n.typ == "" || n.typ == typ
		}
	}
	return !bundled
}

// takesNone is for the types default, which have no settings: another type has any.
func takesNone(typ, _ string) bool { return typ != "default" }

func (i *importer) authentication(prefix ...string) *authentication {
	at := func(more ...string) []string { return slices.Concat(prefix, more) }
	a := &authentication{
		typ: i.get(at("type")...), service: i.get(at("token-service", "type")...),
		authenticator: &level{typ: i.get(at("authenticator", "type")...)},
		broker:        &level{typ: i.get(at("token-broker", "type")...)},
	}
	for _, p := range i.under(at("authenticator")...) {
		if p != a.authenticator.typ {
			i.own(a.authenticator, p, p.path[len(prefix)+1:])
		}
	}
	for _, p := range i.under(at("token-broker")...) {
		if p == a.broker.typ || i.get(p.path...) == nil {
			continue
		}
		rest := p.path[len(prefix)+1:]
		known, ok := brokerNames[strings.Join(rest, ".")]
		switch {
		case !ok:
			i.own(a.broker, p, rest)
		case known.name == "max_token_generation":
			a.broker.put(known.name, p, func() any { return i.duration(p) })
		case known.name == "secret":
			a.broker.put(known.name, p, func() any { return i.secret(p) })
		default:
			a.broker.put(known.name, p, func() any { return i.text(p) })
		}
	}
	return a
}

// writeAuthentication writes one level; above is nil for the top.
func (i *importer) writeAuthentication(b *block, a, above *authentication) {
	if a.typ != nil {
		typ := strings.ToLower(i.text(a.typ))
		if !slices.Contains([]string{"internal", "external", "mixed"}, typ) {
			i.fault(a.typ.line, shownKey(a.typ.written())+" must be internal, external or mixed", "")
		}
		b.take("type", typ, a.typ)
	}
	if a.service != nil {
		s := b.add("token_service")
		switch typ := i.text(a.service); typ {
		case "default", "disabled":
			s.take("type", typ, a.service)
		default:
			s.comments = []string{"Polaris had another token service, which has no equivalent: no tokens are issued."}
			s.take("type", "disabled", a.service)
		}
	}
	var authenticator, broker *level
	if above != nil {
		authenticator, broker = above.authenticator, above.broker
	}
	i.part(b.add("authenticator"), a.authenticator, authenticator, "default", takesNone)
	i.part(b.add("token_broker"), a.broker, broker, "rsa-key-pair", takesBroker)
}

// realm writes one realm.
func (i *importer) realm(name string, above *authentication, tenants []*tenant) *block {
	b := &block{kind: "realm", label: name}
	a := i.authentication("polaris", "authentication", name)
	typ := a.typ
	if typ == nil {
		typ = above.typ
	}
	if typ != nil && strings.ToLower(i.text(typ)) != "internal" {
		i.chooseTenant(b, name, typ, tenants)
	}
	i.writeAuthentication(b.add("authentication"), a, above)
	if identity := i.identity("polaris", "service-identity", name); identity != nil {
		b.blocks = append(b.blocks, identity)
	}
	return b
}

// chooseTenant finds the tenant of a realm: the one that the command names, else the one with the realm's name, else the only one.
func (i *importer) chooseTenant(b *block, realm string, typ *property, tenants []*tenant) {
	names := i.byLabel
	list := func() string { return strings.Join(slices.Sorted(maps.Keys(names)), ", ") }
	name, why := i.options.Tenants[realm], "as the command said"
	switch {
	case name != "" && names[name] == nil:
		i.fault(typ.line, fmt.Sprintf("realm %s is to use tenant %s, which is not enabled", realm, name), "There are: "+list()+".")
		return
	case name != "":
	case names[realm] != nil:
		name, why = realm, "it has the name of the realm"
	case len(tenants) == 1:
		name, why = tenants[0].block.label, "it is the only one"
	case len(tenants) == 0:
		i.fault(typ.line, fmt.Sprintf("realm %s takes tokens of an identity provider, but no tenant is enabled", realm), "Set quarkus.oidc.auth-server-url and quarkus.oidc.tenant-enabled.")
		return
	default:
		i.fault(typ.line, fmt.Sprintf("it cannot be seen which tenant realm %s uses", realm),
			fmt.Sprintf("Polaris finds out with each request. Say it: --tenant %s=NAME, one of: %s.", realm, list()))
		return
	}
	names[name].used = true
	b.set("tenant", name, why)
	if !names[name].mapped {
		i.fault(names[name].line, fmt.Sprintf("tenant %s finds no principal", name), "Set polaris.oidc.principal-mapper.id-claim-path or name-claim-path.")
	}
}

// identity writes the AWS identity of a level; nil if there is none.
func (i *importer) identity(prefix ...string) *block {
	at := func(key string) *property { return i.get(slices.Concat(prefix, []string{"aws-iam", key})...) }
	arn := at("iam-arn")
	if arn == nil {
		return nil
	}
	b := &block{kind: "service_identity", label: "aws_iam"}
	b.take("iam_arn", i.text(arn), arn)
	id, key, session := at("access-key-id"), at("secret-access-key"), at("session-token")
	if id == nil || key == nil {
		return b
	}
	variable := i.ownVariable(strings.ToUpper(unfit.ReplaceAllString(strings.Join(slices.Concat(prefix, []string{"aws-iam"}), "_"), "_")), key)
	b.comments = []string{`The variable holds {"access_key_id": "...", "secret_access_key": "...", "session_token": "only if they are temporary"}.`}
	from := shownKey(id.written()) + ", " + shownKey(key.written())
	id.used, key.used = true, true
	if session != nil {
		session.used = true
		from += ", " + shownKey(session.written())
	}
	b.set("credentials", i.reference(variable, key.line), from)
	i.warn(key.line, shownKey(key.written())+" is a secret: it is not copied", "Set the environment variable "+variable+" of the daemon to a JSON object, see the comment in the configuration.")
	return b
}
