package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// claim is what one realm may read or writes in a store: all below a path.
type claim struct {
	realm string
	below string // ends with /
	own   bool   // the realm keeps the secrets of its connections there; else it is a grant
	at    func(key, summary, detail string) Diagnostic
}

// custody checks where the realms keep the secrets of their connections: in a store that is there and granted to them, and
// where no other realm reads or writes.
func (b *builder) custody(cfg *Config) {
	if b.broken {
		return
	}
	claims := map[string][]claim{} // by store
	granted := map[[2]string][]claim{}
	for _, s := range cfg.SecretStores {
		claims[s.Name] = nil
		for _, g := range s.Grants {
			if g.Prefix != "" {
				c := claim{realm: g.Realm, below: strings.TrimSuffix(g.Prefix, "/") + "/", at: g.Diagnose}
				claims[s.Name] = append(claims[s.Name], c)
				granted[[2]string{s.Name, g.Realm}] = append(granted[[2]string{s.Name, g.Realm}], c)
			}
		}
	}
	for _, r := range cfg.Realms {
		c := r.Connections
		if c.SecretStore == "" {
			continue
		}
		if _, ok := claims[c.SecretStore]; !ok {
			node{at: c.at, diags: b.root.diags}.faultNamed("secret_store", "no such secret_store is declared", c.SecretStore, keys(group(b.root.values, "secret_store")))
			continue
		}
		if !slices.ContainsFunc(granted[[2]string{c.SecretStore, r.Name}], func(g claim) bool { return strings.HasPrefix(c.SecretPrefix, g.below) }) {
			b.add(c.Diagnose("secret_store", fmt.Sprintf("secret_store %q is not granted to realm %q at its secret_prefix", c.SecretStore, r.Name),
				fmt.Sprintf("It needs a grant with realm = %q and prefix = %q.", r.Name, c.SecretPrefix)))
		}
		claims[c.SecretStore] = append(claims[c.SecretStore], claim{realm: r.Name, below: c.SecretPrefix, own: true, at: c.Diagnose})
	}
	for _, all := range claims {
		b.apart(all)
	}
}

// apart blames claims of two realms of which one lies in the other, unless both are grants.
func (b *builder) apart(all []claim) {
	slices.SortStableFunc(all, func(x, y claim) int {
		return cmp.Or(cmp.Compare(x.below, y.below), cmp.Compare(x.realm, y.realm))
	})
	var owns, grants []claim // those that the current one lies in
	for _, c := range all {
		outside := func(o claim) bool { return !strings.HasPrefix(c.below, o.below) }
		owns, grants = slices.DeleteFunc(owns, outside), slices.DeleteFunc(grants, outside)
		for _, o := range owns {
			b.collide(o, c)
		}
		if !c.own {
			grants = append(grants, c)
			continue
		}
		for _, g := range grants {
			b.collide(g, c)
		}
		owns = append(owns, c)
	}
}

func (b *builder) collide(x, y claim) {
	if x.realm == y.realm {
		return
	}
	if x.own && y.own {
		b.add(y.at("secret_prefix", fmt.Sprintf("the secrets of the realms %q and %q would lie among each other", x.realm, y.realm),
			"Give each realm a secret_prefix of its own, or leave it out: it is the realm's name then."))
		return
	}
	grant, own := x, y
	if x.own {
		grant, own = y, x
	}
	b.add(grant.at("prefix", fmt.Sprintf("realm %q must not read where realm %q keeps the secrets of its connections", grant.realm, own.realm),
		fmt.Sprintf("That is below %s; see its connections block.", own.below)))
}
