package remember

import (
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/realmgate/realmgate/host/pipeline"
)

// Epochs gives the number that moves with every change of a realm, 0 while nothing may be remembered;
// *directory.Directory does.
type Epochs interface {
	Epoch(realm string) uint64
}

// Limits bound a memory, in bytes: of allowed decisions and of denied ones. They are kept by an estimate of what each takes.
type Limits struct{ Allowed, Denied uint64 }

// Memory is what a daemon remembers. It is safe for concurrent use.
type Memory struct {
	epochs   Epochs
	now      func() moment
	keys     keys
	allowed  *otter.Cache[key, *entry]
	denied   *otter.Cache[key, *entry]
	flights  flights
	sections atomic.Uint64
	counts   counts
}

// New gives a memory without memories.
func New(l Limits, epochs Epochs) *Memory { return newMemory(l, epochs, clock()) }

func newMemory(l Limits, epochs Epochs, now func() moment) *Memory {
	left := otter.ExpiryWritingFunc(func(e otter.Entry[key, *entry]) time.Duration { return max(now().until(e.Value.end), 1) })
	space := func(most uint64) *otter.Cache[key, *entry] {
		return otter.Must(&otter.Options[key, *entry]{
			MaximumWeight: most, Weigher: func(_ key, e *entry) uint32 { return e.weight() },
			ExpiryCalculator: left, Clock: ticker(now), // so that what is over keeps nothing out that is of use
		})
	}
	return &Memory{
		epochs: epochs, now: now, keys: newKeys(), allowed: space(l.Allowed), denied: space(l.Denied),
		flights: flights{now: now, running: map[flightKey]*flight{}},
	}
}

// Limit sets other limits. What is then too much goes, the least useful first.
func (m *Memory) Limit(l Limits) {
	m.allowed.SetMaximum(l.Allowed)
	m.denied.SetMaximum(l.Denied)
}

// counts are how requests were answered.
type counts struct{ memory, shared, plan, unremembered, passed atomic.Uint64 }

// Stats says how requests were answered, and what is kept.
type Stats struct {
	// Memory were answered by what was remembered, Shared by the answer to an equal request that was under way, and the others
	// by deciding: Plan where the answer may be remembered, Unremembered where it may not, Passed where none can be.
	Memory, Shared, Plan, Unremembered, Passed uint64
	AllowedEntries, DeniedEntries              int
	AllowedBytes, DeniedBytes                  uint64 // estimated
}

// Stats gives the numbers of the moment.
func (m *Memory) Stats() Stats {
	return Stats{
		Memory: m.counts.memory.Load(), Shared: m.counts.shared.Load(), Plan: m.counts.plan.Load(),
		Unremembered: m.counts.unremembered.Load(), Passed: m.counts.passed.Load(),
		AllowedEntries: m.allowed.EstimatedSize(), DeniedEntries: m.denied.EstimatedSize(),
		AllowedBytes: m.allowed.WeightedSize(), DeniedBytes: m.denied.WeightedSize(),
	}
}

// look gives what is remembered under a key and still holds in an epoch.
func (m *Memory) look(k key, epoch uint64, now moment) *entry {
	for _, space := range [...]*otter.Cache[key, *entry]{m.allowed, m.denied} {
		e, ok := space.GetIfPresent(k)
		switch {
		case !ok || e.epoch != epoch:
		case now.before(e.end):
			return e
		default:
			space.Invalidate(k)
		}
	}
	return nil
}

// keep remembers an answer in the place of any other to the same request.
func (m *Memory) keep(k key, e *entry) {
	space, other := m.denied, m.allowed
	if e.decision.Verdict == pipeline.Allowed {
		space, other = m.allowed, m.denied
	}
	space.Set(k, e)
	other.Invalidate(k)
}
