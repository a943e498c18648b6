package catalog

import (
	"context"
	"maps"
	"slices"
	"time"
)

// watch is a plugin while it is watched for a set. It ends with the window, and with it what was noted of calls.
type watch struct {
	p       *supervised
	set     *Set
	former  []*instance    // what the set has that was switched from
	fails   chan *instance // calls of it fail, which the set has
	tripped chan struct{}  // the breaker is open, or was
}

// watched begins to watch the plugin for a set.
func (p *supervised) watched(s, former *Set) *watch {
	w := &watch{p: p, set: s, fails: make(chan *instance, 16), tripped: make(chan struct{}, 1)}
	if former != nil {
		former.mu.Lock()
		w.former = slices.Collect(maps.Keys(former.held))
		former.mu.Unlock()
	}
	p.ails.mu.Lock()
	defer p.ails.mu.Unlock()
	p.ails.watches[w] = struct{}{}
	return w
}

func (w *watch) end() {
	w.p.ails.mu.Lock()
	defer w.p.ails.mu.Unlock()
	delete(w.p.ails.watches, w)
}

// all gives the instances of the plugin.
func (p *supervised) all() []*instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.instances)
}

// ailing tells whoever watches the plugin about an instance whose calls fail.
func (p *supervised) ailing(i *instance) {
	for _, w := range p.ails.watching() {
		if !i.servesIn(w.set) {
			continue
		}
		select {
		case w.fails <- i:
		default: // there is enough to look at
		}
	}
}

// trips tells whoever watches the plugin that its breaker opened.
func (p *supervised) trips() {
	for _, w := range p.ails.watching() {
		select {
		case w.tripped <- struct{}{}:
		default:
		}
	}
}

// called looks for a time at what becomes of the calls, and at what became of them before. It returns earlier if the process ends,
// which is no error of it.
func (w *watch) called(ctx context.Context, x *process, d time.Duration) error {
	over := time.NewTimer(d)
	defer over.Stop()
	if w.p.breaker.Open() {
		return w.closed()
	}
	for _, i := range w.p.all() {
		if err := w.worse(i); err != nil && i.servesIn(w.set) {
			return err
		}
	}
	for {
		select {
		case <-over.C:
			return nil
		case <-x.child.Exited():
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-w.tripped:
			return w.closed()
		case i := <-w.fails:
			if err := w.worse(i); err != nil {
				return err
			}
		}
	}
}

func (w *watch) closed() error {
	return w.p.unwell("too many calls in a row did not reach it, or were not let go of")
}

// worse says whether each call of a method of an instance fails, while one in its place, which still runs, did what it was to do
// when it was asked last: a provider that is down is no reason to go back, nor is a way back to what is no better.
func (w *watch) worse(i *instance) error {
	for m := range i.records {
		r := &i.records[m]
		if r.worked.Load() || r.failed.Load() < enough {
			continue
		}
		if slices.ContainsFunc(w.former, func(o *instance) bool {
			if o == i || !o.replaced(i) || !o.records[m].worked.Load() || o.records[m].failed.Load() > 0 {
				return false
			}
			_, err := o.at()
			return err == nil
		}) {
			return w.p.unwell(r.says(i, method(m)))
		}
	}
	return nil
}

// replaced says whether another instance does for a realm, a tenant, a store or a way to authenticate what i did.
func (i *instance) replaced(by *instance) bool {
	a, b := &i.in.Setup, &by.in.Setup
	return i.in.Kind == by.in.Kind && a.Tenant == b.Tenant && a.Store == b.Store && a.AuthenticationType == b.AuthenticationType &&
		(a.Realm == b.Realm || a.Realm == "" || b.Realm == "") // with per_realm there is one for each
}
