package config

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Value is one key of a configuration as it counts, and where it comes from.
type Value struct {
	Kind string // of the block, as it is written: realm; empty for the keys at the top
	Name string // its label; empty if it has none
	Key  string // with the blocks around it: authentication.token_broker.type
	JSON string // the value; … stands for each text in it that is not shown
	From string // file:line:column, the name of an environment variable, a flag; empty for a default
}

// PartSettings is what is known of the settings of parts. The kind is the plugin's (token-broker), a path names the keys down to a
// value, without the indices of lists.
type PartSettings interface {
	// Shows says whether a text may be shown: it is known to be no secret.
	Shows(kind, typ string, path []string, text string) bool
	// Defaults gives what counts for the settings that are not written.
	Defaults(kind, typ string, written map[string]any) []SettingDefault
}

// SettingDefault is the value of a setting of a part that is not written. Its path has the indices of lists of several.
type SettingDefault struct {
	Path  []string
	Value any
}

// Values gives every key that has a value, also those that count by default and those that a realm or a tenant inherits, by
// blocks. Without parts (nil) it has no defaults of theirs, and none of their texts. References, numbers and booleans are always
// shown; of a plugin's environment and arguments no text is.
func (c *Config) Values(parts PartSettings) []Value {
	l := lister{parts: parts, prefix: c.RolePrefix}
	l.blocks(c.blocks, func(kind string) bool { return kind != "tenant" && kind != "realm" })
	for _, v := range c.Vendors {
		if !v.Written {
			l.kind, l.name = "credential_vendor", v.Authentication
			l.add("type", v.Type, "")
			l.defaults("credential_vendor", v.Authentication, side{}, "")
		}
	}
	l.blocks(c.blocks, func(kind string) bool { return kind == "tenant" || kind == "realm" })
	return l.out
}

// lister collects the values of one block after the other.
type lister struct {
	parts      PartSettings
	prefix     string // role_prefix
	kind, name string
	out        []Value
}

// blocks lists the blocks of some kinds.
func (l *lister) blocks(all []effective, which func(kind string) bool) {
	for _, e := range all {
		if which(e.kind) {
			l.kind, l.name = e.kind, e.name
			l.block(e.schema, e.kind, e.name, e.side(), "")
		}
	}
}

func (l *lister) add(key string, value any, from string) {
	l.out = append(l.out, Value{Kind: l.kind, Name: l.name, Key: key, JSON: string(encode(without(value, false))), From: from})
}

// block lists a block of a schema, with the defaults of what it does not set.
func (l *lister) block(s *block, kind, label string, at side, path string) {
	unset := l.unset(kind, label, path, at)
	for _, key := range union(at.values, unset) {
		inner, full := s.blocks[key], join(path, key)
		value, written := at.values[key]
		switch {
		case !written:
			l.add(full, unset[key], "")
		case inner == nil:
			l.add(full, l.visible(s, kind, label, key, at), origin(at.at.child(key)))
		case inner.form == single:
			l.block(inner, key, "", at.inner(key), full)
		case inner.form == labelled:
			in := at.inner(key)
			for _, name := range slices.Sorted(maps.Keys(in.values)) {
				l.block(inner, key, name, in.inner(name), join(full, name))
			}
		default:
			l.add(full, value, origin(at.at.child(key)))
		}
	}
	if s.part {
		l.defaults(kind, label, at, path)
	}
	if kind == "" { // the blocks at the top are listed by themselves
		return
	}
	for _, key := range slices.Sorted(maps.Keys(s.blocks)) { // that are always there
		inner := s.blocks[key]
		if _, written := at.values[key]; written || inner.form != single || !alwaysThere(at, key) {
			continue
		}
		l.block(inner, key, "", side{}, join(path, key))
	}
}

// alwaysThere says whether a block counts without being written.
func alwaysThere(at side, key string) bool {
	if key == "token_broker" || key == "token_service" { // an external realm has none
		return at.values["type"] != External
	}
	return key != "tls" && key != "allow" && key != "limits"
}

// visible gives a value without the texts that may be secrets.
func (l *lister) visible(s *block, kind, label, key string, at side) any {
	value := at.values[key]
	switch {
	case s.attrs[key] != 0:
		return without(value, mayBeSecret(kind, key))
	case !s.part:
		return value
	}
	part, typ := partOf(kind, label, at)
	return hideUnless(value, []string{key}, func(path []string, text string) bool { return l.parts != nil && l.parts.Shows(part, typ, path, text) })
}

// defaults lists the settings of a part that count without being written.
func (l *lister) defaults(kind, label string, at side, path string) {
	part, typ := partOf(kind, label, at)
	if l.parts == nil || typ == "" {
		return
	}
	for _, d := range l.parts.Defaults(part, typ, at.values) {
		l.add(join(path, strings.Join(d.Path, ".")), d.Value, "")
	}
}

// partOf gives the kind and type of the part that a block chooses.
func partOf(kind, label string, at side) (part, typ string) {
	typ, _ = at.values["type"].(string)
	return cmp.Or(partKinds[kind], strings.ReplaceAll(kind, "_", "-")), cmp.Or(typ, defaultTypes[kind], vendorTypes[label])
}

// hideUnless leaves out the texts of a value that shown is against.
func hideUnless(v any, path []string, shown func(path []string, text string) bool) any {
	switch v := v.(type) {
	case string:
		return without(v, !shown(path, v))
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = hideUnless(e, path, shown)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = hideUnless(e, append(slices.Clone(path), k), shown)
		}
		return out
	}
	return v
}

// origin says where a value was written; empty if nowhere.
func origin(t *trace) string {
	if t == nil || t.src == nil {
		return ""
	}
	return cmp.Or(t.position().String(), t.src.other)
}

// unset gives the defaults of the host's keys of a block that no layer sets.
func (l *lister) unset(kind, label, path string, at side) map[string]any {
	out := map[string]any{}
	if t := cmp.Or(defaultTypes[kind], vendorTypes[label]); t != "" {
		out["type"] = t
	}
	maps.Copy(out, unwritten[kind])
	switch {
	case kind == "realm":
		out["audience"] = []any{at.values["issuer"]}
	case kind == "token_service":
		out["scope_aliases"] = map[string]any{"catalog": l.prefix + "ALL"}
	case kind == "connections":
		out["secret_prefix"] = l.name + "/"
	}
	return out
}

// unwritten are the defaults that are no layer of their own, by the kinds of blocks.
var unwritten = map[string]map[string]any{
	"audit": {
		"path": defaultAuditPath, "format": "json", "on_failure": "refuse", "decisions": false,
		"max_size_mb": 100, "max_backups": 10, "max_age_days": 0, "compress": false,
	},
	"metrics":  {"address": ""},
	"listener": {"address": defaultAddress, "trusted_proxies": []any{}, "forwarded": "x-forwarded"},
	"tls":      {"min_version": "1.2"},
	"plugin":   {"tls": "auto", "args": []any{}, "env": map[string]any{}, "per_realm": false},
	"realm":    {"hosts": []any{}},
	"limit": {
		"client_rate": 50, "client_burst": 100, "peer_rate": 100, "peer_burst": 200, "introspection_rate": 200, "introspection_burst": 400,
		"failures": 5, "peer_failures": 50, "delay": "1s", "max_delay": "1m", "forget": "15m",
	},
	"connections":  {"manage_roles": []any{}, "use_roles": []any{}, "reference_roles": []any{}},
	"secret_store": {"variables": []any{}},
}
