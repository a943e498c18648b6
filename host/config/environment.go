package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

const (
	variablePrefix   = "REALMGATE_"
	variableLevel    = "__" // between the levels of a key
	variableReserved = "REALMGATE_CONFIG"
	variableCommands = "REALMGATE_CLI_" // what the commands take from the environment; none of our keys starts so
)

// serviceLink matches what Kubernetes sets in every pod of a namespace that has a service named realmgate. It is no
// configuration of ours, and none of our keys has such a name.
var serviceLink = regexp.MustCompile(`^REALMGATE_(SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// ours gives the names of those variables that are meant for us, as targets have them.
func ours(environ []string) []string {
	var out []string
	for _, v := range environ {
		if name, found := strings.CutPrefix(v, variablePrefix); found {
			name, _, _ = strings.Cut(name, "=")
			out = append(out, strings.ToLower(name))
		}
	}
	return out
}

// target is a key that a variable may set.
type target struct {
	path    []string
	current any // a value of the key's type; nil for a string
	refused string
}

// targets gives the keys that there are, by the names of their variables in lower case: all that one of the variables may
// mean, or without any of these every one. A name with two targets is ambiguous.
func targets(s *block, values map[string]any, of []string) map[string][]target {
	out := map[string][]target{}
	collect(s, values, "", nil, of, out)
	return out
}

func collect(s *block, values map[string]any, prefix string, path, of []string, out map[string][]target) {
	inside := func(s *block, values map[string]any, prefix string, names ...string) {
		if of == nil || slices.ContainsFunc(of, func(v string) bool { return strings.HasPrefix(v, prefix) }) {
			collect(s, values, prefix, slices.Concat(path, names), of, out)
		}
	}
	add := func(name string, t target) {
		t.path = append(slices.Clone(path), name)
		key := prefix + variableName(name)
		out[key] = append(out[key], t)
	}
	for name, k := range s.attrs {
		t := target{}
		switch k {
		case text:
		case number:
			t.current = json.Number("0")
		case boolean:
			t.current = false
		default:
			t.refused = "It is " + k.String() + "; set it in a file."
		}
		add(name, t)
	}
	for name, inner := range s.blocks {
		switch inner.form {
		case single:
			inside(inner, group(values, name), prefix+variableName(name)+variableLevel, name)
		case labelled:
			for label := range group(values, name) {
				inside(inner, group(group(values, name), label),
					prefix+variableName(name)+variableLevel+variableName(label)+variableLevel, name, label)
			}
		}
	}
	if !s.part {
		return
	}
	for name, value := range values {
		if s.attrs[name] != 0 || s.blocks[name] != nil {
			continue
		}
		t := target{current: value}
		switch value.(type) {
		case []any, map[string]any:
			t.refused = "It is " + describe(value) + "; set it in a file."
		}
		add(name, t)
	}
}

var underscores = strings.NewReplacer("-", "_", ".", "_")

// Variable gives the name of the environment variable that sets a key: Variable("plugin", "acme", "path") is
// REALMGATE_PLUGIN__ACME__PATH.
func Variable(key ...string) string {
	names := make([]string, len(key))
	for n, k := range key {
		names[n] = strings.ToUpper(variableName(k))
	}
	return variablePrefix + strings.Join(names, variableLevel)
}

func variableName(name string) string { return underscores.Replace(strings.ToLower(name)) }

// variables finds the keys of REALMGATE_* variables.
type variables struct {
	targets map[string][]target        // that they may mean
	all     func() map[string][]target // that there are
	places  *trace
	diags   *Diagnostics
	seen    map[string]string // key -> the variable that set it
}

// resolve gives koanf the key and the value of a variable, or an empty key if it is none. Values never get into a
// diagnostic.
func (v *variables) resolve(variable, value string) (string, any) {
	if variable == variableReserved || strings.HasPrefix(variable, variableCommands) || serviceLink.MatchString(variable) {
		return "", nil
	}
	fault := func(summary, detail string) (string, any) {
		*v.diags = append(*v.diags, Diagnostic{Source: variable, Summary: summary, Detail: detail})
		return "", nil
	}
	name := strings.ToLower(strings.TrimPrefix(variable, variablePrefix))
	found := v.targets[name]
	if len(found) == 0 {
		detail := "A variable sets a single value of a block that exists; " + variableLevel + " stands between the levels."
		if s := Suggest(name, slices.Collect(maps.Keys(v.all()))); s != "" {
			detail = fmt.Sprintf("Did you mean %s?", variablePrefix+strings.ToUpper(s))
		}
		return fault("the variable names no key", detail)
	}
	if len(found) > 1 {
		var keys []string
		for _, t := range found {
			keys = append(keys, strings.Join(t.path, " "))
		}
		slices.Sort(keys)
		return fault("the variable is ambiguous", "It could mean "+strings.Join(keys, ", or ")+"; set it in a file.")
	}
	t := found[0]
	if t.refused != "" {
		return fault("the key cannot be set by a variable", t.refused)
	}
	converted, err := convert(value, t.current)
	if err != nil {
		return fault(err.Error(), "")
	}
	key := strings.Join(t.path, separator)
	if other, twice := v.seen[key]; twice {
		return fault("the key is set twice", "The variable "+other+" sets it too.")
	}
	v.seen[key] = variable
	v.places.write(t.path, &source{other: variable})
	return key, converted
}

// convert gives a text the type of the value that it replaces.
func convert(value string, current any) (any, error) {
	switch current.(type) {
	case bool:
		switch value {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return nil, fmt.Errorf("true or false is wanted")
	case json.Number:
		var n json.Number
		if err := json.Unmarshal([]byte(value), &n); err != nil || strings.HasPrefix(value, `"`) || n == "" {
			return nil, fmt.Errorf("a number is wanted")
		}
		return n, nil
	}
	return value, nil
}
