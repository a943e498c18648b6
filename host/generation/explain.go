package generation

import (
	"context"
	"fmt"
	"slices"

	"github.com/realmgate/realmgate/host/catalog"
	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/host/remember"
	"github.com/realmgate/realmgate/sdk"
)

// Routes are the parts that a realm's plan goes through, in order; a route that it does not have has none.
type Routes struct{ Internal, External []Part }

// Routes gives the routes of a realm that can be served.
func (g *Generation) Routes(name string) (Routes, error) {
	r, err := g.realm(name)
	if err != nil {
		return Routes{}, err
	}
	if r.err != nil {
		return Routes{}, fmt.Errorf("realm %q: %w", name, r.err)
	}
	var out Routes
	tail, rest := r.handles, r.handles
	if r.mode != pipeline.ModeExternal {
		tail = tail[1:]
		if out.Internal, err = g.partsOf(name, r.handles[:3]); err != nil { // broker, authenticator, active roles provider
			return Routes{}, err
		}
		rest = rest[1:]
	}
	if r.mode != pipeline.ModeInternal {
		if out.External, err = g.partsOf(name, slices.Concat(rest[2:], tail[:2])); err != nil {
			return Routes{}, err
		}
	}
	return out, nil
}

// partsOf gives the parts that handles of a realm are of. Every handle of a realm is that of a part; if one were not, the request
// that asks fails, and not the daemon.
func (g *Generation) partsOf(realm string, handles []catalog.Handle) ([]Part, error) {
	out := make([]Part, len(handles))
	for n, h := range handles {
		at := slices.IndexFunc(g.parts, func(p Part) bool { return p.Handle == h })
		if at < 0 {
			return nil, fmt.Errorf("realm %q: stage %d is of no part that this generation has built", realm, n+1)
		}
		out[n] = g.parts[at]
	}
	return out, nil
}

// Stages gives the stages of routes of a realm, each by itself.
func (g *Generation) Stages(realm string, of Routes) (pipeline.Stages, error) {
	var out pipeline.Stages
	for _, x := range []struct {
		parts []Part
		to    *[]pipeline.Stage
	}{{of.Internal, &out.Internal}, {of.External, &out.External}} {
		for _, p := range x.parts {
			leg, err := g.plugins.Leg(realm, []catalog.Handle{p.Handle})
			if err != nil {
				return out, err
			}
			*x.to = append(*x.to, pipeline.Stage{Kind: p.Kind, Leg: leg})
		}
	}
	return out, nil
}

// Schemes gives the authentication schemes that a verifier takes, lower case.
func (g *Generation) Schemes(p Part) []string {
	o, _ := g.plugins.Find(p.Kind, p.Type) // the zero Offer of a plugin that is not there any more
	return schemes(o)
}

// Recall says what the generation remembers of a request. Nothing is decided, remembered or counted by it.
func (g *Generation) Recall(p *pipeline.Plan, req sdk.Request) remember.Recalled {
	if g.memory == nil || !p.Remembers() {
		return remember.Recalled{Off: true, Why: "decisions of this realm are not remembered"}
	}
	return g.memory.Recall(p, req)
}

// instead decides in place of the plans of a generation.
type instead struct {
	gen    *Generation
	decide func(ctx context.Context, g *Generation, realm string, req sdk.Request) pipeline.Decision
}

// Decide is pipeline.Memory's.
func (i instead) Decide(ctx context.Context, p *pipeline.Plan, req sdk.Request) pipeline.Decision {
	return i.decide(ctx, i.gen, p.Realm(), req)
}
