package rpc

import (
	"slices"
	"sync"
	"time"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"
)

// leftLegs are the legs of a session that were given up and of which the plugin has not said that they ended.
type leftLegs struct {
	mu sync.Mutex
	m  map[uint64]leftLeg // by id
}

type leftLeg struct {
	since time.Time
	steps []Step
	at    chan<- uint32 // the step that had the time; has room for the one
}

// add notes a leg. The channel gets the step that had the time, if the plugin says so, and is closed when the leg has ended; nil
// if nobody will know.
func (l *leftLegs) add(id uint64, steps []Step) <-chan uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.m == nil {
		l.m = map[uint64]leftLeg{}
	}
	if len(l.m) >= maxServedLegs { // the plugin takes no more either
		return nil
	}
	at := make(chan uint32, 1)
	l.m[id] = leftLeg{since: time.Now(), steps: steps, at: at}
	return at
}

// remove forgets a leg that has ended with a result.
func (l *leftLegs) remove(r *pluginv1.LegResult) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if leg, ok := l.m[r.GetId()]; ok {
		if r.GetLate() {
			leg.at <- r.GetStepsDone()
		}
		close(leg.at)
		delete(l.m, r.GetId())
	}
}

func (l *leftLegs) count(longer time.Duration, instances []uint64) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, leg := range l.m {
		of := len(instances) == 0 || slices.ContainsFunc(leg.steps, func(s Step) bool { return slices.Contains(instances, s.Instance) })
		if of && time.Since(leg.since) >= longer {
			n++
		}
	}
	return n
}

// Stuck counts the legs on the current session that were given up at least that long ago and of which the plugin has not
// said that they ended: those of the instances, or all. Each costs the plugin what it holds, and past some thousands it
// takes no more legs at all: a process in which they gather is to be replaced.
func (p *Process) Stuck(longer time.Duration, instances ...uint64) int {
	if s := p.session.Load(); s != nil {
		return s.left.count(longer, instances)
	}
	return 0
}
