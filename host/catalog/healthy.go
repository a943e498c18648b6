package catalog

import (
	"context"
	"fmt"
	"time"
)

// Healthy watches the plugins that the set is the first to have for as long as window, and says what is wrong with them: nil
// if every process lived through it and answered, and callers are not worse off than with former, the set that was switched from:
// the breaker of no plugin opened, and of no stage of a decision and no token broker each call of a method fails where that of one in its
// place, of former, did what it was to do when it was asked last. former is nil if there is none. An instance that could not be
// built when the window began was accepted as it is. What is wrong is a [*StartError] or, since ctx ends it early, the end of ctx.
func (s *Set) Healthy(ctx context.Context, former *Set, window time.Duration) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	end := time.Now().Add(window)
	started := s.starts()
	found := make(chan error, len(started))
	for _, f := range started {
		go func() {
			w := f.p.watched(s, former)
			defer w.end()
			err := w.healthy(ctx, f.x, end)
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

// doubt notes that a plugin did not stay well: no further set takes it, and no process takes the place of one that ends.
func (c *Catalog) doubt(p *supervised) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p.unfit = true
}

// doubts says whether a plugin did not stay well.
func (c *Catalog) doubts(p *supervised) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return p.unfit
}

// unproven has plugins prove themselves anew in whatever set they are in next: they were not watched to the end.
func (c *Catalog) unproven(all []start) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range all {
		f.p.had = false
	}
}

// healthy is Healthy for one plugin, which has to prove itself with x.
func (w *watch) healthy(ctx context.Context, x *process, end time.Time) error {
	p, o := w.p, w.p.c.opts
	for misses := 0; ; {
		if err := w.called(ctx, x, min(time.Until(end), o.ProbeInterval)); err != nil {
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
