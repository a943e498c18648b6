package generation

import (
	"bytes"
	"context"
	"fmt"

	"github.com/realmgate/realmgate/host/catalog"
	"github.com/realmgate/realmgate/host/config"
	"github.com/realmgate/realmgate/sdk"
)

// Part is an instance of a generation and what of the configuration it was made of.
type Part struct {
	config.Part
	Kind   sdk.Kind
	Handle catalog.Handle
	scope  scope
}

// scope is what a part serves.
type scope struct{ realm, tenant, store, authenticationType string }

func newPart(w wanted, h catalog.Handle) Part {
	s := w.setup
	return Part{w.part, w.kind, h, scope{s.Realm, s.Tenant, s.Store, s.AuthenticationType}}
}

// Is says whether two parts, of two generations, are one in the configuration: of one type with the same settings, for the
// same realm, tenant, store or type of authentication.
func (p Part) Is(o Part) bool {
	return p.Kind == o.Kind && p.scope == o.scope && p.Type == o.Type && bytes.Equal(p.Settings, o.Settings)
}

// Parts gives the instances of the generation.
func (g *Generation) Parts() []Part { return g.parts }

// Ready says why a part of the generation cannot be called now; nil if it can.
func (g *Generation) Ready(p Part) error { return g.plugins.Ready(p.Handle) }

// Check asks parts of the generation that no other one has whether they can do their work now: what they need may be away. Each
// that cannot is an error, at its place. It takes the time of the slowest.
func (g *Generation) Check(ctx context.Context, parts []Part) config.Diagnostics {
	hs := make([]catalog.Handle, len(parts))
	for n, p := range parts {
		hs[n] = p.Handle
	}
	var out config.Diagnostics
	for _, d := range g.plugins.Check(ctx, hs) {
		p := parts[d.Index]
		out = append(out, p.Blame(fmt.Sprintf("%v %q cannot do its work now: %s", p.Kind, p.Type, d.Summary), false))
	}
	return out
}

// Config gives the configuration that the generation was built of.
func (g *Generation) Config() *config.Config { return g.config }
