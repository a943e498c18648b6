package config

import "strings"

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
	showLine
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
		d.Snippet = t.src.line(t.line)
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

// Diagnose blames the place in Settings that a JSON pointer (RFC 6901) names, or the nearest place above it that was
// written down; /type is the key that chooses the implementation. A sensitive diagnostic shows no line of the file.
func (p Part) Diagnose(pointer, summary, detail string, warning, sensitive bool) Diagnostic {
	how := showLine
	if sensitive {
		how = showNothing
	}
	d := p.at.find(splitPointer(pointer)).diagnose(summary, detail, how)
	d.Warning = warning
	return d
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
