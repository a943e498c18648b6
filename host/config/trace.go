package config

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// trace says where a value was written, and where the values inside it were. It mirrors the tree of values: children are
// keys, labels, or the indices of a list.
type trace struct {
	src          *source // nil for a built-in default
	line, column int
	children     *children // nil: there are none
}

func (t *trace) child(name string) *trace {
	if t == nil {
		return nil
	}
	return t.children.find(name)
}

func (t *trace) set(name string, c *trace) {
	switch {
	case c != nil && t.children == nil:
		t.children = &children{list: []child{{name, c}}}
	case c != nil:
		t.children.put(name, c)
	case t.children != nil:
		t.children.remove(name)
	}
}

// find goes down as far as something was written, and gives the deepest trace with a place.
func (t *trace) find(path []string) *trace {
	best := t
	for _, name := range path {
		if t = t.child(name); t == nil {
			break
		}
		if t.src != nil {
			best = t
		}
	}
	return best
}

func (t *trace) position() Position {
	if t == nil || t.src == nil || t.src.file == "" {
		return Position{}
	}
	return Position{File: t.src.file, Line: t.line, Column: t.column}
}

// show says how much of the line a diagnostic repeats.
type show int

const (
	showNothing show = iota
	showKey          // key and block heads only
	showLine         // all but a comment
)

func (t *trace) diagnose(summary, detail string, how show) Diagnostic {
	d := Diagnostic{Summary: summary, Detail: detail}
	if t == nil || t.src == nil {
		return d
	}
	d.File, d.Line, d.Column, d.Source = t.src.file, t.line, t.column, t.src.other
	switch how {
	case showKey:
		d.Snippet = t.src.masked(t.line)
	case showLine:
		d.Snippet = t.src.bare(t.line)
	}
	return d
}

// diagnoseKey blames a dotted key of a block that the host owns.
func (t *trace) diagnoseKey(key, summary, detail string) Diagnostic {
	if key == "" {
		return t.diagnose(summary, detail, showKey)
	}
	return t.find(strings.Split(key, ".")).diagnose(summary, detail, showKey)
}

// ShownSetting says whether what stands in the settings of a part may be shown: it is known to be no secret. The path names the keys
// down to it, without the indices of lists; text is empty for an empty list or object.
type ShownSetting func(path []string, text string) bool

// Diagnose blames the place in Settings that a JSON pointer (RFC 6901) names, or the nearest place above it that was
// written down; /type is the key that chooses the implementation. The line of the file is shown if all that stands under the same
// key of the part may be, whatever the pointer is about: it may have more than one value in it. Otherwise values are hidden, as they
// are in any line if shown is nil, unless they are references.
func (p Part) Diagnose(pointer, summary, detail string, warning bool, shown ShownSetting) Diagnostic {
	path := splitPointer(pointer)
	how := showKey
	if len(path) > 0 && p.shows(path[0], shown) {
		how = showLine
	}
	d := p.at.find(path).diagnose(summary, detail, how)
	d.Warning = warning
	return d
}

// shows says whether nothing under a key of the part may be a secret.
func (p Part) shows(key string, shown ShownSetting) bool {
	if p.at.child(key) == nil { // what is found is the head of the block
		return false
	}
	if shown == nil {
		shown = func([]string, string) bool { return false }
	}
	values := map[string]json.RawMessage{}
	if json.Unmarshal(p.Settings, &values) != nil {
		return false
	}
	if values[key] == nil {
		return key == "type" || key == "variables" // the host's
	}
	d := json.NewDecoder(bytes.NewReader(values[key]))
	d.UseNumber()
	var value any
	return d.Decode(&value) == nil && allShown(value, []string{key}, shown)
}

// allShown says whether every text and number of a value may be shown, and every key.
func allShown(v any, path []string, shown ShownSetting) bool {
	switch v := v.(type) {
	case string:
		return isReference(v) || shown(path, v)
	case json.Number:
		return shown(path, v.String())
	case []any:
		if slices.ContainsFunc(v, func(e any) bool { return !allShown(e, path, shown) }) {
			return false
		}
		return len(v) > 0 || shown(path, "")
	case map[string]any:
		for k, e := range v {
			if !allShown(e, append(slices.Clone(path), k), shown) {
				return false
			}
		}
		return len(v) > 0 || shown(path, "")
	}
	return shown(path, "")
}

// Blame blames the part as a whole. Of the file it shows the head of the block, and no value.
func (p Part) Blame(summary string, warning bool) Diagnostic {
	d := p.at.diagnose(summary, "", showKey)
	d.Warning = warning
	return d
}

// splitPointer gives the reference tokens of a JSON pointer; a text that is none means the whole.
func splitPointer(pointer string) []string {
	if !strings.HasPrefix(pointer, "/") {
		return nil
	}
	tokens := strings.Split(pointer[1:], "/")
	unescape := strings.NewReplacer("~1", "/", "~0", "~")
	for i, token := range tokens {
		tokens[i] = unescape.Replace(token)
	}
	return tokens
}

// Diagnose blames a top-level key, or a key in a block: log.level.
func (c *Config) Diagnose(key, summary, detail string) Diagnostic {
	return c.at.diagnoseKey(key, summary, detail)
}

// Diagnose blames a key of the listener (tls.cert_file, for one), or its block if key is empty or not written.
func (l Listener) Diagnose(key, summary, detail string) Diagnostic {
	return l.at.diagnoseKey(key, summary, detail)
}

// Diagnose blames a key of the plugin's block, or the block if key is empty or not written.
func (p Plugin) Diagnose(key, summary, detail string) Diagnostic {
	return p.at.diagnoseKey(key, summary, detail)
}

// Diagnose blames a key of the grant, or its block if key is empty or not written.
func (g Grant) Diagnose(key, summary, detail string) Diagnostic {
	return g.at.diagnoseKey(key, summary, detail)
}

// Diagnose blames a key of the identity's block, or the block if key is empty or not written. Values are hidden.
func (i ServiceIdentity) Diagnose(key, summary, detail string) Diagnostic {
	return i.at.diagnoseKey(key, summary, detail)
}

// Diagnose blames a key of a realm's connections where it was written, which may be the top-level block; or the block if
// key is empty or not written.
func (c Connections) Diagnose(key, summary, detail string) Diagnostic {
	return c.at.diagnoseKey(key, summary, detail)
}

// Diagnose blames a key of the tenant's block, or the block if key is empty or not written.
func (t Tenant) Diagnose(key, summary, detail string) Diagnostic {
	return t.at.diagnoseKey(key, summary, detail)
}

// Diagnose blames a key of the realm (authentication.type, for one) where it was written, which may be the top-level
// authentication block; or the realm's block if key is empty or not written.
func (r Realm) Diagnose(key, summary, detail string) Diagnostic {
	return r.at.diagnoseKey(key, summary, detail)
}
