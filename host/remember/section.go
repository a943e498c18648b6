package remember

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/maypok86/otter/v2"

	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/sdk"
)

// Section is what one generation remembers; no other one sees it. It is a pipeline.Memory.
type Section struct {
	m      *Memory
	number uint64
	closed atomic.Bool
	alone  sync.Map // realm name to *atomic.Bool, see solitary
}

var _ pipeline.Memory = (*Section)(nil)

// Section gives a section that is empty, for a generation.
func (m *Memory) Section() *Section { return &Section{m: m, number: m.sections.Add(1)} }

// Close forgets what the section remembers. It answers on, and remembers nothing any more.
func (s *Section) Close() {
	s.closed.Store(true)
	for _, space := range [...]*otter.Cache[key, *entry]{s.m.allowed, s.m.denied} {
		for k, e := range space.All() {
			if e.section == s.number {
				space.Invalidate(k)
			}
		}
	}
}

// Decide answers by what is remembered, by the answer to an equal request that is under way, or by the plan.
func (s *Section) Decide(ctx context.Context, p *pipeline.Plan, r sdk.Request) pipeline.Decision {
	m := s.m
	epoch := m.epochs.Epoch(p.Realm())
	if epoch == 0 || !keyed(r) {
		m.counts.passed.Add(1)
		return p.DecideAnew(ctx, r)
	}
	k := m.keys.of(s.number, p.Realm(), r)
	now := m.now()
	if e := m.look(k, epoch, now); e != nil {
		m.counts.memory.Add(1)
		d := own(e.decision)
		d.CacheFor = now.until(e.end)
		return d
	}
	return s.miss(ctx, p, r, k, epoch)
}

// miss decides on a request to which no answer is remembered. All of it has one deadline, which counts from now.
func (s *Section) miss(ctx context.Context, p *pipeline.Plan, r sdk.Request, k key, epoch uint64) pipeline.Decision {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout())
	defer cancel()
	for !s.solitary(p).Load() {
		f, came, first := s.m.flights.join(ctx, flightKey{k, epoch})
		if first {
			return s.lead(f, p, r, k, epoch)
		}
		d, ok := f.wait(ctx)
		switch {
		case !ok: // the caller, or its time, did not wait
			return pipeline.Decision{Realm: p.Realm(), Err: ctx.Err()}
		case d.Alone || d.Verdict != pipeline.Unavailable && d.CacheFor <= 0: // for that request only
			return s.decide(ctx, p, r, k, epoch)
		case f.tells(came, p.Timeout()):
			s.m.counts.shared.Add(1)
			return own(d)
		}
	}
	return s.decide(ctx, p, r, k, epoch)
}

// solitary says whether the last yes of a realm was for one request only, or, before there was one, whether it is to be expected.
// Nobody waits then for that of another one, which would probably be of no use, either.
func (s *Section) solitary(p *pipeline.Plan) *atomic.Bool {
	v, ok := s.alone.Load(p.Realm())
	if !ok {
		first := new(atomic.Bool)
		first.Store(p.Alone())
		v, _ = s.alone.LoadOrStore(p.Realm(), first)
	}
	return v.(*atomic.Bool)
}

// lead decides for all who wait for an equal request.
func (s *Section) lead(f *flight, p *pipeline.Plan, r sdk.Request, k key, epoch uint64) (d pipeline.Decision) {
	m := s.m
	d = pipeline.Decision{Realm: p.Realm(), Err: errEnded} // what the others are told if a panic ends us
	defer func() { m.flights.land(f, flightKey{k, epoch}, own(d)) }()
	begin := m.now()
	if e := m.look(k, epoch, begin); e != nil { // of a flight that has just ended
		m.counts.memory.Add(1)
		d = own(e.decision)
		d.CacheFor = begin.until(e.end)
		return d
	}
	d = s.decide(f.ctx, p, r, k, epoch)
	return d
}

// decide decides, and remembers the answer: only if the epoch is still the one of the request, and for no longer than counts from
// the beginning, since it may be of that moment.
func (s *Section) decide(ctx context.Context, p *pipeline.Plan, r sdk.Request, k key, epoch uint64) pipeline.Decision {
	m := s.m
	begin := m.now()
	d := p.DecideAnew(ctx, r)
	if d.Verdict == pipeline.Allowed { // what is made up does not decide for others
		s.solitary(p).Store(d.CacheFor <= 0)
	}
	if d.CacheFor <= 0 {
		m.counts.unremembered.Add(1)
		return d
	}
	m.counts.plan.Add(1)
	if m.epochs.Epoch(p.Realm()) != epoch {
		return d
	}
	e := &entry{decision: own(d), section: s.number, epoch: epoch, end: begin.add(d.CacheFor)}
	if !d.Expires.IsZero() && d.Expires.Before(e.end.wall) {
		e.end.wall = d.Expires
	}
	if e.weight() > mostWeight {
		return d
	}
	m.keep(k, e)
	if s.closed.Load() { // maybe before it was put there
		m.allowed.Invalidate(k)
		m.denied.Invalidate(k)
	}
	return d
}
