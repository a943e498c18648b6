package generation

import (
	"github.com/realmgate/realmgate/host/config"
)

// index is what is looked up of a configuration once for each of its parts: there may be ten thousand realms, and as many
// tenants.
type index struct {
	realms  []string            // all
	users   map[string][]string // the realms that may use a tenant; those with tokens of their own alone use none
	stores  map[string]bool     // secret stores that there are
	granted map[string][]string // the stores that are granted to a realm
}

func newIndex(cfg *config.Config) index {
	x := index{realms: make([]string, len(cfg.Realms)), users: map[string][]string{}, stores: map[string]bool{}, granted: map[string][]string{}}
	for n, r := range cfg.Realms {
		x.realms[n] = r.Name
		if r.Authentication.Type != config.Internal {
			x.users[r.Tenant] = append(x.users[r.Tenant], r.Name)
		}
	}
	for _, s := range cfg.SecretStores {
		x.stores[s.Name] = true
		for _, g := range s.Grants {
			if own := x.granted[g.Realm]; len(own) == 0 || own[len(own)-1] != s.Name {
				x.granted[g.Realm] = append(own, s.Name)
			}
		}
	}
	return x
}
