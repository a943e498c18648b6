package config

import "maps"

// kind is the type of the value of a key that belongs to the host.
type kind int

const (
	text    kind = iota + 1 // a string
	texts                   // a list of strings
	textMap                 // an object of strings
	number                  // a number
	boolean                 // true or false
)

func (k kind) String() string {
	switch k {
	case texts:
		return "a list of strings"
	case textMap:
		return "an object of strings"
	case number:
		return "a number"
	case boolean:
		return "a boolean"
	default:
		return "a string"
	}
}

// form says how often a block may be written.
type form int

const (
	single   form = iota // once, without a label
	labelled             // many times, each with its own label
	repeated             // many times, without a label; the order counts
)

// block is what the host knows about a kind of block.
type block struct {
	form   form
	part   bool // keys and blocks that are not listed belong to the part
	attrs  map[string]kind
	blocks map[string]*block
}

func part() *block { return &block{part: true, attrs: map[string]kind{"type": text}} }

func authenticationSchema() *block {
	return &block{
		attrs: map[string]kind{"type": text, "timeout": text},
		blocks: map[string]*block{
			"authenticator": part(),
			"token_broker":  part(),
			"cache":         {attrs: map[string]kind{"max_age": text, "denied_max_age": text}},
			"token_service": {
				attrs: map[string]kind{
					"type": text, "default_scope": text, "scope_aliases": textMap, "max_session": text,
				},
				blocks: map[string]*block{"limit": {attrs: map[string]kind{
					"client_rate": number, "client_burst": number, "peer_rate": number, "peer_burst": number,
					"introspection_rate": number, "introspection_burst": number,
					"failures": number, "peer_failures": number, "delay": text, "max_delay": text, "forget": text,
				}}},
			},
		},
	}
}

func tenantSchema(f form) *block {
	return &block{form: f, blocks: map[string]*block{
		"identity_provider":      part(),
		"principal_mapper":       part(),
		"principal_roles_mapper": part(),
	}}
}

func identitySchema() *block {
	return &block{form: labelled, attrs: map[string]kind{"iam_arn": text, "credentials": text}}
}

func connectionsSchema() *block {
	return &block{attrs: map[string]kind{
		"secret_store": text, "secret_prefix": text, "manage_roles": texts, "use_roles": texts, "reference_roles": texts, "deny_addresses": texts,
	}}
}

// rootSchema is the table of every block and key that the host owns. What it does not list is an unknown key, or belongs
// to a part.
func rootSchema() *block {
	store := part()
	store.form = labelled
	store.attrs["variables"] = texts
	store.blocks = map[string]*block{
		"grant": {form: repeated, attrs: map[string]kind{"realm": text, "prefix": text}},
	}
	vendor := part()
	vendor.form = labelled
	return &block{
		attrs: map[string]kind{"public_url": text, "shutdown_grace": text, "plugin_health_window": text, "plugin_dir": text, "role_prefix": text},
		blocks: map[string]*block{
			"log":       {attrs: map[string]kind{"level": text, "format": text}},
			"admin":     {attrs: map[string]kind{"socket": text}},
			"metrics":   {attrs: map[string]kind{"address": text}},
			"directory": {attrs: map[string]kind{"type": text, "path": text}},
			"audit": {attrs: map[string]kind{
				"path": text, "format": text, "on_failure": text, "decisions": boolean,
				"max_size_mb": number, "max_backups": number, "max_age_days": number, "compress": boolean,
			}},
			"decision_cache": {attrs: map[string]kind{"memory": text, "denied_memory": text}},
			"listener": {
				form:  labelled,
				attrs: map[string]kind{"address": text, "realm_header": text, "trusted_proxies": texts, "forwarded": text},
				blocks: map[string]*block{"tls": {attrs: map[string]kind{
					"cert_file": text, "key_file": text, "client_ca_file": text, "min_version": text,
				}}},
			},
			"plugin": {form: labelled, attrs: map[string]kind{
				"path": text, "command": text, "sha256": text, "files": textMap, "tls": text, "args": texts, "env": textMap,
				"user": text, "per_realm": boolean,
			}, blocks: map[string]*block{"allow": allowSchema(), "limits": {attrs: map[string]kind{"memory": text, "open_files": number, "processes": number}}}},
			"secret_store":          store,
			"service_identity":      identitySchema(),
			"credential_vendor":     vendor,
			"connections":           connectionsSchema(),
			"authentication":        authenticationSchema(),
			"active_roles_provider": part(),
			"tenant_defaults":       tenantSchema(single),
			"tenant":                tenantSchema(labelled),
			"realm": {
				form:  labelled,
				attrs: map[string]kind{"tenant": text, "hosts": texts, "issuer": text, "audience": texts},
				blocks: map[string]*block{
					"authentication":   authenticationSchema(),
					"service_identity": identitySchema(),
					"connections":      connectionsSchema(),
				},
			},
		},
	}
}

// names gives every key and block that may stand in the block.
func (b *block) names() []string {
	var out []string
	for name := range maps.Keys(b.attrs) {
		out = append(out, name)
	}
	for name := range maps.Keys(b.blocks) {
		out = append(out, name)
	}
	return out
}

// Defaults of the keys that the host owns. A part's default type is not among them: whether a type was written decides
// about inheritance.
const (
	defaultPublicURL  = "http://127.0.0.1:8642"
	defaultAddress    = "127.0.0.1:8642"
	defaultRolePrefix = "PRINCIPAL_ROLE:"
	defaultAuditPath  = "data/audit.log"
)

func defaults() map[string]any {
	return map[string]any{
		"public_url":           defaultPublicURL,
		"shutdown_grace":       "10s",
		"plugin_health_window": "30s",
		"role_prefix":          defaultRolePrefix,
		"log":                  map[string]any{"level": "info", "format": "text"},
		"admin":                map[string]any{"socket": "data/admin.sock"},
		"directory":            map[string]any{"type": "sqlite", "path": "data/realmgate.db"},
		"decision_cache":       map[string]any{"memory": "64MiB", "denied_memory": "8MiB"},
		"authentication": map[string]any{
			"type":    Internal,
			"timeout": "3s",
			"cache":   map[string]any{"max_age": "1m", "denied_max_age": "2s"},
			"token_service": map[string]any{
				"type": "default", "default_scope": "", "max_session": "12h",
			},
		},
	}
}
