package polaris

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclwrite"

	"github.com/realmgate/realmgate/host/config"
)

// block is a block of the configuration that is written.
type block struct {
	kind, label string
	comments    []string // above it
	attrs       []attr
	blocks      []*block
}

// attr is a setting: a string or a list of them, and what it comes from.
type attr struct {
	name  string
	value any
	from  string // goes into a comment beside it
}

func (b *block) set(name string, value any, from string) {
	b.attrs = append(b.attrs, attr{name, value, from})
}

// take writes a property's value down.
func (b *block) take(name string, value any, p *property) { b.set(name, value, shownKey(p.written())) }

func (b *block) add(kind string) *block {
	inner := &block{kind: kind}
	b.blocks = append(b.blocks, inner)
	return inner
}

func (b *block) empty() bool { return len(b.attrs)+len(b.blocks)+len(b.comments) == 0 }

// drop leaves out inner blocks with nothing in them.
func (b *block) drop() {
	for _, inner := range b.blocks {
		inner.drop()
	}
	b.blocks = slices.DeleteFunc(b.blocks, func(x *block) bool { return x.empty() })
}

// write gives the text of the configuration.
func (i *importer) write() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# Made of %s, profile %s, by `realmgate config import`. Beside each setting stands the property that it comes from.\n", shownKey(i.options.File), shownKey(i.options.Profile))
	for _, x := range i.top {
		x.drop() // what has nothing in it
		b.WriteString("\n")
		x.write(&b)
	}
	i.rest(&b)
	return hclwrite.Format([]byte(b.String()))
}

func (b *block) write(out *strings.Builder) {
	for _, c := range b.comments {
		out.WriteString("# " + c + "\n")
	}
	out.WriteString(b.kind + " ")
	if b.label != "" {
		out.WriteString(config.Quote(b.label))
		out.WriteString(" ")
	}
	if len(b.attrs)+len(b.blocks) == 0 {
		out.WriteString("{}\n")
		return
	}
	out.WriteString("{\n")
	for _, a := range b.attrs {
		out.WriteString(a.name + " = ")
		switch v := a.value.(type) {
		case []string:
			items := make([]string, len(v))
			for n, s := range v {
				items[n] = config.Quote(s)
			}
			out.WriteString("[" + strings.Join(items, ", ") + "]")
		case string:
			out.WriteString(config.Quote(v))
		}
		if a.from != "" {
			out.WriteString(" # " + a.from)
		}
		out.WriteString("\n")
	}
	for _, inner := range b.blocks {
		inner.write(out)
	}
	out.WriteString("}\n")
}

// rest lists the properties that became no setting, with the reason, in the order of the file.
func (i *importer) rest(out *strings.Builder) {
	var lines []string
	for _, p := range i.all {
		if p.used && p.note == "" {
			continue
		}
		if p.note == "" {
			p.note = reason(p.path)
		}
		lines = append(lines, fmt.Sprintf("#   %d: %s: %s\n", p.line, shownKey(p.written()), p.note))
	}
	if len(lines) > 0 {
		out.WriteString("\n# What became no setting, with the line where it stands:\n#\n" + strings.Join(lines, ""))
	}
}

var settingName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// snake gives a setting's name as we write it: max-token-generation is max_token_generation. It is empty if it cannot be one.
func snake(path []string) string {
	name := strings.ToLower(strings.ReplaceAll(strings.Join(path, "_"), "-", "_"))
	if !settingName.MatchString(name) || name == "type" {
		return ""
	}
	return name
}
