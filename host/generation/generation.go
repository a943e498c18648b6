package generation

import (
	"context"
	"fmt"
	"slices"

	"github.com/realmgate/realmgate/host/accesskey"
	"github.com/realmgate/realmgate/host/catalog"
	"github.com/realmgate/realmgate/host/config"
	"github.com/realmgate/realmgate/host/connection"
	"github.com/realmgate/realmgate/host/custody"
	"github.com/realmgate/realmgate/host/limit"
	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/host/remember"
	"github.com/realmgate/realmgate/host/secret"
	"github.com/realmgate/realmgate/host/token"
	"github.com/realmgate/realmgate/sdk"
)

// Directory is what a generation needs of the directory.
type Directory interface {
	pipeline.Standing
	token.Directory
	limit.Clients
	connection.Store
	custody.Ledger
	accesskey.Store
}

// Plugins is what a generation needs of the catalog; *catalog.Set satisfies it.
type Plugins interface {
	Find(kind sdk.Kind, typ string) (catalog.Offer, error)
	Types(plugin string) (types []string, ok bool)
	Configure(ctx context.Context, in []catalog.Instance) ([]catalog.Handle, []catalog.Diagnostic)
	Release(ctx context.Context, hs []catalog.Handle)
	Leg(realm string, hs []catalog.Handle) (*catalog.Leg, error)
	Ready(h catalog.Handle) error
	Check(ctx context.Context, hs []catalog.Handle) []catalog.Diagnostic
	Broker(h catalog.Handle, realm string) *catalog.Broker
	Resolver(h catalog.Handle) *catalog.Resolver
	Vendor(h catalog.Handle, realm string) *catalog.Vendor
}

// Generation is one configuration, built. It is immutable and safe for concurrent use.
type Generation struct {
	plugins Plugins
	config  *config.Config
	secrets *secret.Service
	memory  *remember.Section // nil: decisions are not remembered
	handles []catalog.Handle
	parts   []Part
	realms  map[string]*realm
	hosts   map[string]string
	unknown config.Diagnostics

	unremembered []Unremembered
}

type realm struct {
	mode    pipeline.Mode
	handles []catalog.Handle // of every part that its plan goes through
	plan    *pipeline.Plan
	tokens  *token.Service
	broker  catalog.Handle // of tokens

	connections *connection.Service
	keys        *accesskey.Service
	custody     *custody.Custody

	err error // why the realm cannot be served
}

// Plan gives the plan of a realm. The error is pipeline.ErrUnknownRealm, or says why the realm cannot be served.
func (g *Generation) Plan(name string) (*pipeline.Plan, error) {
	r, err := g.realm(name)
	if err != nil {
		return nil, err
	}
	if r.err != nil {
		return nil, fmt.Errorf("realm %q: %w", name, r.err)
	}
	return r.plan, nil
}

func (g *Generation) realm(name string) (*realm, error) {
	r, ok := g.realms[name]
	if !ok {
		return nil, fmt.Errorf("realm %q: %w", name, pipeline.ErrUnknownRealm)
	}
	return r, nil
}

// TokenService gives the token service of a realm; false if it has none.
func (g *Generation) TokenService(name string) (*token.Service, bool) {
	r, ok := g.realms[name]
	if !ok || r.tokens == nil {
		return nil, false
	}
	return r.tokens, true
}

// RealmOfHost gives the realm that a host leads to; host is lower case and has no port.
func (g *Generation) RealmOfHost(host string) (string, bool) {
	name, ok := g.hosts[host]
	return name, ok
}

// Realms gives the names of all realms, with why a realm cannot be served at the moment, nil for those that can.
func (g *Generation) Realms() map[string]error {
	out := make(map[string]error, len(g.realms))
	for name, r := range g.realms {
		out[name] = r.err
		for _, h := range r.handles {
			if out[name] == nil {
				out[name] = g.plugins.Ready(h)
			}
		}
	}
	return out
}

// Unknown says, at their places, which types nobody offers although the configuration names them: a plugin that did not start may
// offer them. They are among the warnings of [Build].
func (g *Generation) Unknown() config.Diagnostics { return g.unknown }

// Internal gives the names of the realms that issue tokens of their own, sorted.
func (g *Generation) Internal() []string {
	var out []string
	for name, r := range g.realms {
		if r.mode != pipeline.ModeExternal {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// Secrets gives the secret stores.
func (g *Generation) Secrets() *secret.Service { return g.secrets }

// Release forgets the generation's decisions and gives its instances back to their plugins. The generation must no longer be
// used for new decisions.
func (g *Generation) Release(ctx context.Context) {
	if g.memory != nil {
		g.memory.Close()
	}
	g.plugins.Release(ctx, g.handles)
}
