package catalog

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// letGo releases every instance of every plugin, so that parts end what they have elsewhere (sessions, leases) before their
// process does. Those that were configured first go last: others may have needed them for that. A plugin that takes too long is
// not waited for again, so that it takes no time from the others; at least half of the time that ctx has is left to what comes
// after.
func (c *Catalog) letGo(ctx context.Context) {
	end := time.Now().Add(longest)
	if d, ok := ctx.Deadline(); ok && time.Until(d)/2 < longest {
		end = time.Now().Add(time.Until(d) / 2)
	}
	ctx, cancel := context.WithDeadline(ctx, end)
	var under sync.WaitGroup
	defer under.Wait() // what was not waited for above ends with ctx
	defer cancel()
	groups := c.groupsOf()
	left, last := len(groups), map[*supervised]<-chan struct{}{} // of each plugin what was begun last
	slow := map[*supervised]bool{}
	for _, g := range slices.Backward(slices.Sorted(maps.Keys(groups))) {
		for p, all := range groups[g] {
			last[p] = p.letGo(ctx, &under, last[p], all)
		}
		patience := time.NewTimer(min(time.Until(end)/time.Duration(left), c.opts.DescribeTimeout))
		for p := range groups[g] {
			if slow[p] {
				continue
			}
			select {
			case <-last[p]:
			case <-patience.C:
				patience.Reset(0) // for the others of the group, too
				select {
				case <-last[p]:
				default:
					slow[p] = true
					p.log.Warn("plugin does not release its instances in time; it is not waited for")
				}
			}
		}
		patience.Stop()
		left--
	}
}

// groupsOf gives all instances by the call of Configure that they came with, and by plugin.
func (c *Catalog) groupsOf() map[uint64]map[*supervised][]*instance {
	c.mu.RLock()
	plugins := slices.Clone(c.plugins)
	c.mu.RUnlock()
	out := map[uint64]map[*supervised][]*instance{}
	for _, p := range plugins {
		p.mu.Lock()
		for _, i := range p.instances {
			if out[i.group] == nil {
				out[i.group] = map[*supervised][]*instance{}
			}
			out[i.group][p] = append(out[i.group][p], i)
		}
		p.mu.Unlock()
	}
	return out
}

// letGo releases instances of one plugin when what came before them is released, and gives what is closed when it has.
func (p *supervised) letGo(ctx context.Context, under *sync.WaitGroup, before <-chan struct{}, all []*instance) <-chan struct{} {
	done := make(chan struct{})
	under.Go(func() {
		defer close(done)
		if before != nil {
			<-before // ends with ctx
		}
		for x, ids := range p.unbind(all) {
			p.release(ctx, x, ids)
		}
	})
	return done
}
