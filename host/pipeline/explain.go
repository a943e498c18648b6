package pipeline

import (
	"context"
	"slices"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// Stage is one stage of a route, to be run by itself.
type Stage struct {
	Kind sdk.Kind
	Leg  Leg
}

// Stages are those of a plan's routes, in order; a route that the plan does not have has none.
type Stages struct{ Internal, External []Stage }

// Ran is what one stage did.
type Ran struct {
	Stage int       // of the route's, from 0
	After sdk.State // what there was when it had ended; Cache is what this stage said, Notes are its own
	Err   error     // a *sdk.Denial, or why it cannot tell
	Took  time.Duration
}

// Walk is what came of one route.
type Walk struct {
	Source sdk.Source
	Asked  bool  // false: an earlier answer was enough
	Takes  bool  // whether the route takes the scheme of the request; if not, no stage was asked
	Ran    []Ran // the stages that were asked, in order
	// Decision is what the route alone came to; its Denial may be sdk.NotMine's.
	Decision Decision
}

// Checked says whether the host's own checks were reached: every stage has done its part.
func (w Walk) Checked(stages []Stage) bool {
	return len(stages) > 0 && len(w.Ran) == len(stages) && w.Ran[len(w.Ran)-1].Err == nil
}

// Explain decides on req anew, by the same rules, but stage by stage, and tells what each of them did. It neither asks what is
// remembered nor adds to it. Plans that are not explained know nothing of this.
func (p *Plan) Explain(ctx context.Context, req sdk.Request, stages Stages) (Decision, []Walk) {
	var walks []Walk
	at := func(src sdk.Source) *Walk {
		for n := range walks {
			if walks[n].Source == src {
				return &walks[n]
			}
		}
		return nil
	}
	q := Plan{c: p.c}
	q.c.Memory, q.c.Instead = nil, nil
	for _, r := range []struct {
		src    sdk.Source
		there  bool
		route  *Route
		stages []Stage
	}{
		{sdk.SourceInternal, p.c.Mode != ModeExternal, &q.c.Internal, stages.Internal},
		{sdk.SourceExternal, p.c.Mode != ModeInternal, &q.c.External, stages.External},
	} {
		if !r.there {
			continue
		}
		walks = append(walks, Walk{Source: r.src, Takes: r.route.takes(req.Scheme)})
		r.route.Legs = nil
		for n, s := range r.stages {
			r.route.Legs = append(r.route.Legs, recording{s, n, func(x Ran) { w := at(r.src); w.Ran = append(w.Ran, x) }})
		}
	}
	q.tell = func(src sdk.Source, d Decision) {
		if w := at(src); w != nil {
			w.Asked, w.Decision = true, d
		}
	}
	d := q.DecideAnew(ctx, req)
	return d, walks
}

// recording runs a stage as a leg, and tells what it did.
type recording struct {
	stage Stage
	at    int
	tell  func(Ran)
}

// Run is Leg's.
func (r recording) Run(ctx context.Context, s *sdk.State) error {
	cache, start := s.Cache, time.Now()
	s.Cache, s.Notes = sdk.CacheHint{}, &sdk.Notes{}
	err := r.stage.Leg.Run(ctx, s)
	took := time.Since(start)
	after := *s
	if after.Mapped != nil { // what is told is not changed by those who come later
		after.Mapped = slices.Clone(after.Mapped)
	}
	r.tell(Ran{Stage: r.at, After: after, Err: err, Took: took})
	s.Cache, s.Notes = cache.Least(s.Cache), nil
	return err
}
