package config

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// parser turns the text of one HCL file into values, and remembers where each stood.
type parser struct {
	src    *source
	about  string // nothing is wanted of a long file but what this word is in; empty: all is
	root   *trace
	diags  *Diagnostics
	broken bool // the syntax is at fault: what seems to be missing may be there
}

// read reads HCL. It always gives what could be read; faults are collected.
func (p *parser) read(content []byte) map[string]any {
	p.root = &trace{}
	if out, ok := p.pieces(content, pieceSize); ok {
		return out
	}
	p.root = &trace{}
	return p.whole(content)
}

func (p *parser) whole(content []byte) map[string]any {
	if place, deep := tooDeep(content, p.src.file); deep {
		p.broken = true
		p.fault(place, showKey, "the nesting is too deep", "")
		return map[string]any{}
	}
	file, found := hclsyntax.ParseConfig(content, p.src.file, hcl.InitialPos)
	p.syntax(found)
	body, ok := file.Body.(*hclsyntax.Body)
	if !ok {
		return map[string]any{}
	}
	return p.body(body, rootSchema(), p.root, "")
}

func (p *parser) fault(at hcl.Range, how show, summary, detail string) {
	*p.diags = append(*p.diags, p.trace(at).diagnose(summary, detail, how))
}

func (p *parser) trace(at hcl.Range) *trace {
	return &trace{src: p.src, line: at.Start.Line, column: at.Start.Column}
}

func (p *parser) place(at hcl.Range) string {
	return Position{File: p.src.file, Line: at.Start.Line, Column: at.Start.Column}.String()
}

var earlier = regexp.MustCompile(`The argument ("[^"]*") was already set at .*:(\d+),(\d+)-`)

func (p *parser) syntax(found hcl.Diagnostics) {
	for _, d := range found {
		at := hcl.Range{Start: hcl.InitialPos}
		if d.Subject != nil {
			at = *d.Subject
		}
		if m := earlier.FindStringSubmatch(d.Detail); m != nil {
			p.fault(at, showKey, m[1]+" is set twice",
				fmt.Sprintf("It was set first at %s:%s:%s. In one file a key is set once.", p.src.file, m[2], m[3]))
			continue
		}
		p.broken = true
		p.fault(at, showKey, lowerFirst(d.Summary), d.Detail)
	}
}

// body reads a block of which the host knows keys or blocks.
func (p *parser) body(b *hclsyntax.Body, s *block, at *trace, name string) map[string]any {
	out := map[string]any{}
	p.into(out, b, s, at, name, map[string]hcl.Range{})
	return out
}

// into is body for one that may come in pieces; first has where the blocks of those before stood.
func (p *parser) into(out map[string]any, b *hclsyntax.Body, s *block, at *trace, name string, first map[string]hcl.Range) {
	for _, a := range attributes(b) {
		p.attribute(a, s, at, name, out)
	}
	for _, inner := range b.Blocks {
		if a, twice := b.Attributes[inner.Type]; twice {
			p.fault(inner.DefRange(), showKey, fmt.Sprintf("%q is both a key and a block", inner.Type),
				"The key is at "+p.place(a.NameRange)+".")
			continue
		}
		known := s.blocks[inner.Type]
		switch {
		case known != nil:
			p.block(inner, known, at, first, out)
		case s.attrs[inner.Type] != 0:
			p.fault(inner.DefRange(), showKey, fmt.Sprintf("%q is a key, not a block", inner.Type),
				fmt.Sprintf("Write it as %s = ..., with %s.", inner.Type, s.attrs[inner.Type]))
		case s.part:
			p.raw(inner, at, out)
		default:
			p.fault(inner.DefRange(), showKey, fmt.Sprintf("unknown block %q%s", inner.Type, in(name)), meant(inner.Type, s.names()))
		}
	}
}

func (p *parser) attribute(a *hclsyntax.Attribute, s *block, at *trace, name string, out map[string]any) {
	want, known := s.attrs[a.Name]
	switch {
	case s.blocks[a.Name] != nil:
		p.fault(a.NameRange, showKey, fmt.Sprintf("%q is a block, not a key", a.Name),
			fmt.Sprintf("Write it as %s { ... }, without =.", a.Name))
		return
	case !known && !s.part:
		p.fault(a.NameRange, showKey, fmt.Sprintf("unknown key %q%s", a.Name, in(name)), meant(a.Name, s.names()))
		return
	}
	t := p.trace(a.NameRange)
	at.set(a.Name, t)
	value, ok := p.value(a.Expr, t)
	if !ok {
		return
	}
	if value == nil {
		p.fault(a.NameRange, showKey, fmt.Sprintf("%q is null", a.Name), "Leave a key out to use its default.")
		return
	}
	if known && !p.fits(a, value, want) {
		return
	}
	out[a.Name] = value
}

// fits checks the type of the value of a key that the host owns.
func (p *parser) fits(a *hclsyntax.Attribute, value any, want kind) bool {
	wrong := func(got any) bool {
		p.fault(a.NameRange, showKey, fmt.Sprintf("%s: %s is wanted, not %s", a.Name, want, describe(got)), "")
		return false
	}
	var items []any
	switch v := value.(type) {
	case string:
		return want == text || wrong(v)
	case json.Number:
		return want == number || wrong(v)
	case bool:
		return want == boolean || wrong(v)
	case []any:
		if want != texts {
			return wrong(v)
		}
		items = v
	case map[string]any:
		if want != textMap {
			return wrong(v)
		}
		for _, item := range v {
			items = append(items, item)
		}
	default:
		return wrong(v)
	}
	for _, item := range items {
		if _, ok := item.(string); !ok {
			p.fault(a.NameRange, showKey, fmt.Sprintf("%s: %s is wanted, but an item is %s", a.Name, want, describe(item)), "")
			return false
		}
	}
	return true
}

// block reads a block that the host knows into out. first remembers the blocks of the surrounding body.
func (p *parser) block(b *hclsyntax.Block, s *block, at *trace, first map[string]hcl.Range, out map[string]any) {
	label, ok := p.label(b, s)
	if !ok {
		return
	}
	name, t := title(b.Type, label), p.trace(b.DefRange())
	if s.form == repeated {
		list, _ := out[b.Type].([]any)
		items := at.child(b.Type)
		if items == nil {
			items = p.trace(b.DefRange())
			at.set(b.Type, items)
		}
		items.set(fmt.Sprint(len(list)), t)
		out[b.Type] = append(list, p.body(b.Body, s, t, name))
		return
	}
	if before, twice := first[name]; twice {
		p.fault(b.DefRange(), showKey, name+" is declared twice",
			"It was declared first at "+p.place(before)+". In one file a block is written once.")
		return
	}
	first[name] = b.DefRange()
	if s.form == single {
		at.set(b.Type, t)
		out[b.Type] = p.body(b.Body, s, t, name)
		return
	}
	if at.child(b.Type) == nil {
		at.set(b.Type, &trace{})
		out[b.Type] = map[string]any{}
	}
	at.child(b.Type).set(label, t)
	if group, ok := out[b.Type].(map[string]any); ok {
		group[label] = p.body(b.Body, s, t, name)
	}
}

// label checks the labels of a block and gives the one that it should have.
func (p *parser) label(b *hclsyntax.Block, s *block) (string, bool) {
	switch {
	case s.form != labelled && len(b.Labels) > 0:
		p.fault(b.LabelRanges[0], showKey, fmt.Sprintf("%s takes no name", b.Type), fmt.Sprintf("Write it as %s { ... }.", b.Type))
		return "", false
	case s.form != labelled:
		return "", true
	case len(b.Labels) != 1:
		p.fault(b.DefRange(), showKey, fmt.Sprintf("%s needs one name", b.Type), fmt.Sprintf("Write it as %s \"name\" { ... }.", b.Type))
		return "", false
	}
	if err := checkName(b.Labels[0]); err != nil {
		p.fault(b.LabelRanges[0], showNothing, fmt.Sprintf("the name of this %s cannot be used", b.Type), sentence(err))
		return "", false
	}
	return b.Labels[0], true
}

// raw reads a block inside a part. Such blocks become a list of objects, also if there is only one.
func (p *parser) raw(b *hclsyntax.Block, at *trace, out map[string]any) {
	if len(b.Labels) > 0 {
		p.fault(b.LabelRanges[0], showKey, fmt.Sprintf("%s takes no name", b.Type),
			"A block inside a part has no label; say it with a key inside the block.")
		return
	}
	t := p.trace(b.DefRange())
	list, _ := out[b.Type].([]any)
	items := at.child(b.Type)
	if items == nil {
		items = p.trace(b.DefRange())
		at.set(b.Type, items)
	}
	items.set(fmt.Sprint(len(list)), t)
	out[b.Type] = append(list, p.body(b.Body, &block{part: true}, t, b.Type))
}

// attributes gives the keys of a body in the order in which they are written.
func attributes(b *hclsyntax.Body) []*hclsyntax.Attribute {
	out := make([]*hclsyntax.Attribute, 0, len(b.Attributes))
	for _, a := range b.Attributes {
		out = append(out, a)
	}
	slices.SortFunc(out, func(x, y *hclsyntax.Attribute) int { return x.NameRange.Start.Byte - y.NameRange.Start.Byte })
	return out
}

func in(name string) string {
	if name == "" {
		return ""
	}
	return " in " + name
}

func title(kind, label string) string {
	if label == "" {
		return kind
	}
	return fmt.Sprintf("%s %q", kind, label)
}

func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
