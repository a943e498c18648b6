package catalog

import (
	"time"

	"github.com/realmgate/realmgate/sdk/breaker"
)

// fair is the least time in which a plugin can be expected to answer: that a call which had less was not answered says nothing.
const fair = 100 * time.Millisecond

// stuckAfter is how long a call may go on in a plugin after the host gave it up.
const stuckAfter = time.Second

// learn gives what is to be called with the outcome of a call. Whoever answers works, whatever the answer is. A deadline that
// passes is the fault of the way to the plugin; the plugin itself is at fault only if it does not even let go of what the host
// gave up: a part that waits for a provider does let go. So nobody who has a provider that hangs closes the plugin to others.
// A process that has ended is replaced, and a session that broke is opened again, which is more than a breaker could do; but if
// a call was alone in it, the way to it is at fault.
func (p *supervised) learn(on made, start time.Time, ids []uint64, pass, through breaker.Pass) func(o Outcome, alone bool) {
	x := on.x
	return func(o Outcome, alone bool) {
		result := breaker.Neither
		switch o {
		case OutcomeDone, OutcomeDenied, OutcomeFailed, OutcomeBusy:
			result = breaker.Good
		case OutcomeLost:
			if x.child.Gone() {
				pass.Leave(result)
				through.Leave(badIf(alone))
				return
			}
			go func() { // a connection ends before its process is known to have ended
				select {
				case <-x.child.Exited():
					pass.Leave(breaker.Neither)
					through.Leave(badIf(alone))
				case <-time.After(stuckAfter):
					pass.Leave(badIf(x.sessions.Load() == on.session))
					through.Leave(badIf(alone))
				}
			}()
			return
		case OutcomeDeadline:
			if time.Since(start) < fair {
				break
			}
			through.Leave(breaker.Bad)
			time.AfterFunc(stuckAfter, func() {
				if x.Stuck(stuckAfter/2, ids...) > 0 && !x.child.Gone() {
					pass.Leave(breaker.Bad)
				} else {
					pass.Leave(breaker.Neither)
				}
			})
			return
		}
		pass.Leave(result)
		through.Leave(result)
	}
}

func badIf(bad bool) breaker.Result {
	if bad {
		return breaker.Bad
	}
	return breaker.Neither
}
