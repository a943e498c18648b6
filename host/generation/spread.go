package generation

import (
	"fmt"

	"github.com/realmgate/realmgate/host/catalog"
	"github.com/realmgate/realmgate/host/config"
)

// spread is a part that several realms use: built once for all of them, or once for each where its plugin keeps realms apart.
type spread struct {
	all  built
	each map[string]*built // nil: all is for everybody
}

// of gives what a realm is served by.
func (s *spread) of(realm string) built {
	switch {
	case s == nil:
		return built{}
	case s.each == nil:
		return s.all
	case s.each[realm] == nil:
		return built{}
	}
	return *s.each[realm]
}

// of gives the stages of a tenant that serve a realm.
func (t *tenant) of(realm string) []built {
	if t == nil {
		return make([]built, 3) // that there is none was reported with the configuration
	}
	return []built{t.provider.of(realm), t.principal.of(realm), t.roles.of(realm)}
}

// wantFor gives what is to be built of a part so that the realms can use it.
func (b *builder) wantFor(s *spread, w wanted, realms []string) []wanted {
	offer, err := b.deps.Plugins.Find(w.kind, w.part.Type)
	if err != nil || !offer.PerRealm { // the error is reported when it is built
		w.into = &s.all
		return []wanted{w}
	}
	s.each = map[string]*built{}
	out := make([]wanted, 0, len(realms))
	for _, r := range realms {
		x := &built{}
		s.each[r] = x
		w.into, w.setup.Realm = x, r
		out = append(out, w)
	}
	return out
}

// mixes blames a store that two realms would share a process by, although its plugin keeps realms apart.
func (b *builder) mixes(s config.SecretStore, offer catalog.Offer) {
	for _, g := range s.Grants {
		if first := s.Grants[0].Realm; offer.PerRealm && g.Realm != first {
			b.diags = append(b.diags, g.Diagnose("realm", fmt.Sprintf("secret_store %q is granted to the realms %q and %q, but its plugin %q keeps realms apart (per_realm)", s.Name, first, g.Realm, offer.Plugin),
				"The process of the store would serve both. Give each realm a store of its own, with a login of its own."))
			return
		}
	}
}
