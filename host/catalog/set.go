package catalog

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// Set is a choice of plugins that never changes, made by [Catalog.Prepare]: what a configuration is built on. It is safe for
// concurrent use. Sets share the plugins that they have in common, and must be closed.
type Set struct {
	c       *Catalog
	chosen  []*supervised // in the order of the sources; those that failed included
	offers  map[offerKey]*supervised
	failed  []error
	started []start // guarded by c.mu
	changed chan struct{}
	closed  chan struct{}
	once    sync.Once
	// admitted are those that the set offers something of; never changed after Prepare.
	admitted map[*supervised]bool

	mu       sync.Mutex
	own      map[keptApart]*supervised // processes of single realms; they are in chosen
	from     map[*supervised]Source    // what was asked for, with the pin of this set
	begun    []string                  // see Begun
	unshared bool
	active   bool                   // once
	held     map[*instance]struct{} // that it has and has not released
}

type offerKey struct {
	kind sdk.Kind
	typ  string
}

// start is a plugin that no set had before, and the process that it has to prove itself with.
type start struct {
	p *supervised
	x *process
}

// Failed gives why plugins of the set did not start, in the order of the sources. It does not change when one starts later.
func (s *Set) Failed() []error { return slices.Clone(s.failed) }

// Fresh gives the names of the plugins that the set is the first to have, in the order of the sources. One that was closed
// without having been activated does not count.
func (s *Set) Fresh() []string {
	var out []string
	for _, f := range s.starts() {
		if !slices.Contains(out, f.p.src.Name) {
			out = append(out, f.p.src.Name)
		}
	}
	return out
}

// Begun gives the plugins of which processes were begun for the set, as [Changes] names them: those that others had not, whether
// they came up or not.
func (s *Set) Begun() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.begun)
}

// Changed gives a channel that is closed when a plugin of the set that had not started has started after all. The set goes
// on without it: the next one has it.
func (s *Set) Changed() <-chan struct{} { return s.changed }

// watch closes changed when one of the plugins starts; it ends with the set.
func (s *Set) watch(late []*supervised) {
	changed := sync.OnceFunc(func() { close(s.changed) })
	for _, p := range late {
		go func() {
			select {
			case <-p.started:
				changed()
			case <-p.done:
			case <-s.closed:
			}
		}()
	}
}

// Close gives the set back; the instances that were configured on it are released. A plugin that no other set has ends when
// the calls have ended that are under way, at the latest when ctx ends. Close returns when it has.
func (s *Set) Close(ctx context.Context) {
	s.once.Do(func() {
		close(s.closed)
		s.disown()
		s.mu.Lock()
		chosen := slices.Clone(s.chosen)
		s.mu.Unlock()
		given := s.takeAll()
		var wg sync.WaitGroup
		for _, p := range chosen { // each by itself: one that hangs keeps no other one
			wg.Go(func() {
				p.ways.forget(s)
				s.releaseOf(ctx, p, given[p])
				s.c.giveBack(ctx, p)
			})
		}
		wg.Wait()
	})
}

// disown leaves plugins to the next set to be the first that has them, if this one never served.
func (s *Set) disown() {
	s.mu.Lock()
	active := s.active
	s.mu.Unlock()
	if active {
		return
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	for _, f := range s.started {
		f.p.had = false
	}
}

// giveBack takes one holder away from a plugin and ends it if it has none left.
func (c *Catalog) giveBack(ctx context.Context, p *supervised) {
	c.mu.Lock()
	p.holders--
	last := p.holders == 0
	c.mu.Unlock()
	if last {
		p.end(ctx)
		c.unlist(p)
	}
}

// unlist forgets a plugin that has ended. What Close stopped stays listed.
func (c *Catalog) unlist(p *supervised) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() == nil {
		c.plugins = slices.DeleteFunc(c.plugins, func(o *supervised) bool { return o == p })
	}
}

// succeeded says whether another process of a plugin's name and owner goes on.
func (c *Catalog) succeeded(p *supervised) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.ContainsFunc(c.plugins, func(o *supervised) bool {
		return o != p && o.holders > 0 && o.src.title() == p.src.title() && o.hasStarted()
	})
}

// drainInterval is the pause between two looks at the calls that are under way.
const drainInterval = 10 * time.Millisecond

// end stops a plugin when its calls have ended, or when ctx ends.
func (p *supervised) end(ctx context.Context) {
	p.mu.Lock()
	p.drains = time.Now()
	x := p.live
	p.mu.Unlock()
	for x != nil && x.Calls() > 0 && !x.child.Gone() && pause(ctx, drainInterval) && p.ctx.Err() == nil {
	}
	if x != nil && p.c.ctx.Err() == nil {
		why := "no configuration has it any more"
		if p.c.succeeded(p) {
			why = "another process serves in its place"
		}
		p.log.Info("plugin stops: "+why, "pid", x.child.PID())
	}
	p.cancel()
	defer context.AfterFunc(ctx, p.rush)()
	<-p.done
}
