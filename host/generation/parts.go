package generation

import (
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
	key    string
}

func newPart(w wanted, h catalog.Handle) Part {
	s := w.setup
	return Part{w.part, w.kind, h, fmt.Sprintf("%v %q %q %q %q %q %s", w.kind, s.Realm, s.Tenant, s.Store, s.AuthenticationType, w.part.Type, w.part.Settings)}
}

// Is says whether two parts, of two generations, are one in the configuration: of one type with the same settings, for the
// same realm, tenant, store or type of authentication.
func (p Part) Is(o Part) bool { return p.key == o.key }

// Parts gives the instances of the generation.
func (g *Generation) Parts() []Part { return g.parts }

// Ready says why a part of the generation cannot be called now; nil if it can.
func (g *Generation) Ready(p Part) error { return g.plugins.Ready(p.Handle) }

// Config gives the configuration that the generation was built of.
func (g *Generation) Config() *config.Config { return g.config }
