package catalog

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/realmgate/realmgate/sdk/breaker"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// way is how calls get to instances that one process of a plugin serves, in this order.
type way struct {
	p    *supervised
	all  []*instance
	name string // of the one instance, for errors; empty where there are several
	// gate is the breaker of one realm's way, or of one store's; nil if there is none. It opens when the deadline passes again
	// and again, whose fault that may be, or when its calls, alone, end the plugin; nobody else is kept waiting for it.
	gate   *breaker.Breaker
	of     string // whose it is: realm NAME or secret store NAME
	judged bool   // calls that fail speak against the instances, and not only against what was asked of them
	does   method // that its calls are of
}

// method is one of those of an instance whose calls are judged, each by itself: a broker that publishes keys may not be able to
// sign, and anybody can ask for the keys.
type method uint8

const (
	steps  method = iota // the stage of a decision
	issues               // of a token broker
	keys                 // likewise
	methods
)

// methodNames are for messages.
var methodNames = [methods]string{"", " (issue)", " (keys)"}

// newWay gives the way to instances of one plugin.
func newWay(all ...*instance) way {
	w := way{p: all[0].p, all: all}
	if len(all) == 1 {
		w.name = all[0].String() + ": "
	}
	return w
}

// guard gives the way of a realm, or of a secret store, a gate, which is known to the plugin while it is open and the set is.
func (w *way) guard(s *Set, kind, name string) {
	w.of = kind + " " + name
	w.gate = breaker.New(breaker.Config{Moved: func(open bool) {
		if !w.p.ways.move(s, w, open) {
			return
		}
		log := w.p.log.With(strings.ReplaceAll(kind, " ", "_"), name, "parts", w.parts())
		if open {
			log.Error("there was no answer in time too often, or the plugin ended instead: calls are answered unavailable, but for one that is tried now and then")
		} else {
			log.Info("the plugin can be called again")
		}
	}})
}

// parts names the instances.
func (w *way) parts() string {
	all := make([]string, len(w.all))
	for n, i := range w.all {
		all[n] = i.String()
	}
	return strings.Join(all, " ")
}

// ways are those to a plugin whose gates are open, by the set that they are of.
type ways struct {
	mu   sync.Mutex
	open map[*Set]map[*way]struct{}
}

// move notes that a gate opened or closed; false if its set is closed.
func (w *ways) move(s *Set, of *way, open bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-s.closed: // before it is forgotten, which comes later
		return false
	default:
	}
	switch {
	case !open:
		delete(w.open[s], of)
	case w.open[s] == nil:
		w.open[s] = map[*way]struct{}{of: {}}
	default:
		w.open[s][of] = struct{}{}
	}
	return true
}

// retry has each tried by its next call.
func (w *ways) retry() {
	var all []*breaker.Breaker
	w.mu.Lock()
	for _, of := range w.open {
		for x := range of {
			all = append(all, x.gate)
		}
	}
	w.mu.Unlock()
	for _, gate := range all { // which tells w when it moves
		gate.Retry()
	}
}

// forget forgets those of a set that is closed.
func (w *ways) forget(s *Set) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.open, s)
}

// names says whose they are, sorted.
func (w *ways) names() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, of := range w.open {
		for x := range of {
			out = append(out, x.of)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// enter passes the gate, if there is one.
func (w *way) enter() (breaker.Pass, error) {
	if w.gate == nil {
		return breaker.Pass{}, nil
	}
	return w.gate.Enter()
}

// records are those of an instance, by method.
type records [methods]record

// record is how the calls of a method went since the instance was made.
type record struct {
	worked atomic.Bool  // one did what it was to do
	failed atomic.Int64 // so many in a row did not, and that was not the caller's fault
	last   atomic.Pointer[string]
}

// enough is how many calls in a row say that an instance fails.
const enough = 5

// well notes that an instance did what it was to do.
func (r *record) well() {
	if !r.worked.Load() {
		r.worked.Store(true)
	}
	if r.failed.Load() != 0 {
		r.failed.Store(0)
	}
}

// judge tallies a call. In whose hands it was when its time was over, the plugin says as soon as that one lets go of it; if none
// does, nobody knows.
func (w *way) judge(o Outcome, done int, err error) {
	late, ok := errors.AsType[*rpc.UnansweredError](err)
	if o != OutcomeDeadline || !ok {
		w.tally(o, done, o != OutcomeLost, err)
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(w.p.ctx, stuckAfter)
		defer cancel()
		at, known := late.At(ctx)
		w.tally(o, at, known, err)
	}()
}

// tally notes what a call says about each instance: those that have done their part, and the next one if it is known that it failed,
// or else all that are left. A no says nothing: whoever comes with a bad token gets one anywhere.
func (w *way) tally(o Outcome, done int, known bool, err error) {
	failed := w.all[:0]
	switch {
	case o == OutcomeDone:
		done = len(w.all)
	case o == OutcomeFailed, o == OutcomeDeadline && known:
		failed = w.all[done:min(done+1, len(w.all))]
	case o == OutcomeDeadline, o == OutcomeLost:
		failed = w.all[done:]
	}
	for _, i := range w.all[:done] {
		i.records[w.does].well()
	}
	if len(failed) == 0 {
		return
	}
	text := w.p.c.clean(err, w.hide).Error()
	for _, i := range failed {
		r := &i.records[w.does]
		r.last.Store(&text)
		if r.failed.Add(1)%enough == 0 {
			i.p.ailing(i)
		}
	}
}
