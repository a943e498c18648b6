package catalog

import (
	"context"
	"slices"
	"sync"

	"github.com/realmgate/realmgate/sdk/rpc"
)

// keep notes what the set has.
func (s *Set) keep(hs []Handle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range hs {
		if h.inst != nil {
			s.held[h.inst] = struct{}{}
		}
	}
}

// Release gives instances of the set back; zero handles are passed over, and those that it does not have. One that no other
// set has ends; calls that are under way on it finish first.
func (s *Set) Release(ctx context.Context, hs []Handle) {
	s.mu.Lock()
	for _, h := range hs {
		delete(s.held, h.inst)
	}
	s.mu.Unlock()
	given := map[*supervised][]*instance{}
	for _, h := range hs {
		if h.inst != nil {
			given[h.inst.p] = append(given[h.inst.p], h.inst)
		}
	}
	var wg sync.WaitGroup
	for p, all := range given {
		wg.Go(func() { s.releaseOf(ctx, p, all) })
	}
	wg.Wait()
}

// releaseOf is Release for instances of one plugin.
func (s *Set) releaseOf(ctx context.Context, p *supervised, all []*instance) {
	ctx = context.WithoutCancel(ctx) // whoever gives up still gives back
	for x, ids := range p.drop(s, all) {
		p.release(ctx, x, ids)
	}
}

// takeAll takes all that the set has from it, and gives it by plugin.
func (s *Set) takeAll() map[*supervised][]*instance {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[*supervised][]*instance{}
	for i := range s.held {
		out[i.p] = append(out[i.p], i)
	}
	clear(s.held)
	return out
}

// unbind takes instances out of use for good, whoever has them, and gives their ids, by process.
func (p *supervised) unbind(all []*instance) map[*process][]uint64 {
	ids := map[*process][]uint64{}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, i := range all {
		i.life = released
		if b := i.bound.Swap(nil); b != nil {
			ids[b.x] = append(ids[b.x], b.id)
		}
	}
	return ids
}

// drop takes instances from a set, and out of use where it was the last one that had them. It gives their ids, by process.
func (p *supervised) drop(s *Set, all []*instance) map[*process][]uint64 {
	ids := map[*process][]uint64{}
	p.mu.Lock()
	defer p.mu.Unlock()
	gone := map[*instance]bool{}
	for _, i := range all {
		if !i.drop(s) {
			continue
		}
		gone[i], i.life = true, released
		if p.known[i.mark] == i {
			delete(p.known, i.mark)
		}
		if b := i.bound.Swap(nil); b != nil {
			ids[b.x] = append(ids[b.x], b.id)
		}
	}
	p.instances = slices.DeleteFunc(p.instances, func(i *instance) bool { return gone[i] })
	return ids
}

// forget releases what a process may have configured although nobody wants it any more.
func (p *supervised) forget(ctx context.Context, x *process, specs []rpc.Instance) {
	if x == nil || len(specs) == 0 {
		return
	}
	ids := make([]uint64, len(specs))
	for n, s := range specs {
		ids[n] = s.ID
	}
	p.release(context.WithoutCancel(ctx), x, ids)
}

// release tells a process that instances have no further use. A process that does not answer loses them with its life.
func (p *supervised) release(ctx context.Context, x *process, ids []uint64) {
	ctx, cancel := context.WithTimeout(ctx, p.c.opts.DescribeTimeout)
	defer cancel()
	if err := x.Release(ctx, ids); err != nil && !x.child.Gone() {
		p.log.Warn("instances could not be released", "error", p.c.clean(err, asIs))
	}
	for _, id := range ids {
		p.calls.Delete(id)
	}
}
