package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

func (b *builder) realms(publicURL string) []Realm {
	above := b.root.block("authentication")
	tenants := group(b.root.values, "tenant")
	nodes := b.root.labelled("realm")
	out := make([]Realm, 0, len(nodes))
	for _, n := range nodes {
		r := Realm{Name: n.label, Tenant: n.text("tenant"), Pos: n.at.position()}
		b.reference(n, "tenant", "tenant", r.Tenant, tenants)
		b.names(n, &r, publicURL)

		own := n.block("authentication")
		auth := inherit(b.schema.blocks["realm"].blocks["authentication"], own, above)
		r.at = &trace{src: n.at.src, line: n.at.line, column: n.at.column, children: n.at.children.clone()}
		r.at.set("authentication", auth.at)
		r.Authentication = b.authentication(auth)
		r.Identities = b.identities(n)
		r.Connections = b.connections(n)
		b.modes(n, own, auth, &r)
		out = append(out, r)
	}
	b.distinctRealms(nodes, out)
	b.keepRealms(nodes, publicURL)
	return out
}

// names reads what identifies a realm: hosts, issuer and audience.
func (b *builder) names(n node, r *Realm, publicURL string) {
	for i, text := range n.texts("hosts") {
		host, err := normalHost(text)
		if err != nil {
			n.faultItem("hosts", i, "this is not a host name", sentence(err))
			continue
		}
		if slices.Contains(r.Hosts, host) {
			n.faultItem("hosts", i, "the host is listed twice", "Case does not count.")
			continue
		}
		r.Hosts = append(r.Hosts, host)
	}
	r.Issuer = publicURL + "/realms/" + r.Name
	if issuer, ok := n.values["issuer"].(string); ok {
		r.Issuer = issuer
		if err := checkURL(issuer); err != nil {
			n.fault("issuer", "issuer is not a URL that can be used", sentence(err))
		}
	}
	r.Audience = []string{r.Issuer}
	if _, ok := n.values["audience"]; ok {
		r.Audience = n.texts("audience")
		if len(r.Audience) == 0 {
			n.fault("audience", "audience must not be empty", "Leave it out to use the issuer.")
		}
		for i, text := range r.Audience {
			if strings.TrimSpace(text) == "" {
				n.faultItem("audience", i, "an audience must not be empty", "")
			}
		}
	}
}

func (b *builder) authentication(n node) Authentication {
	s := b.schema.blocks["authentication"]
	a := Authentication{
		Type:          n.enum("type", Internal, Internal, External, Mixed),
		Timeout:       n.duration("timeout", 3*time.Second, time.Millisecond),
		Cache:         cache(n.block("cache")),
		Authenticator: b.part(n.block("authenticator"), s.blocks["authenticator"]),
	}
	if a.Type == External {
		a.TokenService.Type = "disabled"
		b.tokenService(n.block("token_service")) // for its faults
	} else {
		a.TokenBroker = b.part(n.block("token_broker"), s.blocks["token_broker"])
		a.TokenService = b.tokenService(n.block("token_service"))
	}
	return a
}

// maxRemembered is the longest that a decision may be remembered: the end of a credential is known, but not what else happens
// where no epoch moves.
const maxRemembered = time.Hour

func cache(n node) Cache {
	age := func(key string, otherwise time.Duration) time.Duration {
		d := n.duration(key, otherwise, 0)
		if d > maxRemembered {
			n.fault(key, key+" is too long", fmt.Sprintf("It must be at most %s.", maxRemembered))
			return otherwise
		}
		return d
	}
	c := Cache{MaxAge: age("max_age", time.Minute), DeniedMaxAge: age("denied_max_age", 2*time.Second)}
	c.DeniedMaxAge = min(c.DeniedMaxAge, c.MaxAge)
	return c
}

func (b *builder) tokenService(n node) TokenService {
	t := TokenService{
		Type:         n.enum("type", "default", "default", "disabled"),
		DefaultScope: n.text("default_scope"),
		ScopeAliases: n.textMap("scope_aliases"),
		MaxSession:   n.duration("max_session", 12*time.Hour, time.Minute),
		Limit:        limit(n.block("limit")),
	}
	if t.DefaultScope != "" {
		if err := checkScope(t.DefaultScope); err != nil {
			n.fault("default_scope", "default_scope is not a scope", sentence(err))
		}
	}
	if t.ScopeAliases == nil {
		// What Iceberg clients ask for unless told otherwise.
		t.ScopeAliases = map[string]string{"catalog": b.prefix + "ALL"}
	}
	for alias, scope := range t.ScopeAliases {
		if checkScope(alias) != nil || strings.Contains(alias, " ") || checkScope(scope) != nil {
			n.fault("scope_aliases", "scope_aliases must map a scope item to a scope", "Write scope_aliases = { catalog = \"PRINCIPAL_ROLE:ALL\" }.")
			break
		}
	}
	return t
}

func limit(n node) Limit {
	l := Limit{
		ClientRate: n.number("client_rate", 50), ClientBurst: n.count("client_burst", 100, 1),
		PeerRate: n.number("peer_rate", 100), PeerBurst: n.count("peer_burst", 200, 1),
		IntrospectionRate: n.number("introspection_rate", 200), IntrospectionBurst: n.count("introspection_burst", 400, 1),
		Failures: n.count("failures", 5, 0), PeerFailures: n.count("peer_failures", 50, 0),
		Delay:    n.duration("delay", time.Second, time.Millisecond),
		MaxDelay: n.duration("max_delay", time.Minute, time.Millisecond),
		Forget:   n.duration("forget", 15*time.Minute, time.Millisecond),
	}
	switch {
	case l.MaxDelay < l.Delay:
		n.fault("max_delay", "max_delay is below delay", fmt.Sprintf("delay is %s.", l.Delay))
	case l.Forget < l.MaxDelay:
		n.fault("forget", "forget is below max_delay", fmt.Sprintf("max_delay is %s; failures are not forgotten while they wait.", l.MaxDelay))
	}
	return l
}

// modes checks what the authentication type asks of a realm. own is the realm's block before inheritance.
func (b *builder) modes(n, own, auth node, r *Realm) {
	kind := r.Authentication.Type
	switch {
	case kind == Internal && r.Tenant != "":
		n.warn("tenant", fmt.Sprintf("realm %q is internal; its tenant is not used", r.Name), "")
	case kind != Internal && r.Tenant == "" && !b.broken && n.at.child("tenant") == nil:
		at, key := n, ""
		if own.has("type") {
			at, key = own, "type"
		}
		at.faultShown(key, fmt.Sprintf("realm %q is %s, but names no tenant", r.Name, kind),
			"Set tenant to the tenant whose identity provider the realm trusts.")
	case kind != Internal && r.Tenant == "" && n.values["tenant"] != nil:
		n.fault("tenant", "tenant must not be empty", "Set it to the tenant whose identity provider the realm trusts.")
	}
	if r.Authentication.Type != External {
		return
	}
	for _, name := range []string{"token_broker", "token_service"} {
		if inner := own.block(name); inner.written {
			inner.warn("", fmt.Sprintf("realm %q is external; its %s is not used", r.Name, name), "An external realm issues no tokens.")
		}
	}
}

// distinctRealms checks that hosts and issuers tell the realms apart.
func (b *builder) distinctRealms(nodes []node, realms []Realm) {
	hosts, issuers := map[string]*Realm{}, map[string]*Realm{}
	for i := range realms {
		r := &realms[i]
		for _, host := range r.Hosts {
			if other, taken := hosts[host]; taken {
				nodes[i].faultShown("hosts", fmt.Sprintf("realm %q has a host of realm %q: %s", r.Name, other.Name, host), elsewhere(other.Pos))
				continue
			}
			hosts[host] = r
		}
		key := strings.ToLower(strings.TrimRight(r.Issuer, "/"))
		if other, taken := issuers[key]; taken {
			nodes[i].fault("issuer", fmt.Sprintf("realm %q has the issuer of realm %q", r.Name, other.Name), elsewhere(other.Pos))
			continue
		}
		issuers[key] = r
	}
}
