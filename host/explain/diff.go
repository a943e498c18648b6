package explain

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/realmgate/realmgate/host/admin"
)

// Differences compares two explanations of the same credential: what they come to, and what each stage is and made. Times and
// processes do not count.
func Differences(here, there admin.Explanation) []admin.Difference {
	a, b := facts(here), facts(there)
	values := map[string]string{}
	for _, f := range b {
		values[f.what] = f.value
	}
	var out []admin.Difference
	seen := map[string]bool{}
	for _, f := range a {
		seen[f.what] = true
		if v := values[f.what]; v != f.value {
			out = append(out, admin.Difference{What: f.what, Here: f.value, There: v})
		}
	}
	for _, f := range b {
		if !seen[f.what] && f.value != "" {
			out = append(out, admin.Difference{What: f.what, There: f.value})
		}
	}
	return out
}

type fact struct{ what, value string }

// facts lists what is compared, the outcome first.
func facts(e admin.Explanation) []fact {
	out := []fact{{"verdict", e.Verdict}, {"status", strconv.Itoa(e.Status)}, {"reason", e.Reason}, {"type", e.Type}, {"tenant", e.Tenant}, {"issuer", e.Issuer}}
	if p := e.Principal; p != nil {
		out = append(out, fact{"principal id", p.ID}, fact{"principal name", p.Name})
	}
	if r := e.Roles; r != nil {
		out = append(out, fact{"roles requested", join(r.Requested)}, fact{"roles granted", join(r.Granted)}, fact{"roles active", join(r.Active)})
	}
	if c := e.Certificate; c != nil {
		for _, l := range c.Listeners {
			out = append(out, fact{"client certificate at the listener " + l.Name, takesIt(l)})
		}
	}
	for _, r := range e.Routes {
		out = append(out, fact{r.Source, r.Verdict})
		for _, s := range r.Stages {
			at := r.Source + " " + s.Kind
			plugin := ""
			if s.Plugin != nil {
				plugin = s.Plugin.Name + "/" + s.Type
			}
			out = append(out, fact{at, plugin}, fact{at + " outcome", strings.TrimSpace(s.Outcome + " " + s.Reason)}, fact{at + " detail", s.Detail},
				fact{at + " made", string(s.Made)}, fact{at + " notes", strings.Join(s.Notes, "; ")})
		}
	}
	return append(out, fact{"remembered for", (time.Duration(e.Cache.StoreS) * time.Second).String()})
}

func takesIt(l admin.ExplainedListener) string {
	if l.Takes {
		return "taken"
	}
	return "not taken: " + l.Why
}

func join(roles []string) string {
	roles = slices.Clone(roles)
	slices.Sort(roles)
	return strings.Join(roles, ", ")
}
