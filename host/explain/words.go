package explain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/realmgate/realmgate/host/admin"
	"github.com/realmgate/realmgate/host/config"
	"github.com/realmgate/realmgate/host/generation"
	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/host/remember"
	"github.com/realmgate/realmgate/sdk"
)

// hostChecks is the kind of what the host makes sure of itself.
const hostChecks = "host-checks"

// name gives a stage as it is called in sentences.
func name(s admin.ExplainedStage) string {
	if s.Kind == hostChecks {
		return "the daemon's own checks"
	}
	out := s.Kind + "(" + s.Type + ")"
	if s.Plugin != nil {
		out += " of plugin " + s.Plugin.Name
	}
	return out
}

// summary says in one sentence why a decision is what it is.
func (t *teller) summary(d pipeline.Decision, routes []admin.ExplainedRoute) string {
	asked := slices.DeleteFunc(slices.Clone(routes), func(r admin.ExplainedRoute) bool { return r.Verdict == "not_asked" })
	switch {
	case d.Verdict == pipeline.Allowed:
		roles := "no active role"
		if len(d.Roles) > 0 {
			roles = "the active roles " + strings.Join(t.texts(d.Roles), ", ")
		}
		return fmt.Sprintf("The credential is accepted on the %v side: it is that of %q, with %s.", d.Source, t.text(cmp.Or(d.Principal.Name, d.Principal.ID)), roles)
	case routes == nil:
		return "The realm cannot be served: " + t.text(d.Err.Error()) + "."
	case d.Verdict == pipeline.Denied && len(asked) == 0:
		return "No side of the realm takes a credential of this scheme: " + routes[0].Summary
	case d.Verdict == pipeline.Unavailable && len(asked) == 2:
		first, second := asked[0], asked[1]
		if second.Verdict == pipeline.Denied.String() {
			return "Nobody can tell: " + first.Summary + " The external side says no, which does not count meanwhile: the token may be one of the realm's own."
		}
		return "Nobody can tell: " + second.Summary
	case len(asked) == 2 && d.Denial.Reason == "token_not_recognised":
		return "Neither side of the realm knows the credential: " + asked[0].Summary + " " + asked[1].Summary
	}
	return asked[len(asked)-1].Summary
}

// route says in one sentence what a route came to.
func (t *teller) route(req sdk.Request, w pipeline.Walk, parts []generation.Part, stages []admin.ExplainedStage) string {
	switch {
	case !w.Takes:
		return fmt.Sprintf("The %v side takes the schemes %s, and this credential has the scheme %s.", w.Source, strings.Join(t.gen.Schemes(parts[0]), ", "), t.text(req.Scheme))
	case !w.Asked:
		return fmt.Sprintf("The %v side was not asked: the answer of the internal side is final.", w.Source)
	case w.Decision.Verdict == pipeline.Allowed:
		return fmt.Sprintf("The %v side accepts the credential.", w.Source)
	}
	at := slices.IndexFunc(stages, func(s admin.ExplainedStage) bool { return s.Outcome == "denied" || s.Outcome == "failed" })
	if at < 0 { // there is always one
		return fmt.Sprintf("The %v side has no answer.", w.Source)
	}
	s := stages[at]
	switch {
	case s.Reason == sdk.ReasonNotMine:
		return fmt.Sprintf("The %v side does not take the credential for its own: so says %s.", w.Source, name(s))
	case s.Outcome == "denied":
		return fmt.Sprintf("Denied by %s (%s)%s.", name(s), s.Reason, colon(s.Detail))
	}
	return fmt.Sprintf("The %v side cannot tell: %s failed%s.", w.Source, name(s), colon(s.Detail))
}

func colon(detail string) string {
	if detail == "" {
		return ""
	}
	return ": " + strings.TrimSuffix(detail, ".")
}

// recalled notes what is remembered.
func (t *teller) recalled(r remember.Recalled) {
	t.cache = admin.ExplainedCache{State: "miss", Why: r.Why}
	switch {
	case r.Hit:
		t.cache = admin.ExplainedCache{State: "hit", Verdict: r.Decision.Verdict.String(), LeftS: r.Left.Seconds()}
	case r.Off:
		t.cache.State = "off"
	}
}

// kept says what bounds the time for which a decision may be remembered.
func (t *teller) kept(d pipeline.Decision) string {
	most, key := t.config.Authentication.Cache.MaxAge, "max_age"
	if d.Verdict == pipeline.Denied {
		most, key = t.config.Authentication.Cache.DeniedMaxAge, "denied_max_age"
	}
	setting := "authentication { cache { " + key + " } } of the realm"
	if d.Verdict == pipeline.Unavailable {
		return "that nobody can tell is never remembered"
	}
	if d.CacheFor > 0 {
		for _, b := range t.bound {
			if b.hint.MaxAge == d.CacheFor {
				return b.stage + " says so"
			}
		}
		if d.CacheFor == most {
			return setting
		}
		return "the credential expires then"
	}
	for _, u := range t.gen.Unremembered() {
		if slices.Contains(u.Realms, t.realm) {
			return u.Part + " of plugin " + u.Plugin + ": " + u.Why
		}
	}
	for _, b := range t.bound {
		if b.hint.NoStore {
			return b.stage + " says that its answer is for this request only"
		}
	}
	switch {
	case most == 0:
		return setting + " is 0"
	case d.Verdict == pipeline.Denied && len(d.Denial.Challenge) > 0:
		return "a denial with a challenge is for one request only"
	case t.config.Authentication.Type == config.Mixed:
		return "it counts only while one side of the realm cannot tell"
	}
	return "the credential is about to expire"
}
