package catalog

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync"

	"github.com/realmgate/realmgate/host/child"
)

// Prepare chooses the plugins of the sources. One that runs already is taken if its source is the same and its binary has
// not changed since; any other one is started, beside what runs. Prepare returns when each has started or failed, or when
// ctx ends. Plugins that failed are among [Set.Failed]; they are tried again for as long as there is a set that has them.
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
	s := &Set{c: c, offers: map[offerKey]*supervised{}, own: map[keptApart]*supervised{}, held: map[*instance]struct{}{}, changed: make(chan struct{}), closed: make(chan struct{})}
	fresh := s.choose(sources)
	var wg sync.WaitGroup
	for _, p := range fresh {
		wg.Go(func() { p.tryNow(ctx) })
	}
	wg.Wait()
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
	c.giveBack(context.WithoutCancel(ctx), clashed)
	s.watch(late)
	return s
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
			go p.run()
		}
		if !p.hasStarted() {
			fresh = append(fresh, p)
		}
		s.chosen = append(s.chosen, p)
	}
	return fresh
}

// running gives a plugin that another set has already, with a holder more; nil if there is none.
func (c *Catalog) running(s Source, i *child.Image) *supervised {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.plugins {
		same := !p.hasStarted() || i != nil && i.Digest() == p.digest
		if p.holders > 0 && !p.stub && same && reflect.DeepEqual(p.src, s) {
			p.holders++
			return p
		}
	}
	return nil
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
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.claim(p, fresh)
	return nil
}
