package polaris

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// level is what one level of a configuration says about a part: the defaults, or a realm or a tenant above them.
type level struct {
	typ      *property
	settings map[string]setting // by our names
	order    []string
	mappings map[int]map[string]*property // index -> regex or replacement
}

type setting struct {
	p     *property
	value func() any // evaluated when it is written
}

func (l *level) empty() bool { return l.typ == nil && len(l.settings) == 0 && len(l.mappings) == 0 }

func (l *level) put(name string, p *property, value func() any) {
	if l.settings == nil {
		l.settings = map[string]setting{}
	}
	if _, twice := l.settings[name]; twice {
		p.note = "another property is the same setting: " + name
		return
	}
	l.settings[name] = setting{p, value}
	l.order = append(l.order, name)
}

// over gives a level with what it inherits in Polaris: key by key, and whatever the type is.
func (l *level) over(below *level) *level {
	out := &level{typ: l.typ, settings: maps.Clone(l.settings), order: slices.Clone(l.order), mappings: map[int]map[string]*property{}}
	if out.typ == nil {
		out.typ = below.typ
	}
	if out.settings == nil {
		out.settings = map[string]setting{}
	}
	for _, name := range below.order {
		if _, own := out.settings[name]; !own {
			out.settings[name] = below.settings[name]
			out.order = append(out.order, name)
		}
	}
	for _, from := range []*level{below, l} {
		for n, m := range from.mappings {
			if out.mappings[n] == nil {
				out.mappings[n] = map[string]*property{}
			}
			maps.Copy(out.mappings[n], m)
		}
	}
	return out
}

func (i *importer) typeOf(l *level, otherwise string) string {
	if l.typ == nil {
		return otherwise
	}
	return i.text(l.typ)
}

// part writes a part's block: all that it inherits in Polaris if it names another type than the block above, since it inherits
// nothing here then, else its own settings alone. Of a property that stands elsewhere too, the comment stands there.
func (i *importer) part(b *block, own, above *level, otherwise string, has func(typ, name string) bool) {
	if own.empty() {
		return
	}
	all := own
	if above != nil {
		all = own.over(above)
	}
	typ := i.typeOf(all, otherwise)
	change := above == nil || typ != i.typeOf(above, otherwise)
	if own.typ != nil || change {
		switch {
		case own.typ != nil:
			b.take("type", typ, own.typ)
		default:
			b.set("type", typ, "")
		}
	}
	for _, name := range all.order {
		s := all.settings[name]
		_, mine := own.settings[name]
		if (!mine && !change) || !has(typ, name) {
			continue
		}
		if mine || !s.p.used {
			b.take(name, s.value(), s.p)
		} else {
			b.set(name, s.value(), "as above")
		}
	}
	if change || len(own.mappings) > 0 {
		i.mappings(b, all)
	}
}

func (i *importer) mappings(b *block, l *level) {
	for n, index := range slices.Sorted(maps.Keys(l.mappings)) {
		m := b.add("mapping")
		for _, key := range []string{"regex", "replacement"} {
			p := l.mappings[index][key]
			switch {
			case p == nil:
				for _, other := range l.mappings[index] {
					i.fault(other.line, fmt.Sprintf("mappings[%d] has no %s", index, key), "")
				}
			case p.used:
				m.set(key, i.text(p), "as above")
			default:
				m.take(key, i.text(p), p)
			}
		}
		if n != index {
			m.comments = append(m.comments, fmt.Sprintf("mappings[%d]", index))
		}
	}
}

var mappingKey = regexp.MustCompile(`^mappings\[(\d{1,4})\]$`)

// mapper reads what a level says of a mapper, below a prefix.
func (i *importer) mapper(prefix ...string) *level {
	l := &level{}
	for _, p := range i.under(prefix...) {
		rest := p.path[len(prefix):]
		if len(rest) == 1 && rest[0] == "type" {
			l.typ = i.get(p.path...)
			continue
		}
		if m := mappingKey.FindStringSubmatch(rest[0]); m != nil && prefix[len(prefix)-1] == "principal-roles-mapper" && len(rest) == 2 && (rest[1] == "regex" || rest[1] == "replacement") {
			index, _ := strconv.Atoi(m[1])
			if l.mappings == nil {
				l.mappings = map[int]map[string]*property{}
			}
			if l.mappings[index] == nil {
				l.mappings[index] = map[string]*property{}
			}
			l.mappings[index][rest[1]] = p
			continue
		}
		i.own(l, p, rest, mapperSettings...)
	}
	return l
}

// own takes a setting of a part under our form of its name: as it stands if it is one that Polaris itself declares. Any other one belongs
// to a type that is not bundled. Nothing is known of it then, so that it may be a secret, whatever its name is.
func (i *importer) own(l *level, p *property, rest []string, declared ...string) {
	if i.get(p.path...) == nil {
		return
	}
	name := snake(rest)
	if name == "" {
		p.note = "a setting cannot have this name here"
		return
	}
	l.put(name, p, func() any {
		if slices.Contains(declared, name) {
			return i.text(p)
		}
		return i.undeclared(p)
	})
}

var (
	digits = regexp.MustCompile(`^\d+$`)
	simple = regexp.MustCompile(`^(?i)\d+(ms|[smhd])$`)
)

// duration gives a duration of Quarkus as we have it: ISO 8601, a number of seconds, or a number with a unit.
func (i *importer) duration(p *property) string {
	v := strings.TrimSpace(i.text(p))
	switch {
	case digits.MatchString(v):
		return "PT" + v + "S"
	case !simple.MatchString(v):
		return v
	case strings.HasSuffix(strings.ToLower(v), "d"):
		return "P" + strings.ToUpper(v)
	}
	return strings.ToLower(v)
}
