package plugintest

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/realmgate/realmgate/sdk"
)

// record is what an instance answered in the course of a case's call. It is safe for concurrent use.
type record struct {
	mu    sync.Mutex
	said  []said
	texts bool // not all are of stages
}

// add notes an answer other than a stage's; the text is of one without an error. Nil notes nothing.
func (r *record) add(text string, err error) { r.note(sdk.State{}, text, err, false) }

// step notes the answer of a stage.
func (r *record) step(st sdk.State, err error) { r.note(st, "", err, true) }

func (r *record) note(st sdk.State, text string, err error, stage bool) {
	if r == nil {
		return
	}
	made, ok := outcome(&st, err)
	if !ok {
		made = said{reason: "a failure"}
	}
	if err == nil {
		made.text = text
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said, r.texts = append(r.said, made), r.texts || !stage
}

// answers makes the case's call and gives what was answered.
func (i *Instance) answers(ctx context.Context) ([]said, error) {
	own := *i
	own.record = &record{}
	err := own.c.works(ctx, &own)
	if own.record.texts { // calls that are no stages' may be made in any order
		slices.SortFunc(own.record.said, func(a, b said) int {
			return cmp.Or(strings.Compare(a.reason, b.reason), strings.Compare(a.text, b.text))
		})
	}
	return own.record.said, err
}

// heardIn is answers, and gives what stages were asked as well.
func (i *Instance) heardIn(ctx context.Context) (answers []said, asked []sdk.State, err error) {
	var mu sync.Mutex
	own := *i
	own.asked = func(st sdk.State) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, st)
	}
	answers, err = own.answers(ctx)
	return answers, asked, err
}

// repeat gives a call that asks stages what they were asked before. A case's own call knows the right answers for its own settings
// and directory only.
func repeat(asked []sdk.State) func(context.Context, *Instance) error {
	return func(ctx context.Context, i *Instance) error {
		var faults []error
		for _, st := range asked {
			faults = append(faults, (&Case{tolerant: true}).judge(i.Step(ctx, &st)))
		}
		return errors.Join(faults...)
	}
}

// apart names what is not the same in two records; empty: nothing. Of what differs each time anyway only whether it was a yes counts.
func apart(a, b []said, steady bool) string {
	if len(a) != len(b) {
		return "how often it was asked"
	}
	for n, x := range a {
		y := b[n]
		if x.reason != y.reason {
			return "the answer: " + x.reason + ", and " + y.reason
		}
		if !steady {
			continue
		}
		if at := differing(x.state, y.state); at != "" {
			return at
		}
		if x.text != y.text {
			return "the value"
		}
	}
	return ""
}

// properties gives credentials as one text, to be compared.
func properties(c sdk.ConnectionCredentials) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(c.Properties)) {
		out = append(out, name+"="+string(c.Properties[name].Reveal()))
	}
	return strings.Join(out, "\n")
}

// inOrders has two of something asked about the same subject, once in each order: what the second one answers must not depend on what
// the first one was asked. Subjects are new each time; ask gives an answer in which they count as equal.
func inOrders(ask func(n int, subject string) (string, error)) error {
	var answers [2][2]string // by order, by who is asked
	for order := range answers {
		subject := newSubject()
		for turn := range 2 {
			n := (turn + order) % 2
			answer, err := ask(n, subject)
			if d := sdk.AsDenial(err); d != nil {
				answer, err = "denied: "+d.Reason, nil
			}
			if err != nil {
				return err
			}
			answers[order][n] = strings.ReplaceAll(answer, subject, "*")
		}
	}
	for n := range 2 {
		if answers[0][n] != answers[1][n] {
			return errAfter
		}
	}
	return nil
}

// errAfter says that an answer depends on what came before.
var errAfter = errors.New("the answer depends on what was answered before, for the same subject")
