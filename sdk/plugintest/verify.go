package plugintest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/realmgate/realmgate/sdk/rpc"
)

// Outcome is what became of a check.
type Outcome string

// The outcomes of a [Result].
const (
	OK      Outcome = "ok"
	Failed  Outcome = "failed"
	Skipped Outcome = "skipped"
	Untried Outcome = "untried" // no call of a part was answered: whatever else is said of it, it has not been verified
)

// Result is what became of one check.
type Result struct {
	Kind    string   `json:"kind,omitempty"` // empty: of the plugin as a whole
	Type    string   `json:"type,omitempty"`
	Case    string   `json:"case,omitempty"`
	Check   string   `json:"check"`
	Outcome Outcome  `json:"outcome"`
	Did     string   `json:"did"`           // what the suite did
	Got     []string `json:"got,omitempty"` // what came of it, or why it was skipped
	Rule    string   `json:"rule"`          // what the contract says
}

// Reporter is told of each check, in turn.
type Reporter interface{ Report(Result) }

// Options is how [Verify] goes about it.
type Options struct {
	// Cases gives the cases of a plugin. What it offers beside them is run without settings. nil: there are none.
	Cases func(rpc.Manifest) []Case
	Step  time.Duration // the most that a check takes; zero: 30 s
	// CasesOnly says that a part without a case is no concern: it is tried as far as it can be, and never [Untried].
	CasesOnly bool
}

// Verify runs the suite on a plugin without a test around it. A plugin that ends in the middle is started again. It always
// ends: no check takes longer than its time and some seconds of grace.
func Verify(ctx context.Context, target Target, o Options, r Reporter) {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	if o.Step == 0 {
		o.Step = 30 * time.Second
	}
	n := &notes{}
	defer n.stop()
	v := &verifier{ctx: ctx, to: r, runner: &runner{step: o.Step, notes: n}}
	starts := check{name: "start", did: "started the plugin, asked what it is (Describe), and opened its session", rule: "a process shakes hands in the first line that it prints, in time, and says what it offers"}
	if v.report(starts, Case{}, v.runner.start(ctx, life, target)) != OK {
		return
	}
	s, _ := v.runner.suite()
	m := s.manifest
	var cases []Case
	if o.Cases != nil {
		cases = o.Cases(m)
	}
	v.report(check{name: "manifest", did: "read the manifest", rule: "it has a version, and each settings schema is one of an object without further keys"}, Case{}, checkManifest(m))
	v.report(check{name: "cases", did: "looked for the part of each case among what the plugin offers", rule: "a case is for a part that the plugin offers"}, Case{}, checkOffered(m, cases))
	taken := v.parts(m, cases, o.CasesOnly)
	s, _ = v.runner.suite()
	for _, k := range processChecks {
		k.run = onItsOwn(k.run, taken)
		if k.of == nil || k.of(s, taken) {
			v.check(k, Case{})
		}
	}
	n.stop()
	v.report(check{name: "standard output", did: "read all that the processes printed to it", rule: "the standard output belongs to the handshake: nothing else is printed there"}, Case{}, n.checkStdout())
	v.report(check{name: "questions", did: "answered what the parts asked the host for, as their manifest lets them", rule: "a part asks for the secrets of its settings, and for what its manifest says that it wants"}, Case{}, n.checkAsked())
	v.report(check{name: "secrets", did: "looked for the secrets and tokens that the part was given or made in its log, its errors and its diagnostics", rule: "a plugin repeats no secret"}, Case{}, n.checkSecrecy())
}

func onItsOwn(run func(context.Context, *suite, Case) error, c Case) func(context.Context, *suite, Case) error {
	return func(ctx context.Context, s *suite, _ Case) error { return run(ctx, s, c) }
}

type verifier struct {
	ctx    context.Context
	to     Reporter
	runner *runner
	tried  bool // a call of the part was answered
	failed bool // a check of the part failed
}

// parts verifies each part that is offered, and gives a case of one that answers; one of no kind if there is none.
func (v *verifier) parts(m rpc.Manifest, cases []Case, casesOnly bool) (taken Case) {
	var usable []Case
	for _, o := range m.Offers {
		v.tried, v.failed = false, false
		its, given := casesOf(o, cases)
		for _, c := range its {
			if !v.verify(c) {
				continue
			}
			if usable = append(usable, c); taken.Kind == 0 || taken.tolerant && !c.tolerant {
				taken = c
			}
		}
		k := check{name: "tried", did: "looked whether a call of the part was answered", rule: "what has not been called is not verified"}
		r := Result{Kind: o.Kind.String(), Type: o.Type, Check: k.name, Did: k.did, Rule: k.rule, Got: []string{"no call of it was answered: give a case in which it works"}}
		switch {
		case v.tried || v.failed:
			continue
		case casesOnly && !given:
			r.Outcome, r.Got = Skipped, []string{"no call of it was answered, and there is no case for it"}
		default:
			r.Outcome = Untried
		}
		v.to.Report(r)
	}
	s, _ := v.runner.suite()
	s.cases = usable
	return taken
}

// casesOf gives the cases of a part, complete; one without settings if it has none.
func casesOf(o rpc.Offer, cases []Case) (out []Case, given bool) {
	for _, c := range cases {
		if c.Kind == o.Kind && c.Type == o.Type {
			out = append(out, c)
		}
	}
	if given = len(out) > 0; !given {
		out = []Case{{Kind: o.Kind, Type: o.Type, bare: true}}
	}
	for n := range out {
		out[n].complete(o)
	}
	return out, given
}

// verify runs the checks on one case. False: its settings are not taken, or it cannot be called.
func (v *verifier) verify(c Case) bool {
	settings := check{name: "settings", did: "configured the part with the case's settings", rule: "settings that are right are taken", run: checkSettings}
	if c.bare {
		settings.did = "configured the part without settings, since there is no case for it"
	}
	taken := v.check(settings, c) == OK
	answers := false
	s, _ := v.runner.suite()
	for _, k := range checks {
		switch {
		case k.of != nil && !k.of(s, c):
		case k.name == "call" && taken:
			outcome := v.check(k, c)
			answers, v.tried = outcome != Failed, v.tried || outcome == OK
		case k.raw || answers:
			v.check(k, c)
		case !taken:
			v.report(k, c, lack("it needs settings that are taken"))
		default:
			v.report(k, c, lack("its call fails already"))
		}
	}
	return answers
}

// checkSettings says of settings that nobody gave, or whose secrets are made up, what it cannot say of others: that they are not
// taken proves nothing.
func checkSettings(ctx context.Context, s *suite, c Case) error {
	o, _ := s.offer(c)
	if c.bare {
		var sc schema
		if json.Unmarshal(o.SettingsSchema, &sc) == nil && len(sc.Required) > 0 {
			return lack("give a case with the settings that it needs, in a configuration or a file; required are %s", strings.Join(sc.Required, ", "))
		}
	}
	i, ds, err := s.configure(ctx, c, c.settings())
	if err != nil {
		return err
	}
	refused := faults(ds)
	switch {
	case refused == "":
		return s.release(ctx, i)
	case c.bare:
		return lack("give a case with settings, in a configuration or a file; it is not taken without: %s", refused)
	case c.standIns:
		return lack("give a case with its secrets, in a file; it is not taken with made-up ones: %s", refused)
	}
	return fmt.Errorf("the settings are refused: %s", refused)
}

// check runs one check and reports it.
func (v *verifier) check(k check, c Case) Outcome {
	if v.ctx.Err() != nil {
		return v.report(k, c, lack("the run was stopped"))
	}
	return v.report(k, c, v.runner.run(v.ctx, k, c))
}

// report tells what came of a check. Nothing that the suite knows to be secret gets into it, whoever wrote the text.
func (v *verifier) report(k check, c Case, err error) Outcome {
	r := Result{Type: c.Type, Case: c.Name, Check: k.name, Outcome: OK, Did: k.did, Rule: k.rule}
	if c.Kind != 0 {
		r.Kind = c.Kind.String()
	}
	if err != nil {
		r.Got = strings.Split(v.runner.notes.masked(err.Error()), "\n")
		if r.Outcome = Failed; lacksOnly(err) {
			r.Outcome = Skipped
		}
	}
	v.failed = v.failed || r.Outcome == Failed
	v.to.Report(r)
	return r.Outcome
}
