package reload

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/realmgate/realmgate/host/catalog"
	"github.com/realmgate/realmgate/host/config"
	"github.com/realmgate/realmgate/host/generation"
	"github.com/realmgate/realmgate/host/lock"
	"github.com/realmgate/realmgate/sdk"
)

// judge finds what is worse in a generation to be than in the one that serves.
type judge struct {
	old     Serving
	cfg     *config.Config
	set     *catalog.Set
	sources []catalog.Source
	lock    lock.State
	again   bool // it is the configuration that serves, with plugins that started late

	refused   config.Diagnostics
	unknown   config.Diagnostics // types that may be why
	tolerated []string           // it was so before, or is allowed
	unserved  []string           // realms that are served and would not be
}

// refusal says that a reload is refused for what may be passed over.
type refusal struct{ config.Diagnostics }

// Error lists what is wrong, what may be why, and how to go on all the same.
func (r refusal) Error() string {
	var b strings.Builder
	_ = r.Write(&b) // it takes everything
	return b.String() + "With --allow-unavailable the configuration is taken all the same, and what is at fault here is unavailable."
}

// Unwrap gives the diagnostics.
func (r refusal) Unwrap() error { return r.Err() }

// verdict gives what was found so far as an error, unless o allows it.
func (j *judge) verdict(o Options) error {
	j.refused = j.refused.Sort()
	if len(j.refused) == 0 {
		return nil
	}
	if !o.AllowUnavailable {
		return refusal{append(j.refused, j.unknown...)}
	}
	for _, d := range j.refused {
		j.tolerated = append(j.tolerated, d.String())
	}
	j.refused = nil
	return nil
}

// plugins looks for plugins that do not start, unless they did not before, from the same source.
func (j *judge) plugins() {
	before := map[string]bool{}
	for _, err := range j.old.Set.Failed() {
		if e, ok := errors.AsType[*catalog.StartError](err); ok {
			before[e.Plugin] = source(j.old.Sources, e).Same(source(j.sources, e))
		}
	}
	for _, err := range j.set.Failed() {
		e, ok := errors.AsType[*catalog.StartError](err)
		if ok && before[e.Plugin] {
			j.tolerated = append(j.tolerated, blame(j.cfg, err).String())
			continue
		}
		j.refused = append(j.refused, blame(j.cfg, err))
	}
}

// blame puts what is wrong with a plugin at the place of its block, if it has one.
func blame(cfg *config.Config, err error) config.Diagnostic {
	if e, ok := errors.AsType[*catalog.StartError](err); ok {
		return cfg.Plugin(e.Plugin).Diagnose("", err.Error(), "")
	}
	return config.Diagnostic{Summary: err.Error()}
}

// source gives the source that an error is about.
func source(all []catalog.Source, e *catalog.StartError) catalog.Source {
	for _, s := range all {
		if s.Name == e.Plugin && s.Path == e.Path {
			return s
		}
	}
	return catalog.Source{}
}

// generation looks for parts that cannot do their work now, and realms that would no longer be served.
func (j *judge) generation(ctx context.Context, gen *generation.Generation) {
	j.unknown = gen.Unknown()
	blamed := j.parts(ctx, gen)
	was, is := j.old.Held.Realms(), gen.Realms()
	for _, name := range slices.Sorted(maps.Keys(is)) {
		err := is[name]
		before, known := was[name]
		worse := err != nil && known && before == nil
		if worse {
			j.unserved = append(j.unserved, name)
		}
		if err == nil || !worse && (blamed || len(j.set.Failed()) > 0) {
			continue // said already, where it can be mended
		}
		if known && before != nil {
			continue
		}
		j.refused = append(j.refused, j.cfg.Realm(name).Diagnose("", fmt.Sprintf("realm %q would not be served: %v", name, err), ""))
	}
}

// parts checks the parts that are new. It says whether one is to blame for something.
func (j *judge) parts(ctx context.Context, gen *generation.Generation) (blamed bool) {
	known := map[catalog.Handle]bool{}
	old := j.old.Held.Parts()
	for _, p := range old {
		known[p.Handle] = true
	}
	var fresh []generation.Part
	for _, p := range gen.Parts() {
		err := gen.Ready(p)
		if err == nil && !known[p.Handle] {
			fresh = append(fresh, p)
		}
		if err == nil {
			continue
		}
		blamed = true
		before := func(o generation.Part) bool { return o.Is(p) && j.old.Held.Ready(o) != nil }
		j.blame(p, "is not available: "+err.Error(), known[p.Handle] || slices.ContainsFunc(old, before))
	}
	cannot := gen.Check(ctx, fresh)
	if j.again { // they served nothing until now
		for _, d := range cannot {
			j.tolerated = append(j.tolerated, d.String())
		}
		return blamed
	}
	j.refused = append(j.refused, cannot...)
	return blamed || len(cannot) > 0
}

func (j *judge) blame(p generation.Part, what string, before bool) {
	d := p.Blame(fmt.Sprintf("%v %q %s", p.Kind, p.Type, what), false)
	if before {
		j.tolerated = append(j.tolerated, d.String())
		return
	}
	j.refused = append(j.refused, d)
}

// kindOf gives the kind of a plugin's offer by its name.
func kindOf(name string) (sdk.Kind, bool) {
	for _, k := range sdk.Kinds() {
		if k.String() == strings.ToLower(name) {
			return k, true
		}
	}
	return 0, false
}
