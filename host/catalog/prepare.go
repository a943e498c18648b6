package catalog

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync"

	"github.com/realmgate/realmgate/host/child"
)

// Prepare chooses the plugins of the sources. One that runs already is taken if its source is the same but for
// its Pin, its binary has not changed since, and the pin lets it run as it is; any other one is started, beside what
// runs. Prepare returns when each has started or failed, or when
// ctx ends. Plugins that failed are among [Set.Failed], which it is for the caller to tell of; they are tried again for as long as there is a set that has them.
//
// Sources count in their order: where two offer the same kind and type, or have the same name, the later one is refused,
// except that one which is not bundled replaces a bundled one of its name.
func (c *Catalog) Prepare(ctx context.Context, sources []Source) *Set {
	c.prepare.Lock()
	defer c.prepare.Unlock()
	sources = slices.Clone(sources)
	for n := range sources {
		sources[n].Others = sources[n].User != nil || sources[n].PerRealm != nil
	}
	s := c.newSet()
	fresh := s.choose(sources)
	var wg sync.WaitGroup
	for _, p := range fresh {
		wg.Go(func() { p.tryNow(ctx) })
	}
	wg.Wait()
	s.settle(ctx, fresh)
	return s
}

func (c *Catalog) newSet() *Set {
	return &Set{
		c: c, offers: map[offerKey]*supervised{}, own: map[keptApart]*supervised{}, from: map[*supervised]Source{}, admitted: map[*supervised]bool{},
		held: map[*instance]struct{}{}, changed: make(chan struct{}), closed: make(chan struct{}),
	}
}

// Again gives a further set of the same plugins: the very processes, whatever has come to be on disk meanwhile. It has those that
// started after the set was made; nothing is started for it.
func (s *Set) Again(ctx context.Context) *Set {
	s.c.prepare.Lock()
	defer s.c.prepare.Unlock()
	out := s.c.newSet()
	s.mu.Lock()
	s.c.mu.Lock()
	for _, p := range s.chosen {
		if p.src.owner == "" { // those of single realms come with their instances
			p.holders++
			out.chosen, out.from[p] = append(out.chosen, p), s.from[p]
		}
	}
	s.c.mu.Unlock()
	s.mu.Unlock()
	out.settle(ctx, nil)
	return out
}

// settle sorts what was chosen into what serves, what comes late and what clashes.
func (s *Set) settle(ctx context.Context, fresh []*supervised) {
	c := s.c
	var late, clashed []*supervised
	for n, p := range s.chosen {
		switch {
		case p.stub:
			s.failed = append(s.failed, p.err)
		case !p.hasStarted():
			s.failed = append(s.failed, p.notStarted(ctx))
			late = append(late, p)
		default:
			if err := s.admit(p, slices.Contains(fresh, p)); err != nil {
				s.failed = append(s.failed, err)
				clashed = append(clashed, p)
				s.chosen[n] = c.hold(c.newStub(p.src, err))
			}
		}
	}
	var wg sync.WaitGroup
	for _, p := range clashed {
		wg.Go(func() { c.giveBack(context.WithoutCancel(ctx), p) })
	}
	wg.Wait()
	s.watch(late)
}

// choose takes or makes a plugin for each source. It gives those that have not started yet.
func (s *Set) choose(sources []Source) (fresh []*supervised) {
	images := make([]*child.Image, len(sources))
	var wg sync.WaitGroup
	for n, src := range sources {
		wg.Go(func() { images[n], _ = child.Load(src.Program) }) // what cannot be loaded does not start, and says so then
	}
	wg.Wait()
	defer func() {
		for _, i := range images {
			if i != nil {
				i.Close()
			}
		}
	}()
	for n, src := range sources {
		if src.Bundled && slices.ContainsFunc(sources, func(o Source) bool { return !o.Bundled && o.Name == src.Name }) {
			continue
		}
		first := slices.IndexFunc(sources, func(o Source) bool { return o.Name == src.Name && o.Bundled == src.Bundled })
		if first < n {
			s.chosen = append(s.chosen, s.c.hold(s.c.newStub(src, &StartError{Plugin: src.Name, Path: src.Path, Reason: ReasonClash,
				Detail: fmt.Sprintf("has the same name as %s", sources[first].Path)})))
			continue
		}
		p := s.c.running(src, images[n])
		if p == nil {
			p = s.c.hold(s.c.newSupervised(src))
			p.image, images[n] = images[n], nil
			s.begun = append(s.begun, p.src.title())
			go p.run()
		}
		if !p.hasStarted() {
			fresh = append(fresh, p)
		}
		s.chosen, s.from[p] = append(s.chosen, p), src
	}
	return fresh
}

// running gives a plugin that another set has already, with a holder more; nil if there is none.
func (c *Catalog) running(s Source, i *child.Image) *supervised {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.plugins {
		if p.holders > 0 && !p.stub && !p.unfit && p.src.Same(s) && p.fits(s.Pin, i) {
			p.holders++
			return p
		}
	}
	return nil
}

// fits says whether a plugin is what is asked for: one that has started runs the image, and as a lock file has it; one that has
// not is tried by the same rule.
func (p *supervised) fits(pin *Pin, i *child.Image) bool {
	if !p.hasStarted() {
		return reflect.DeepEqual(p.src.Pin, pin)
	}
	if i == nil || i.Digest() != p.digest || pin.image(p.digest) != nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return pin.manifest(p.manifest) == nil
}

// hold lists a new plugin, with its first holder.
func (c *Catalog) hold(p *supervised) *supervised {
	c.mu.Lock()
	defer c.mu.Unlock()
	p.holders = 1
	c.plugins = append(c.plugins, p)
	return p
}

// notStarted says why a plugin has not started.
func (p *supervised) notStarted(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return p.err
	}
	err := ctx.Err()
	if err == nil {
		err = errClosed
	}
	return &StartError{Plugin: p.src.Name, Path: p.src.Path, Reason: child.ReasonStopped, Detail: "was stopped before it was ready", Err: err}
}

// proof gives the process by which a plugin is judged that nobody had before: the first one, also if it has ended since, of one
// that was started just now; the current one of one that took longer, perhaps with several tries.
func (p *supervised) proof(fresh bool) *process {
	p.mu.Lock()
	defer p.mu.Unlock()
	if fresh || p.live == nil {
		return p.came
	}
	return p.live
}

// admit takes what a plugin offers into the set, unless it is taken.
func (s *Set) admit(p *supervised, fresh bool) error {
	p.mu.Lock()
	offers := p.manifest.Offers
	p.mu.Unlock()
	for _, o := range offers {
		if other := s.offers[offerKey{o.Kind, o.Type}]; other != nil {
			return &StartError{Plugin: p.src.Name, Path: p.src.Path, Reason: ReasonClash,
				Detail: fmt.Sprintf("offers the %v of type %q, which plugin %s (%s) offers already", o.Kind, o.Type, other.src.Name, other.src.Path)}
		}
	}
	for _, o := range offers {
		s.offers[offerKey{o.Kind, o.Type}] = p
	}
	s.admitted[p] = true
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.claim(p, fresh)
	return nil
}
