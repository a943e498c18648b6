package catalog

import (
	"context"
	"fmt"
	"slices"

	"github.com/realmgate/realmgate/host/child"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// Grants is what an operator lets a plugin ask the host for, beyond the references of its own settings and those that come
// with a Vend or a Sign. The zero Grants is nothing. Nothing is answered that the plugin's manifest does not want, whatever
// is granted.
type Grants struct {
	Wanted bool        // all that the manifest wants
	Allow  []Allowance // what one of these allows
}

// Allowance allows some parts of a plugin something in some realms.
type Allowance struct {
	Types        []string // of the offers; empty: all
	Realms       []string // that are being served; empty: all
	Principals   bool     // look-ups of them
	AccessKeys   bool     // look-ups of them
	SecretStores []string // whose secrets are resolved, as far as they are granted to the realm
}

// allow says whether an offer of a type may have something in a realm; store is that of a secret, empty: any store will do.
func (g Grants) allow(w sdk.Want, typ, realm, store string) bool {
	return g.Wanted || slices.ContainsFunc(g.Allow, func(a Allowance) bool {
		if len(a.Types) > 0 && !slices.Contains(a.Types, typ) || len(a.Realms) > 0 && !slices.Contains(a.Realms, realm) {
			return false
		}
		switch w {
		case sdk.WantPrincipals:
			return a.Principals
		case sdk.WantAccessKeys:
			return a.AccessKeys
		case sdk.WantGrantedSecrets:
			return slices.Contains(a.SecretStores, store) || store == "" && len(a.SecretStores) > 0
		}
		return false
	})
}

// Missing gives what the offer wants and is not allowed in a realm.
func (o Offer) Missing(realm string) []sdk.Want {
	return slices.DeleteFunc(slices.Clone(o.Wants), func(w sdk.Want) bool { return o.Grants.allow(w, o.Type, realm, "") })
}

// Refused is a question of a plugin that the host did not answer.
type Refused struct {
	Plugin string
	Part   string // kind and type of the instance that asked, like principal-mapper(badge)
	What   sdk.Want
	Realm  string // that was being served; empty: none
	Why    string // a sentence without a full stop
}

// Why a question is refused.
const (
	whyUnwanted  = "the manifest of the plugin does not say that this part asks for it"
	whyForbidden = "no allow block of the plugin allows it"
	whyOutside   = "the secret reference is not in the settings of the part, which may resolve no other outside of a call for a realm"
)

// maxRefusals bounds how many different refusals of one process are logged.
const maxRefusals = 256

// permit says whether the instance may have something, and tells of it if not.
func (h *hostCalls) permit(ctx context.Context, i *instance, realm string, w sdk.Want, store string) error {
	wants := slices.ContainsFunc(h.offers, func(o rpc.Offer) bool {
		return o.Kind == i.in.Kind && o.Type == i.in.Type && slices.Contains(o.Wants, w)
	})
	switch {
	case !wants:
		return h.refuse(ctx, i, realm, w, whyUnwanted)
	case !h.p.src.Grants.allow(w, i.in.Type, realm, store):
		why := whyForbidden
		if w == sdk.WantGrantedSecrets {
			why += ", of the secret_store " + child.Safe(store, 64)
		}
		return h.refuse(ctx, i, realm, w, why)
	}
	return nil
}

// refuse tells the host and, once of each kind, the log.
func (h *hostCalls) refuse(ctx context.Context, i *instance, realm string, w sdk.Want, why string) error {
	r := Refused{Plugin: h.p.src.Name, Part: i.String(), What: w, Realm: realm, Why: why}
	if f := h.p.c.opts.Refused; f != nil {
		f(ctx, r)
	}
	h.mu.Lock()
	said := h.said[r] || len(h.said) >= maxRefusals
	if !said {
		if h.said == nil {
			h.said = map[Refused]bool{}
		}
		h.said[r] = true
	}
	h.mu.Unlock()
	if !said {
		h.p.log.Warn("plugin asks for what it is not allowed; this is logged once", "part", r.Part, "what", w.String(), "realm", realm, "reason", why)
	}
	return fmt.Errorf("%w (%v): %s", sdk.ErrNotAllowed, w, why)
}
