package catalog

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/realmgate/realmgate/sdk/breaker"
)

// States are all states, in the order of a life.
var States = [...]State{StateStarting, StateReady, StateFailing, StateBackingOff, StateDraining, StateStopped, StateFailed}

// become changes the state. p.mu is held.
func (p *supervised) become(s State) {
	if p.state != s {
		p.state, p.since = s, time.Now()
	}
}

// wake has those look again who wait for the plugin. p.mu is held.
func (p *supervised) wake() {
	close(p.woken)
	p.woken = make(chan struct{})
}

// ails is what is wrong with a plugin whose process runs.
type ails struct {
	mu    sync.Mutex
	what  string // empty: nothing
	since time.Time
	open  bool // its breaker
	mute  bool // the last probe was not answered

	watches map[*watch]struct{} // that have not ended
}

// watching gives the watches that have not ended.
func (a *ails) watching() []*watch {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Collect(maps.Keys(a.watches))
}

// now gives since when something is wrong, and what; the zero time if nothing is.
func (a *ails) now() (since time.Time, what string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.since, a.what
}

// change changes one of the things that may be wrong.
func (a *ails) change(of *bool, to bool) (changed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if *of == to {
		return false
	}
	*of = to
	switch {
	case a.open:
		a.what = "too many calls in a row failed; it is left alone for a while"
	case a.mute:
		a.what = "it did not answer a probe"
	default:
		a.what, a.since = "", time.Time{}
		return true
	}
	if a.since.IsZero() {
		a.since = time.Now()
	}
	return true
}

// opened notes that the breaker of the plugin opened or closed.
func (p *supervised) opened(open bool) {
	p.ails.change(&p.ails.open, open)
	if open {
		p.trips()
		p.log.Error("plugin fails again and again: its calls are answered unavailable, but for one that is tried now and then")
	} else {
		p.log.Info("plugin can be called again")
	}
}

// probed notes whether a probe of x was answered. A plugin that was left alone, can be reached, and has let go of what the host
// gave up is well again, also if nobody calls it.
func (p *supervised) probed(x *process, answered bool) {
	if answered && p.breaker.Open() && !x.broken() && x.Stuck(0) == 0 {
		if pass, err := p.breaker.Enter(); err == nil { // its rest is over
			pass.Leave(breaker.Good)
		}
	}
	if p.ails.change(&p.ails.mute, !answered) && !answered {
		p.log.Warn("plugin did not answer a probe")
	}
}
