package generation

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/realmgate/realmgate/host/catalog"
	"github.com/realmgate/realmgate/host/config"
	"github.com/realmgate/realmgate/sdk"
)

// unmet is what an offer that is in use wants and is not allowed, in some realms.
type unmet struct {
	part   config.Part // the first one that uses it
	kind   sdk.Kind
	plugin string
	typ    string
	wants  []sdk.Want
	realms []string
	seen   map[string]bool // the realms
}

// miss notes what a part wants and is not allowed where it is used.
func (b *builder) miss(w wanted, o catalog.Offer) {
	if len(o.Wants) == 0 || o.Grants.Wanted {
		return
	}
	for _, realm := range b.usedIn(w) {
		wants := slices.DeleteFunc(o.Missing(realm), func(w sdk.Want) bool {
			return w == sdk.WantGrantedSecrets && len(b.index.granted[realm]) == 0 // there is nothing to allow
		})
		if len(wants) == 0 {
			continue
		}
		at := slices.IndexFunc(b.unmet, func(u *unmet) bool {
			return u.plugin == o.Plugin && u.kind == w.kind && u.typ == o.Type && slices.Equal(u.wants, wants)
		})
		if at < 0 {
			at, b.unmet = len(b.unmet), append(b.unmet, &unmet{part: w.part, kind: w.kind, plugin: o.Plugin, typ: o.Type, wants: wants, seen: map[string]bool{}})
		}
		if u := b.unmet[at]; !u.seen[realm] {
			u.seen[realm], u.realms = true, append(u.realms, realm)
		}
	}
}

// usedIn gives the realms that a part is called for.
func (b *builder) usedIn(w wanted) []string {
	if w.setup.Realm != "" {
		return []string{w.setup.Realm}
	}
	switch {
	case w.kind == sdk.KindSecretResolver:
		return nil
	case w.setup.Tenant != "":
		return b.index.users[w.setup.Tenant]
	}
	return b.index.realms
}

// storesOf gives the stores that are granted to one of the realms.
func (b *builder) storesOf(realms []string) []string {
	granted := map[string]bool{}
	for _, r := range realms {
		for _, s := range b.index.granted[r] {
			granted[s] = true
		}
	}
	return slices.Sorted(maps.Keys(granted))
}

// warnOfUnmet says what will be refused, with the block that would allow it.
func (b *builder) warnOfUnmet() {
	for _, u := range b.unmet {
		names := make([]string, len(u.wants))
		for i, w := range u.wants {
			names[i] = w.String()
		}
		b.diags = append(b.diags, u.part.Diagnose("/type",
			fmt.Sprintf("the %v %q of plugin %s asks for %s, which it is not allowed: it will be refused", u.kind, u.typ, u.plugin, strings.Join(names, ", ")),
			"If it is to be allowed, write into the block of the plugin:\n"+b.allowBlock(u), true, nil))
	}
}

func (b *builder) allowBlock(u *unmet) string {
	keys := [][2]string{{"types", quoted(u.typ)}}
	if len(u.realms) < len(b.cfg.Realms) {
		keys = append(keys, [2]string{"realms", quoted(u.realms...)})
	}
	for _, w := range u.wants {
		switch w {
		case sdk.WantPrincipals:
			keys = append(keys, [2]string{"principals", "true"})
		case sdk.WantAccessKeys:
			keys = append(keys, [2]string{"access_keys", "true"})
		case sdk.WantGrantedSecrets:
			keys = append(keys, [2]string{"secret_stores", quoted(b.storesOf(u.realms)...)})
		}
	}
	width := 0
	for _, k := range keys {
		width = max(width, len(k[0]))
	}
	var out strings.Builder
	out.WriteString("allow {\n")
	for _, k := range keys {
		fmt.Fprintf(&out, "  %-*s = %s\n", width, k[0], k[1])
	}
	out.WriteString("}")
	return out.String()
}

// quoted writes names as a list of HCL. A name has no character that a string of HCL escapes.
func quoted(names ...string) string { return `["` + strings.Join(names, `", "`) + `"]` }

// warnOfTypes says which types an allow block names although its plugin, which runs, offers no such part.
func (b *builder) warnOfTypes() {
	for _, p := range b.cfg.Plugins {
		offers, runs := b.deps.Plugins.Types(p.Name)
		if !runs {
			continue
		}
		for _, a := range p.Allow {
			for _, typ := range a.Types {
				if slices.Contains(offers, typ) {
					continue
				}
				detail := "It offers " + strings.Join(offers, ", ") + "."
				if meant := config.Suggest(typ, offers); meant != "" {
					detail = fmt.Sprintf("Did you mean %q?", meant)
				}
				d := a.Diagnose("types", fmt.Sprintf("plugin %s offers no part of type %q", p.Name, typ), detail)
				d.Warning = true
				b.diags = append(b.diags, d)
			}
		}
	}
}
