package generation

import (
	"fmt"
	"slices"
)

// unremembered is a part whose answers keep decisions from being remembered, in realms that would remember them.
type unremembered struct {
	plugin, part, why string
	realms            []string
}

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
		u := unremembered{plugin: s.offer.Plugin, part: fmt.Sprintf("%v(%s)", s.offer.Kind, s.offer.Type), why: why}
		at := slices.IndexFunc(b.unremembered, func(o unremembered) bool { return o.plugin == u.plugin && o.part == u.part })
		if at < 0 {
			at, b.unremembered = len(b.unremembered), append(b.unremembered, u)
		}
		if o := &b.unremembered[at]; !slices.Contains(o.realms[max(0, len(o.realms)-1):], realm) { // realms come one after the other
			o.realms = append(o.realms, realm)
		}
	}
}

// tellOfUnremembered tells the log, once per part.
func (b *builder) tellOfUnremembered() {
	const most = 5
	for _, u := range b.unremembered {
		b.deps.Logger.Info("decisions are not remembered where this part is used: "+u.why, "part", u.part, "plugin", u.plugin,
			"realms", len(u.realms), "first", u.realms[:min(most, len(u.realms))])
	}
}
