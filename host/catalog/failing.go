package catalog

import "fmt"

// Failing is a plugin with parts that were called, perhaps a few times only, and have not done what they were to do once.
type Failing struct {
	Plugin string // its name
	Detail string // what fails, in one line
}

// Failing gives those of the plugins that the set is the first to have. [Set.Healthy] may have found too little in it to go back
// for; whoever changed something wants to know.
func (s *Set) Failing() (out []Failing) {
	more := map[string]int{}
	for _, f := range s.starts() {
		for _, i := range f.p.all() {
			what := i.failing()
			if what == "" || !i.servesIn(s) {
				continue
			}
			if more[f.p.src.Name]++; more[f.p.src.Name] == 1 {
				out = append(out, Failing{f.p.src.Name, fmt.Sprintf("plugin %s: %s", f.p.src.Name, what)})
			}
		}
	}
	for n := range out {
		if others := more[out[n].Plugin] - 1; others > 0 {
			out[n].Detail += fmt.Sprintf(" (so it is with %d more of its parts)", others)
		}
	}
	return out
}

// failing says of which method of an instance every call failed; empty if of none.
func (i *instance) failing() string {
	for m := range i.records {
		if r := &i.records[m]; !r.worked.Load() && r.failed.Load() > 0 {
			return r.says(i, method(m))
		}
	}
	return ""
}

// says is for a method of which every call failed.
func (r *record) says(i *instance, m method) string {
	return fmt.Sprintf("every call of its %v%s fails, the last one with: %s", i.title(), methodNames[m], *r.last.Load())
}

// servesIn says whether an instance is of a set: others may still be called, by requests in a set that was given up.
func (i *instance) servesIn(s *Set) bool {
	i.p.mu.Lock()
	defer i.p.mu.Unlock()
	return i.use(s) >= 0
}
