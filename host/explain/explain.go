package explain

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/realmgate/realmgate/host/admin"
	"github.com/realmgate/realmgate/host/config"
	"github.com/realmgate/realmgate/host/generation"
	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/sdk"
)

// Decide decides on a request to a realm of a generation, as its plan does, and tells how. A realm that there is not, or that
// cannot be served, is unavailable.
func Decide(ctx context.Context, gen *generation.Generation, realm string, req sdk.Request) (pipeline.Decision, admin.Explanation) {
	t := &teller{gen: gen, hider: newHider(req), realm: realm}
	for _, r := range gen.Config().Realms {
		if r.Name == realm {
			t.config = r
		}
	}
	start := time.Now()
	plan, err := gen.Plan(realm)
	var stages pipeline.Stages
	if err == nil {
		if t.routes, err = gen.Routes(realm); err == nil {
			t.parts = slices.Concat(t.routes.Internal, t.routes.External)
			stages, err = gen.Stages(realm, t.routes)
		}
	}
	if err != nil {
		d := pipeline.Decision{Realm: realm, Err: err}
		return d, t.tell(d, nil)
	}
	req.Realm = realm
	if !plan.NeedsHTTP() {
		req.HTTP = nil
	}
	t.recalled(gen.Recall(plan, req))
	d, walks := plan.Explain(ctx, req, stages)
	out := t.tell(d, t.walks(req, walks, stages))
	out.TookMS = ms(time.Since(start))
	return d, out
}

// teller tells about one decision.
type teller struct {
	hider
	gen    *generation.Generation
	realm  string
	config config.Realm
	routes generation.Routes
	cache  admin.ExplainedCache

	last  sdk.State // what there was at the end of the route that decided
	bound []bound   // what stages say about remembering
}

// bound is what a stage says about remembering.
type bound struct {
	stage string
	hint  sdk.CacheHint
}

// tell gives the whole explanation.
func (t *teller) tell(d pipeline.Decision, routes []admin.ExplainedRoute) admin.Explanation {
	out := admin.Explanation{
		Realm: t.realm, Type: t.config.Authentication.Type, Tenant: t.config.Tenant, Verdict: d.Verdict.String(), Status: http.StatusServiceUnavailable,
		Summary: t.summary(d, routes), Routes: routes, TokenID: t.text(d.TokenID), Expires: moment(d.Expires),
	}
	if routes == nil {
		out.Routes = []admin.ExplainedRoute{}
	}
	switch {
	case d.Verdict == pipeline.Allowed:
		out.Status, out.Source = http.StatusOK, d.Source.String()
		out.Principal = &admin.ExplainedPrincipal{ID: t.text(d.Principal.ID), Name: t.text(d.Principal.Name)}
	case d.Verdict == pipeline.Denied:
		out.Status, out.Reason = http.StatusUnauthorized, t.text(d.Denial.Reason)
		if d.Denial.Forbidden {
			out.Status = http.StatusForbidden
		}
	default:
		out.Reason = "unavailable"
	}
	if c := t.last.Credential; c != nil {
		out.Issuer = t.text(c.Issuer)
		out.Roles = &admin.ExplainedRoles{Requested: t.texts(c.RequestedRoles), Granted: []string{}, Active: []string{}}
		if t.last.Principal != nil {
			out.Roles.Granted = t.texts(t.last.Principal.Roles)
		}
		if d.Verdict == pipeline.Allowed {
			out.Roles.Active = t.texts(d.Roles)
		}
	} else if t.last.Identity != nil {
		out.Issuer = t.text(t.last.Identity.Issuer)
	}
	t.cache.StoreS, t.cache.StoreWhy = d.CacheFor.Seconds(), t.kept(d)
	if t.cache.State == "" {
		t.cache.State, t.cache.Why = "off", "the realm cannot be served"
	}
	out.Cache = t.cache
	return out
}

// walks tells about the routes of the realm.
func (t *teller) walks(req sdk.Request, walks []pipeline.Walk, stages pipeline.Stages) []admin.ExplainedRoute {
	var out []admin.ExplainedRoute
	for _, w := range walks {
		parts, legs := t.routes.External, stages.External
		if w.Source == sdk.SourceInternal {
			parts, legs = t.routes.Internal, stages.Internal
		}
		r := admin.ExplainedRoute{Source: w.Source.String(), Verdict: w.Decision.Verdict.String()}
		before := sdk.State{Request: &req}
		for n, p := range parts {
			s := t.stage(p)
			if n < len(w.Ran) {
				t.ran(&s, p.Kind, w.Ran[n], before)
				before = w.Ran[n].After
			}
			r.Stages = append(r.Stages, s)
		}
		r.Stages = append(r.Stages, t.checks(w, w.Checked(legs)))
		switch {
		case !w.Asked, !w.Takes:
			r.Verdict = "not_asked"
		default:
			t.last = before
		}
		r.Summary = t.route(req, w, parts, r.Stages)
		out = append(out, r)
	}
	return out
}

// stage tells what a stage is.
func (t *teller) stage(p generation.Part) admin.ExplainedStage {
	w := p.Handle.Where()
	return admin.ExplainedStage{
		Kind: p.Kind.String(), Type: p.Type, At: p.Blame("", true).Place(), Outcome: "not_reached",
		Plugin: &admin.ExplainedPart{Name: w.Plugin, Version: w.Version, Digest: w.Digest, PID: w.PID, State: string(w.State), Instance: w.Instance},
	}
}

// ran tells what a stage did.
func (t *teller) ran(s *admin.ExplainedStage, k sdk.Kind, r pipeline.Ran, before sdk.State) {
	s.TookMS, s.Read = ms(r.Took), t.read(k, before)
	s.Notes = t.texts(r.After.Notes.List())
	t.blame(s, r.Err)
	if r.Err == nil {
		s.Made = t.made(k, r.After)
	}
	h := r.After.Cache
	t.bound = append(t.bound, bound{name(*s), h})
	switch {
	case h.NoStore:
		s.Cache = "not to be remembered"
	case h.MaxAge > 0:
		s.Cache = "to be remembered for " + h.MaxAge.String()
	}
}

// checks tells what the host's own checks came to.
func (t *teller) checks(w pipeline.Walk, reached bool) admin.ExplainedStage {
	s := admin.ExplainedStage{Kind: hostChecks, Outcome: "not_reached"}
	if !reached {
		return s
	}
	var err error
	switch w.Decision.Verdict {
	case pipeline.Denied:
		err = w.Decision.Denial
	case pipeline.Unavailable:
		err = w.Decision.Err
	}
	t.blame(&s, err)
	return s
}

// blame tells why a stage ended as it did.
func (t *teller) blame(s *admin.ExplainedStage, err error) {
	switch no := sdk.AsDenial(err); {
	case err == nil:
		s.Outcome = "done"
	case no != nil:
		s.Outcome, s.Reason, s.Detail = "denied", t.text(no.Reason), t.text(no.Detail)
	default:
		s.Outcome, s.Detail = "failed", t.text(err.Error())
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
