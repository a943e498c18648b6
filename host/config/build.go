package config

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// builder makes the Config of the merged layers. It goes on after a fault, so that one run finds them all.
type builder struct {
	root   node
	schema *block
	broken bool
	prefix string // role_prefix
	blocks []effective
}

func (l *loader) build() *Config {
	b := &builder{
		root:   node{values: l.values, at: l.root, written: true, diags: &l.diags},
		schema: l.schema,
		broken: l.broken,
	}
	b.prefix = b.rolePrefix()
	cfg := &Config{
		PublicURL:          b.publicURL(),
		ShutdownGrace:      b.root.duration("shutdown_grace", 10*time.Second, 0),
		PluginHealthWindow: b.root.duration("plugin_health_window", 30*time.Second, 0),
		PluginDir:          b.root.text("plugin_dir"),
		RolePrefix:         b.prefix,
		ActiveRoles:        b.part(b.root.block("active_roles_provider"), b.schema.blocks["active_roles_provider"]),
		at:                 l.root,
	}
	log := b.root.block("log")
	cfg.Log = Log{
		Level:  log.enum("level", "info", "trace", "debug", "info", "warn", "error"),
		Format: log.enum("format", "text", "text", "json"),
	}
	cfg.Admin.Socket = b.root.block("admin").text("socket")
	cfg.Metrics.Address = b.root.block("metrics").text("address")
	directory := b.root.block("directory")
	cfg.Directory = Directory{Type: directory.enum("type", "sqlite", "sqlite"), Path: directory.need("path")}

	cfg.Audit = b.audit(b.root.block("audit"))
	remembered := b.root.block("decision_cache")
	cfg.DecisionCache = DecisionCache{
		Memory: remembered.size("memory", 64<<20, leastCache), DeniedMemory: remembered.size("denied_memory", 8<<20, leastCache),
	}

	cfg.Listeners = b.listeners(cfg.Metrics.Address)
	cfg.Plugins = b.plugins()
	cfg.Tenants = b.tenants()
	cfg.Realms = b.realms(cfg.PublicURL)
	cfg.SecretStores = b.secretStores()
	cfg.Identities = b.identities(b.root)
	cfg.Vendors = b.vendors()
	b.custody(cfg)
	b.keepTop()
	cfg.blocks = b.blocks
	return cfg
}

func (b *builder) audit(n node) Audit {
	n.enum("format", "json", "json")
	return Audit{
		Path: n.textOr("path", defaultAuditPath), Refuse: n.enum("on_failure", "refuse", "refuse", "continue") == "refuse",
		Decisions: n.boolean("decisions"), Compress: n.boolean("compress"),
		MaxSizeMB: n.count("max_size_mb", 100, 1), MaxBackups: n.count("max_backups", 10, 0), MaxAgeDays: n.count("max_age_days", 0, 0),
	}
}

func (b *builder) publicURL() string {
	value := strings.TrimRight(b.root.textOr("public_url", defaultPublicURL), "/")
	if err := checkURL(value); err != nil {
		b.root.fault("public_url", "public_url is not a URL that can be used", sentence(err))
	}
	return value
}

func (b *builder) rolePrefix() string {
	p := b.root.textOr("role_prefix", defaultRolePrefix)
	if p == "" || checkScope(p) != nil || strings.Contains(p, " ") {
		b.root.fault("role_prefix", "role_prefix cannot start an item of a scope", "Write printable ASCII without space, \" and \\ (RFC 6749, 3.3).")
	}
	return p
}

// part reads a part's block: its type, and as JSON all that the host does not own.
func (b *builder) part(n node, s *block) Part {
	p := Part{Type: n.textOr("type", defaultTypes[n.name]), at: n.at}
	if t, ok := n.values["type"].(string); ok && t == "" {
		n.fault("type", "type must not be empty", "")
	}
	settings := make(map[string]any, len(n.values))
	for key, value := range n.values {
		if s.attrs[key] == 0 && s.blocks[key] == nil {
			settings[key] = value
		}
	}
	if len(settings) == 0 {
		p.Settings = json.RawMessage("{}")
		return p
	}
	if p.Settings = encode(settings); p.Settings == nil {
		n.fault("", "the settings cannot be written as JSON", "")
	}
	return p
}

func (b *builder) tenants() []Tenant {
	s, above := b.schema.blocks["tenant"], b.root.block("tenant_defaults")
	all := b.root.labelled("tenant")
	b.keepTenants(all, above)
	out := make([]Tenant, 0, len(all))
	for _, own := range all {
		n := inherit(s, own, above)
		out = append(out, Tenant{
			Name:                 own.label,
			IdentityProvider:     b.part(n.block("identity_provider"), s.blocks["identity_provider"]),
			PrincipalMapper:      b.part(n.block("principal_mapper"), s.blocks["principal_mapper"]),
			PrincipalRolesMapper: b.part(n.block("principal_roles_mapper"), s.blocks["principal_roles_mapper"]),
			Pos:                  own.at.position(),
			at:                   n.at,
		})
	}
	return out
}

func (b *builder) secretStores() []SecretStore {
	s := b.schema.blocks["secret_store"]
	realms := group(b.root.values, "realm")
	var out []SecretStore
	for _, n := range b.root.labelled("secret_store") {
		store := SecretStore{Name: n.label, Part: b.part(n, s), Variables: n.texts("variables"), Pos: n.at.position()}
		if !b.broken {
			n.need("type")
		}
		for i, name := range store.Variables {
			if !variableSyntax.MatchString(name) {
				n.faultItem("variables", i, "this is not the name of an environment variable", "List names, not values.")
			}
		}
		for _, g := range n.repeated("grant") {
			grant := Grant{Realm: g.need("realm"), Prefix: g.need("prefix"), Pos: g.at.position(), at: g.at}
			if grant.Prefix != "" {
				if err := checkPrefix(grant.Prefix); err != nil {
					g.fault("prefix", "prefix cannot be used", sentence(err))
				}
			}
			b.reference(g, "realm", "realm", grant.Realm, realms)
			store.Grants = append(store.Grants, grant)
		}
		out = append(out, store)
	}
	return out
}

// reference checks that a key names a block that is declared.
func (b *builder) reference(n node, key, what, name string, declared map[string]any) {
	if _, ok := declared[name]; ok || name == "" || b.broken {
		return
	}
	n.faultNamed(key, fmt.Sprintf("no such %s is declared", what), name, keys(declared))
}

func keys(m map[string]any) []string {
	out := make([]string, 0, len(m))
	for name := range m {
		out = append(out, name)
	}
	return out
}
