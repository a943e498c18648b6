package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/realmgate/realmgate/host/child"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// supervise keeps a process of the plugin running until ctx ends. x is the first one.
func (p *supervised) supervise(ctx context.Context, x *process) {
	var b backoff
	for {
		since := time.Now()
		err := p.serve(ctx, x)
		if ctx.Err() != nil {
			return
		}
		p.log.Error("plugin process is gone", "pid", x.child.PID(), "error", err)
		if time.Since(since) >= healthyAfter {
			b.reset()
		}
		if x = p.again(ctx, &b); x == nil {
			p.cancel() // nobody waits for a further one
			return
		}
		if r, ended := errors.AsType[*child.Refusal](err); ended && r.Reason == child.ReasonTimeout {
			p.ways.retry() // what hung is gone; what a way's own calls ended would be ended again
		}
	}
}

// serve looks after x until it can be used no longer, takes it out of use and ends it. The answer is the reason.
func (p *supervised) serve(ctx context.Context, x *process) error {
	var beside sync.WaitGroup // what must not keep watch from seeing an end
	defer beside.Wait()
	during, cancel := context.WithCancel(ctx)
	beside.Go(func() {
		x.probe(during, p.c.opts.ProbeInterval, p.c.opts.DescribeTimeout, func(answered bool) { p.probed(x, answered) })
	})
	beside.Go(func() { p.tend(during, x) })
	err := p.watch(ctx, x)
	cancel()
	p.detach(x, err)
	x.stop(child.StopGrace)
	return err
}

// again starts a new process after a pause, as often as it takes; nil if ctx ended, or the plugin did not stay well when it was new:
// what serves goes back from it.
func (p *supervised) again(ctx context.Context, b *backoff) *process {
	for pause(ctx, b.next()) && !p.c.doubts(p) {
		p.set(StateStarting, nil)
		x, err := p.launch(ctx)
		if err == nil && p.c.doubts(p) { // meanwhile
			x.stop(0)
			return nil
		}
		if err == nil {
			if err = p.sameOffers(x.manifest); err != nil {
				x.stop(0)
				p.set(StateBackingOff, err)
				p.log.Error("plugin was changed", "error", err)
				continue
			}
			p.attach(x)
			p.log.Info("plugin restarted", "pid", x.child.PID())
			return x
		}
		if ctx.Err() != nil {
			return nil
		}
		p.set(StateBackingOff, err)
		p.log.Error("plugin did not start again", "error", err)
	}
	return nil
}

// sameOffers checks that a new process offers what living instances are made of.
func (p *supervised) sameOffers(m rpc.Manifest) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, i := range p.instances {
		if !slices.ContainsFunc(m.Offers, func(o rpc.Offer) bool { return o.Kind == i.in.Kind && o.Type == i.in.Type }) {
			return &StartError{Plugin: p.src.Name, Path: p.src.Path, Reason: ReasonChanged,
				Detail: fmt.Sprintf("no longer offers the %v of type %q, which is in use", i.in.Kind, i.in.Type)}
		}
	}
	return nil
}

// attach makes x the live process.
func (p *supervised) attach(x *process) {
	p.counts.restarts.Add(1)
	p.breaker.Reset() // it was another process that failed
	p.ails.change(&p.ails.mute, false)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live, p.manifest, p.flops = x, x.manifest, 0
	p.restarts++
}

// tend configures the instances on x that were configured before it came, and then, with growing pauses, those that could
// not be built; until ctx ends.
func (p *supervised) tend(ctx context.Context, x *process) {
	var b backoff
	for {
		unbound := p.unbound()
		if len(unbound) == 0 {
			b.reset()
		}
		p.reconfigure(ctx, x, unbound)
		p.mu.Lock()
		if p.live == x && p.state == StateStarting {
			p.become(StateReady)
		}
		p.mu.Unlock()
		if !pause(ctx, max(time.Second, b.next())) {
			return
		}
	}
}

// unbound lists the living instances that no process serves. Those that were let go for the end are not made again.
func (p *supervised) unbound() []*instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []*instance
	for _, i := range p.instances {
		if i.bound.Load() == nil && i.life != released {
			out = append(out, i)
		}
	}
	return out
}

// reconfigure configures instances on x group by group in the order of old: a constructor may resolve secrets through an
// instance that was configured before it. Each group can be called as soon as it is ready.
func (p *supervised) reconfigure(ctx context.Context, x *process, all []*instance) {
	for len(all) > 0 && !x.child.Gone() {
		n := slices.IndexFunc(all, func(i *instance) bool { return i.group != all[0].group })
		if n < 0 {
			n = len(all)
		}
		for i, ds := range p.configure(ctx, x, all[:n]) {
			if f := firstError(ds); f != nil && ctx.Err() == nil {
				p.log.Error("instance could not be configured", append(all[i].whose(), "instance", all[i].String(), "error", f.Summary)...)
			}
		}
		if ctx.Err() != nil {
			return
		}
		all = all[n:]
	}
}

// detach takes x out of use: calls fail from now on.
func (p *supervised) detach(x *process, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.live == x {
		p.live = nil
	}
	p.become(StateBackingOff)
	if p.ctx.Err() == nil { // that it was told to end is no error
		p.err, p.erred = err, time.Now()
	}
	for _, i := range p.instances {
		if b := i.bound.Swap(nil); b != nil {
			p.calls.Delete(b.id)
		}
	}
}

const (
	lostGrace = 200 * time.Millisecond // for a process whose session broke, to turn out to have ended
	goneGrace = 2 * time.Second        // likewise, for one in which nobody can be reached
)

// watch returns when x can be used no longer, with the reason. Meanwhile it opens a broken session again.
func (p *supervised) watch(ctx context.Context, x *process) error {
	var reopen backoff
	opened := time.Now()
	for {
		select {
		case <-ctx.Done():
			return errClosed
		case <-x.child.Exited():
			return x.child.Ended()
		case <-x.SessionLost():
			if time.Since(opened) >= healthyAfter {
				reopen.reset()
			}
			select {
			case <-x.child.Exited():
				continue
			case <-time.After(max(lostGrace, reopen.next())):
			case <-ctx.Done():
				continue
			}
			if err := x.open(p.c.opts.DescribeTimeout); err != nil {
				select {
				case <-x.child.Exited(): // says more than that nobody is there
					continue
				case <-time.After(goneGrace):
				case <-ctx.Done():
					continue
				}
				return fmt.Errorf("plugin %s: the session cannot be opened again: %w", p.src.Name, p.c.clean(err, asIs))
			}
			opened = time.Now()
			p.mu.Lock()
			p.wake()
			p.mu.Unlock()
			p.log.Warn("plugin session was lost and opened again", "pid", x.child.PID())
		}
	}
}
