package catalog

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Healthy watches the plugins that the set is the first to have for as long as window, and says what is wrong with them: nil
// if every process lived through it and answered, and callers are not worse off than with what serves until then: the breaker of
// no plugin opened, and of no instance each call fails that one in its place did not fail before. An instance that could not be
// built when the window began was accepted as it is. What is wrong is a [*StartError] or, since ctx ends it early, the end of ctx.
func (s *Set) Healthy(ctx context.Context, window time.Duration) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	end := time.Now().Add(window)
	started := s.starts()
	found := make(chan error, len(started))
	for _, f := range started {
		go func() {
			err := f.healthy(ctx, end)
			if err != nil && ctx.Err() == nil {
				s.c.doubt(f.p)
			}
			found <- err
		}()
	}
	var first error
	for range started {
		if err := <-found; err != nil && first == nil {
			first = err
			cancel()
		}
	}
	if first != nil {
		s.c.unproven(started)
	}
	return first
}

// doubt notes that a plugin did not stay well: no further set takes it.
func (c *Catalog) doubt(p *supervised) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p.unfit = true
}

// unproven has plugins prove themselves anew in whatever set they are in next: they were not watched to the end.
func (c *Catalog) unproven(all []start) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range all {
		f.p.had = false
	}
}

// healthy is Healthy for one plugin.
func (f start) healthy(ctx context.Context, end time.Time) error {
	p, x, o := f.p, f.x, f.p.c.opts
	for misses := 0; ; {
		if err := f.called(ctx, min(time.Until(end), o.ProbeInterval)); err != nil {
			return err
		}
		if x.answers(ctx, o.DescribeTimeout) {
			misses = 0
		} else if misses++; ctx.Err() != nil {
			return ctx.Err()
		}
		switch over := time.Until(end) <= 0; {
		case x.child.Gone():
			return p.unwell(x.child.Ended().Error())
		case misses >= maxMisses:
			return p.unwell("the process does not answer")
		case over && misses == 0: // else it is asked once more
			return nil
		}
	}
}

// called looks for a time at what becomes of the calls. It returns earlier if the process ends, which is no error of it.
func (f start) called(ctx context.Context, d time.Duration) error {
	over := time.NewTimer(d)
	defer over.Stop()
	for {
		if f.p.ails.tripped.Load() {
			return f.p.unwell("too many calls in a row did not reach it, or were not let go of")
		}
		select {
		case <-over.C:
			return nil
		case <-f.x.child.Exited():
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case i := <-f.p.ails.told:
			if i != nil && f.p.c.worse(i) {
				return f.p.unwell(fmt.Sprintf("every call of its %v fails, the last one with: %s", i.title(), *i.record.last.Load()))
			}
		}
	}
}

// worse says whether each call of an instance fails, while there is one in its place whose calls do not: a provider that is down
// is no reason to go back.
func (c *Catalog) worse(i *instance) bool {
	if i.record.worked.Load() || i.record.failed.Load() < enough {
		return false
	}
	c.mu.RLock()
	others := slices.Clone(c.plugins)
	c.mu.RUnlock()
	return slices.ContainsFunc(others, func(p *supervised) bool {
		if p == i.p {
			return false
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		return slices.ContainsFunc(p.instances, func(o *instance) bool { return o.replaced(i) && o.record.failed.Load() < enough })
	})
}

// replaced says whether another instance does for a realm, a tenant, a store or a way to authenticate what i did.
func (i *instance) replaced(by *instance) bool {
	a, b := &i.in.Setup, &by.in.Setup
	return i.in.Kind == by.in.Kind && a.Tenant == b.Tenant && a.Store == b.Store && a.AuthenticationType == b.AuthenticationType &&
		(a.Realm == b.Realm || a.Realm == "" || b.Realm == "") // with per_realm there is one for each
}

// title names an instance and whose it is.
func (i *instance) title() string {
	if of := i.whose(); len(of) == 2 {
		return fmt.Sprintf("%v of %v %v", i, of[0], of[1])
	}
	return i.String()
}

func (p *supervised) unwell(why string) error {
	return &StartError{Plugin: p.src.Name, For: p.src.owner, Path: p.src.Path, Reason: ReasonUnwell, Detail: "started, but did not stay well: " + why}
}
