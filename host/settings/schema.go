package settings

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"github.com/realmgate/realmgate/host/child"
)

// Schema is what counts here of a JSON schema (2020-12). The zero value declares nothing.
type Schema struct {
	root    property
	bundled bool
}

type property struct {
	Format     string              `json:"format"`
	WriteOnly  bool                `json:"writeOnly"`
	Default    any                 `json:"default"`
	Properties map[string]property `json:"properties"`
	Items      *property           `json:"items"`

	// Of what is composed nothing is known here.
	Ref   json.RawMessage `json:"$ref"`
	AllOf json.RawMessage `json:"allOf"`
	AnyOf json.RawMessage `json:"anyOf"`
	OneOf json.RawMessage `json:"oneOf"`
	If    json.RawMessage `json:"if"`
	First json.RawMessage `json:"prefixItems"`
}

// Read reads the schema of a part; none (nil) declares nothing. Of a bundled plugin it is known that each secret is declared as one.
func Read(text json.RawMessage, bundled bool) (Schema, error) {
	s := Schema{bundled: bundled}
	if len(text) == 0 {
		return s, nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&s.root); err != nil {
		return Schema{}, fmt.Errorf("schema of settings: %w", err)
	}
	return s, nil
}

// secretPlace finds names that say where something is, or how long it counts, rather than what it is.
var secretPlace = regexp.MustCompile(`(?i)[_-](file|path|dir|url|uri|name|type|header|age|ttl)$`)

// Shows says whether a text may be shown that stands at a path, which names the keys down to it without the indices of lists: it is
// declared, and not as a secret; one of a plugin that is not bundled must not be named like a secret, either. A text in which the
// redactor finds something is not shown anywhere.
func (s Schema) Shows(path []string, text string) bool {
	at := s.root
	for _, key := range path {
		for at.Items != nil {
			if at.secret() {
				return false
			}
			at = *at.Items
		}
		if at.secret() {
			return false
		}
		var ok bool
		if at, ok = at.Properties[key]; !ok {
			return false
		}
		if !s.bundled && at.Format != "duration" && (child.Redactor{}).Secret(key) && !secretPlace.MatchString(key) {
			return false
		}
	}
	for at.Items != nil && !at.secret() {
		at = *at.Items
	}
	return !at.secret() && (child.Redactor{}).Redact(text) == text
}

// secret says whether the schema says so of the value, or may say so where it is not read.
func (p property) secret() bool {
	return len(p.Ref)+len(p.AllOf)+len(p.AnyOf)+len(p.OneOf)+len(p.If)+len(p.First) > 0 || p.Format == "realmgate-secret-ref" || p.Format == "password" || p.WriteOnly
}

// Default is the value of a setting that is not written. Its path has the indices of lists of several.
type Default struct {
	Path  []string
	Value any
}

// Defaults gives the defaults of the settings that are not written, and of those in blocks that are.
func (s Schema) Defaults(written map[string]any) []Default { return s.root.defaults(nil, written) }

func (p property) defaults(at []string, written map[string]any) (out []Default) {
	for _, key := range slices.Sorted(maps.Keys(p.Properties)) {
		q, path := p.Properties[key], append(slices.Clone(at), child.Printable(key, 64))
		if q.secret() {
			continue
		}
		switch value := written[key].(type) {
		case nil:
			if q.Default != nil {
				out = append(out, Default{Path: path, Value: printable(q.Default)})
			}
		case map[string]any:
			out = append(out, q.defaults(path, value)...)
		case []any:
			if q.Items == nil && len(value) == 1 { // a block, which the configuration gives as a list
				inner, _ := value[0].(map[string]any)
				out = append(out, q.defaults(path, inner)...)
			}
			for i, e := range value {
				if inner, ok := e.(map[string]any); ok && q.Items != nil {
					out = append(out, q.Items.defaults(append(slices.Clone(path), strconv.Itoa(i)), inner)...)
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
