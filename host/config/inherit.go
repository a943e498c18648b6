package config

import "maps"

// defaultTypes are the types of parts that name none and inherit none.
var defaultTypes = map[string]string{
	"active_roles_provider":  "default",
	"authenticator":          "default",
	"token_broker":           "rsa-key-pair",
	"identity_provider":      "oidc",
	"principal_mapper":       "default",
	"principal_roles_mapper": "default",
}

// inherit gives a block of a realm or tenant with what it does not set itself taken from the block above: key by key, and
// likewise in the blocks inside. A key's value is taken whole, so a list or a block inside a part is never mixed. A part
// that names another type than the part above takes nothing from it. Places go with the values.
func inherit(s *block, child, parent node) node {
	if s.part {
		if t, ok := child.values["type"]; ok && t != parent.textOr("type", defaultTypes[child.name]) {
			parent = node{at: &trace{}}
		}
	}
	out := node{written: child.written || parent.written, name: child.name, diags: child.diags}
	switch { // what only one has is taken as it is: there may be ten thousand children
	case !child.written && parent.written:
		out.values, out.at = parent.values, parent.at
		return out
	case !parent.written:
		out.values, out.at = child.values, child.at
		return out
	}
	out.values, out.at = map[string]any{}, &trace{src: child.at.src, line: child.at.line, column: child.at.column}
	for _, from := range []node{parent, child} {
		maps.Copy(out.values, from.values)
		for name, t := range from.at.children.all() {
			out.at.set(name, t)
		}
	}
	for name, inner := range s.blocks {
		c, p := child.block(name), parent.block(name)
		if !c.written && !p.written {
			continue
		}
		both := inherit(inner, c, p)
		out.values[name] = both.values
		out.at.set(name, both.at)
	}
	return out
}
