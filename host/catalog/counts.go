package catalog

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// Outcome says how a call ended.
type Outcome string

// The outcomes.
const (
	OutcomeDone        Outcome = "done"
	OutcomeDenied      Outcome = "denied"      // the plugin said no to a caller
	OutcomeFailed      Outcome = "failed"      // the plugin said that it could not, or gave an answer that is none
	OutcomeBusy        Outcome = "busy"        // the plugin did not try, since too much was asked
	OutcomeDeadline    Outcome = "deadline"    // the time was over
	OutcomeAbandoned   Outcome = "abandoned"   // the caller did not wait
	OutcomeLost        Outcome = "lost"        // the process could not be reached, or ended
	OutcomeUnavailable Outcome = "unavailable" // no call was made: the plugin did not run, or its breaker was open
)

var outcomes = [...]Outcome{OutcomeDone, OutcomeDenied, OutcomeFailed, OutcomeBusy, OutcomeDeadline, OutcomeAbandoned, OutcomeLost, OutcomeUnavailable}

// Counts is what was counted of all plugins that had a name, one after the other, for as long as there is the catalog.
type Counts struct {
	Calls    map[Outcome]uint64 // that have ended, of instances; those to configure them are not among them
	Retries  uint64             // calls that were made once more
	Restarts uint64             // processes that took the place of one that had ended
	Dropped  uint64             // lines of the plugin that were not logged, since there were too many
	Openings map[string]uint64  // by part: how often it began to leave another server alone
}

// counts is what is being counted.
type counts struct {
	calls             [len(outcomes)]atomic.Uint64 // by the index of the outcome
	retries, restarts atomic.Uint64
	dropped           atomic.Uint64 // lines
	opened            openings
}

// Counts gives what was counted, by name of the plugin.
func (c *Catalog) Counts() map[string]Counts {
	out := map[string]Counts{}
	c.counted.Range(func(name, v any) bool {
		n := v.(*counts)
		x := Counts{Calls: make(map[Outcome]uint64, len(outcomes)), Retries: n.retries.Load(), Restarts: n.restarts.Load(), Dropped: n.dropped.Load(), Openings: n.opened.all()}
		for i, o := range outcomes {
			x.Calls[o] = n.calls[i].Load()
		}
		out[name.(string)] = x
		return true
	})
	return out
}

// countsOf gives what is counted of the plugins of a name.
func (c *Catalog) countsOf(name string) *counts {
	v, _ := c.counted.LoadOrStore(name, &counts{})
	return v.(*counts)
}

func (n *counts) drop(lines int) { n.dropped.Add(uint64(max(lines, 0))) }

func (n *counts) end(o Outcome) {
	for i, x := range outcomes {
		if x == o {
			n.calls[i].Add(1)
		}
	}
}

// outcomeOf says how a call ended that gave err.
func outcomeOf(ctx context.Context, err error) Outcome {
	switch {
	case err == nil:
		return OutcomeDone
	case sdk.AsDenial(err) != nil:
		return OutcomeDenied
	case errors.Is(err, rpc.ErrLost):
		return OutcomeLost
	case errors.Is(ctx.Err(), context.Canceled):
		return OutcomeAbandoned
	case errors.Is(err, ErrUnavailable):
		return OutcomeUnavailable
	case errors.Is(err, context.DeadlineExceeded):
		return OutcomeDeadline
	case errors.Is(err, sdk.ErrBusy):
		return OutcomeBusy
	}
	return OutcomeFailed
}
