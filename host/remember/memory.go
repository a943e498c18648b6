package remember

import (
	"sync/atomic"

	"github.com/maypok86/otter/v2"
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
	keys     *keys
	allowed  *otter.Cache[key, *entry]
	denied   *otter.Cache[key, *entry]
	flights  flights
	sections atomic.Uint64
	counts   counts
}

// New gives a memory without memories.
func New(l Limits, epochs Epochs) *Memory {
	space := func(most uint64) *otter.Cache[key, *entry] {
		return otter.Must(&otter.Options[key, *entry]{
			MaximumWeight: most, Weigher: func(_ key, e *entry) uint32 { return e.weight() },
		})
	}
	return &Memory{
		epochs: epochs, now: clock(), keys: newKeys(), allowed: space(l.Allowed), denied: space(l.Denied),
		flights: flights{running: map[key]*flight{}},
	}
}

// Limit sets other limits. What is then too much goes, the least useful first.
func (m *Memory) Limit(l Limits) {
	m.allowed.SetMaximum(l.Allowed)
	m.denied.SetMaximum(l.Denied)
}

// counts are how requests were answered.
type counts struct{ memory, shared, plan, passed atomic.Uint64 }

// Stats says how requests were answered, and what is kept.
type Stats struct {
	// Memory were answered by what was remembered, Shared by the answer to an equal request that was under way, Plan by
	// deciding, and Passed likewise, since they cannot be remembered.
	Memory, Shared, Plan, Passed  uint64
	AllowedEntries, DeniedEntries int
	AllowedBytes, DeniedBytes     uint64 // estimated
}

// Stats gives the numbers of the moment.
func (m *Memory) Stats() Stats {
	return Stats{
		Memory: m.counts.memory.Load(), Shared: m.counts.shared.Load(), Plan: m.counts.plan.Load(), Passed: m.counts.passed.Load(),
		AllowedEntries: m.allowed.EstimatedSize(), DeniedEntries: m.denied.EstimatedSize(),
		AllowedBytes: m.allowed.WeightedSize(), DeniedBytes: m.denied.WeightedSize(),
	}
}

// look gives what is remembered under a key and still holds.
func (m *Memory) look(k key, now moment) *entry {
	for _, space := range [...]*otter.Cache[key, *entry]{m.allowed, m.denied} {
		e, ok := space.GetIfPresent(k)
		switch {
		case !ok:
		case now.before(e.end):
			return e
		default:
			space.Invalidate(k)
		}
	}
	return nil
}
