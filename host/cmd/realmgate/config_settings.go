package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"github.com/realmgate/realmgate/host/child"
	"github.com/realmgate/realmgate/host/config"
)

// partSettings are the schemas of the settings of parts.
type partSettings struct {
	known   map[partType]settingSchema
	unknown map[partType]bool // that were asked for
}

type partType struct{ kind, typ string }

func (p partType) String() string { return p.kind + " " + strconv.Quote(p.typ) }

// settingSchema is what counts here of a JSON schema (2020-12).
type settingSchema struct {
	Format     string                   `json:"format"`
	WriteOnly  bool                     `json:"writeOnly"`
	Default    any                      `json:"default"`
	Properties map[string]settingSchema `json:"properties"`
	Items      *settingSchema           `json:"items"`

	bundled bool // the name of a secret is not needed to know one
}

// askSettings starts the plugins that the lock file lets run, and asks them. The error names those of which nothing is known.
func askSettings(ctx context.Context, std streams, cfg *config.Config) (partSettings, error) {
	out := partSettings{known: map[partType]settingSchema{}, unknown: map[partType]bool{}}
	all, _, err := sources(cfg)
	if err != nil {
		return out, err
	}
	found, failed, err := describeAll(ctx, std, all)
	if err != nil {
		return out, err
	}
	for _, s := range found {
		for _, o := range s.Offers {
			schema, err := readSchema(o.SettingsSchema)
			if err != nil {
				failed = append(failed, fmt.Errorf("plugin %s: the schema of the %v %q cannot be read", s.Name, o.Kind, o.Type))
				continue
			}
			schema.bundled = s.Bundled
			out.known[partType{o.Kind.String(), o.Type}] = schema
		}
	}
	return out, errors.Join(failed...)
}

func readSchema(text json.RawMessage) (s settingSchema, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return s, d.Decode(&s)
}

// secretPlace finds names that say where something is, or how long it counts, rather than what it is.
var secretPlace = regexp.MustCompile(`(?i)[_-](file|path|dir|url|uri|name|type|header|age|ttl)$`)

// Shows says whether a setting is declared, and not as a secret; one of a plugin that is not bundled must not be named like a
// secret, either. A text in which the redactor finds something is not shown anywhere.
func (s partSettings) Shows(kind, typ string, path []string, text string) bool {
	root, ok := s.schema(partType{kind, typ})
	at := root
	for _, key := range path {
		for at.Items != nil {
			at = *at.Items
		}
		if at.secret() {
			return false
		}
		if at, ok = at.Properties[key]; !ok {
			return false
		}
		if !root.bundled && at.Format != "duration" && (child.Redactor{}).Secret(key) && !secretPlace.MatchString(key) {
			return false
		}
	}
	for at.Items != nil && !at.secret() {
		at = *at.Items
	}
	return ok && !at.secret() && (child.Redactor{}).Redact(text) == text
}

// secret says whether the schema says so of the value.
func (s settingSchema) secret() bool {
	return s.Format == "realmgate-secret-ref" || s.Format == "password" || s.WriteOnly
}

// Defaults gives the defaults of the schema: of the settings that are not written, and of those in blocks that are.
func (s partSettings) Defaults(kind, typ string, written map[string]any) []config.SettingDefault {
	if written == nil { // not even its type is: nobody misses it where its plugin is not there
		return s.known[partType{kind, typ}].defaults(nil, nil)
	}
	schema, _ := s.schema(partType{kind, typ})
	return schema.defaults(nil, written)
}

func (s partSettings) schema(p partType) (settingSchema, bool) {
	out, ok := s.known[p]
	if !ok {
		s.unknown[p] = true
	}
	return out, ok
}

// missing says of which parts nothing is known; empty if there are none.
func (s partSettings) missing() string {
	names := make([]string, 0, len(s.unknown))
	for p := range s.unknown {
		names = append(names, p.String())
	}
	slices.Sort(names)
	return some(names)
}

func (s settingSchema) defaults(at []string, written map[string]any) (out []config.SettingDefault) {
	for _, key := range slices.Sorted(maps.Keys(s.Properties)) {
		p, path := s.Properties[key], append(slices.Clone(at), child.Printable(key, 64))
		switch value := written[key].(type) {
		case nil:
			if p.Default != nil && !p.secret() {
				out = append(out, config.SettingDefault{Path: path, Value: printable(p.Default)})
			}
		case map[string]any:
			out = append(out, p.defaults(path, value)...)
		case []any:
			if p.Items == nil && len(value) == 1 { // a block, which the configuration gives as a list
				inner, _ := value[0].(map[string]any)
				out = append(out, p.defaults(path, inner)...)
			}
			for i, e := range value {
				if inner, ok := e.(map[string]any); ok && p.Items != nil {
					out = append(out, p.Items.defaults(append(slices.Clone(path), strconv.Itoa(i)), inner)...)
				}
			}
		}
	}
	return out
}

// printable makes the texts of a default, which a plugin wrote, fit to be shown.
func printable(v any) any {
	switch v := v.(type) {
	case string:
		return child.Safe(v, 512)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = printable(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[child.Printable(k, 64)] = printable(e)
		}
		return out
	}
	return v
}
