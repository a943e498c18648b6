package generation

import (
	"fmt"
	"slices"
)

// Unremembered is a part that keeps decisions from being remembered, in realms that would remember them.
type Unremembered struct {
	Plugin string
	Part   string // authenticator(acme)
	Why    string
	Realms []string
}

// Unremembered gives the parts that keep decisions from being remembered.
func (g *Generation) Unremembered() []Unremembered { return g.unremembered }

// mayRemember notes which of a realm's stages keep its decisions from being remembered.
func (b *builder) mayRemember(realm string, stages []built) {
	for _, s := range stages {
		var why string
		switch {
		case s.offer.NeedsHTTP:
			why = "it looks at the request itself"
		case !s.offer.Cacheable:
			why = "it does not declare that its answers may be remembered: only those are for which it gives a time"
		default:
			continue
		}
		u := Unremembered{Plugin: s.offer.Plugin, Part: fmt.Sprintf("%v(%s)", s.offer.Kind, s.offer.Type), Why: why}
		at := slices.IndexFunc(b.gen.unremembered, func(o Unremembered) bool { return o.Plugin == u.Plugin && o.Part == u.Part })
		if at < 0 {
			at, b.gen.unremembered = len(b.gen.unremembered), append(b.gen.unremembered, u)
		}
		if o := &b.gen.unremembered[at]; !slices.Contains(o.Realms[max(0, len(o.Realms)-1):], realm) { // realms come one after the other
			o.Realms = append(o.Realms, realm)
		}
	}
}

// tellOfUnremembered tells the log, once per part.
func (b *builder) tellOfUnremembered() {
	const most = 5
	for _, u := range b.gen.unremembered {
		b.deps.Logger.Info("decisions are not remembered where this part is used: "+u.Why, "part", u.Part, "plugin", u.Plugin,
			"realms", len(u.Realms), "first", u.Realms[:min(most, len(u.Realms))])
	}
}
