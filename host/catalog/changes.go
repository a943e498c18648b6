package catalog

import "slices"

// Changes are the processes that differ between two sets, by the name of the plugin; where one has a process for each realm, it
// stands behind the name.
type Changes struct {
	Started  []string
	Replaced []Replaced
	Stopped  []string
	Lost     []string // end, although their plugin is asked for: it does not start
}

// Replaced is a plugin that has another process than before.
type Replaced struct{ Name, Why string }

// Changes gives what became of the processes of an older set, in the order of the sources.
func (s *Set) Changes(old *Set) Changes {
	var out Changes
	was, is := old.running(), s.running()
	of := func(all []*supervised, title string) *supervised {
		if n := slices.IndexFunc(all, func(p *supervised) bool { return p.src.title() == title }); n >= 0 {
			return all[n]
		}
		return nil
	}
	for _, p := range is {
		title := p.src.title()
		switch before := of(was, title); {
		case before == nil:
			out.Started = append(out.Started, title)
		case before != p:
			out.Replaced = append(out.Replaced, Replaced{title, p.differs(before)})
		}
	}
	for _, p := range was {
		title := p.src.title()
		switch {
		case of(is, title) != nil:
		case p.src.owner == "" && s.wants(p.src.Name):
			out.Lost = append(out.Lost, title)
		default:
			out.Stopped = append(out.Stopped, title)
		}
	}
	return out
}

// running gives the plugins that the set has a process of.
func (s *Set) running() (out []*supervised) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.chosen {
		if s.admitted[p] || p.src.owner != "" && p.hasStarted() {
			out = append(out, p)
		}
	}
	return out
}

// wants says whether the set was asked for a plugin of a name.
func (s *Set) wants(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.chosen, func(p *supervised) bool { return p.src.Name == name })
}

// differs says why p is another process than one of its name.
func (p *supervised) differs(before *supervised) string {
	switch binary, block := p.digest != before.digest, !p.src.Same(before.src); {
	case binary && block:
		return "its binary and its block changed"
	case binary:
		return "its binary changed"
	case block:
		return "its block changed"
	}
	return "its former process is not taken again"
}
