package catalog

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/sdk/rpc"
)

// State is what a plugin is doing.
type State string

// The states.
const (
	StateStarting   State = "starting"    // its process is being started or its instances are being configured
	StateReady      State = "ready"       // its instances can be called
	StateBackingOff State = "backing off" // its process ended, did not start again or offers too little; there will be a further try
	StateFailed     State = "failed"      // it has never started; unless it clashes with another one it is tried again
	StateDraining   State = "draining"    // no set has it any more: it ends when the calls do that are under way
	StateStopped    State = "stopped"     // the catalog was closed
)

// supervised is one plugin: a source, and at most one process at a time. It lives for as long as a set holds it.
type supervised struct {
	c      *Catalog
	src    Source
	digest string   // of the binary that was started
	came   *process // the first one that was taken; set, like digest, before started is closed
	log    hclog.Logger
	stub   bool // it clashes and is not started at all

	ctx     context.Context // ends when it is to stop
	cancel  context.CancelFunc
	hurry   chan struct{}      // closed when there is no time left to be polite
	rush    func()             // closes it
	try     chan chan struct{} // asks for a try at once, as long as it has not started; what is sent is closed after the try
	started chan struct{}      // closed when a process was taken for the first time
	done    chan struct{}      // closed when it has stopped
	holders int                // sets that have it; guarded by c.mu

	calls sync.Map // id on the wire -> *instance, for host calls

	mu        sync.Mutex
	state     State
	drains    bool
	err       error // the last one
	live      *process
	manifest  rpc.Manifest // of the last process that was taken
	restarts  int
	instances []*instance // those that live, in the order in which they were configured
}

// newSupervised makes a plugin that starts when it is asked to.
func (c *Catalog) newSupervised(s Source) *supervised {
	p := &supervised{c: c, src: s, log: c.opts.Logger.With("plugin", s.Name), state: StateStarting,
		hurry: make(chan struct{}), try: make(chan chan struct{}), started: make(chan struct{}), done: make(chan struct{})}
	p.ctx, p.cancel = context.WithCancel(c.ctx)
	p.rush = sync.OnceFunc(func() { close(p.hurry) })
	return p
}

// newStub makes a plugin that stands for one which is not started, and why.
func (c *Catalog) newStub(s Source, err error) *supervised {
	p := c.newSupervised(s)
	p.stub, p.state, p.err = true, StateFailed, err
	p.log.Error("plugin did not start", "error", err)
	p.cancel()
	close(p.done)
	return p
}

func (p *supervised) set(s State, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = s
	if err != nil {
		p.err = err
	}
}

// hasStarted says whether a process was ever taken.
func (p *supervised) hasStarted() bool {
	select {
	case <-p.started:
		return true
	default:
		return false
	}
}

// run starts the plugin and keeps a process of it running until it is to stop.
func (p *supervised) run() {
	defer close(p.done)
	defer p.set(StateStopped, nil)
	if x := p.first(); x != nil {
		p.supervise(p.ctx, x)
	}
}

// tryNow has a plugin that has not started tried at once, and returns when the try is over.
func (p *supervised) tryNow(ctx context.Context) {
	over := make(chan struct{})
	select {
	case p.try <- over:
	case <-p.started:
		return
	case <-p.done:
		return
	case <-ctx.Done():
		return
	}
	select {
	case <-over:
	case <-ctx.Done():
	}
}

// first starts a process when it is asked to, and if that fails again with growing pauses; nil if the plugin is to stop.
func (p *supervised) first() *process {
	b := backoff{tries: lessEager}
	var wait <-chan time.Time // nil: until it is asked to
	for last := ""; ; {
		var over chan struct{}
		select {
		case over = <-p.try:
		case <-wait:
		case <-p.ctx.Done():
			return nil
		}
		digest, _ := checksum(p.src.Path)
		x, err := p.launch(p.ctx)
		if err == nil {
			p.digest, p.came = digest, x
			p.take(x)
		} else {
			p.set(StateFailed, err)
			if text := err.Error(); text != last { // the same again and again tells nothing
				last = text
				p.log.Error("plugin did not start", "error", err)
			}
		}
		if over != nil {
			close(over)
		}
		if x != nil {
			return x
		}
		wait = time.After(b.next())
	}
}

// take makes x the first process.
func (p *supervised) take(x *process) {
	p.mu.Lock()
	p.live, p.manifest, p.state, p.err = x, x.manifest, StateReady, nil
	p.mu.Unlock()
	close(p.started)
	p.log.Info("plugin started", "version", printable(x.manifest.Version, 64), "pid", x.child.pid())
	if u := x.manifest.Unknown; len(u) > 0 {
		p.log.Warn("plugin offers kinds that this host does not know", "offers", p.c.safe(strings.Join(u, ", ")))
	}
}

// supervise keeps a process of the plugin running until ctx ends. x is the first one.
func (p *supervised) supervise(ctx context.Context, x *process) {
	var b backoff
	for {
		since := time.Now()
		err := p.serve(ctx, x)
		if ctx.Err() != nil {
			return
		}
		p.log.Error("plugin process is gone", "pid", x.child.pid(), "error", err)
		if time.Since(since) >= healthyAfter {
			b.reset()
		}
		if x = p.again(ctx, &b); x == nil {
			return
		}
	}
}

// serve looks after x until it can be used no longer, takes it out of use and ends it. The answer is the reason.
func (p *supervised) serve(ctx context.Context, x *process) error {
	var beside sync.WaitGroup // what must not keep watch from seeing an end
	defer beside.Wait()
	during, cancel := context.WithCancel(ctx)
	beside.Go(func() { x.probe(during, p.c.opts.ProbeInterval, p.c.opts.DescribeTimeout) })
	beside.Go(func() { p.tend(during, x) })
	err := p.watch(ctx, x)
	cancel()
	p.detach(x, err)
	x.stop(stopGrace)
	return err
}

// again starts a new process after a pause, as often as it takes; nil if ctx ended.
func (p *supervised) again(ctx context.Context, b *backoff) *process {
	for pause(ctx, b.next()) {
		p.set(StateStarting, nil)
		x, err := p.launch(ctx)
		if err == nil {
			if err = p.sameOffers(x.manifest); err != nil {
				x.stop(0)
				p.set(StateBackingOff, err)
				p.log.Error("plugin was changed", "error", err)
				continue
			}
			p.attach(x)
			p.log.Info("plugin restarted", "pid", x.child.pid())
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
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live, p.manifest = x, x.manifest
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
			p.state = StateReady
		}
		p.mu.Unlock()
		if !pause(ctx, max(time.Second, b.next())) {
			return
		}
	}
}

// unbound lists the living instances that no process serves.
func (p *supervised) unbound() []*instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []*instance
	for _, i := range p.instances {
		if i.bound.Load() == nil {
			out = append(out, i)
		}
	}
	return out
}

// reconfigure configures instances on x group by group in the order of old: a constructor may resolve secrets through an
// instance that was configured before it. Each group can be called as soon as it is ready.
func (p *supervised) reconfigure(ctx context.Context, x *process, all []*instance) {
	for len(all) > 0 && !x.gone() {
		n := slices.IndexFunc(all, func(i *instance) bool { return i.group != all[0].group })
		if n < 0 {
			n = len(all)
		}
		for i, ds := range p.configure(ctx, x, all[:n]) {
			if f := firstError(ds); f != nil && ctx.Err() == nil {
				p.log.Error("instance could not be configured", "instance", all[i].String(), "error", f.Summary)
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
	p.state, p.err = StateBackingOff, err
	for _, i := range p.instances {
		if b := i.bound.Swap(nil); b != nil {
			p.calls.Delete(b.id)
		}
	}
}

// lostGrace is how long a process whose session broke is given to turn out to have ended.
const lostGrace = 200 * time.Millisecond

// watch returns when x can be used no longer, with the reason. Meanwhile it opens a broken session again.
func (p *supervised) watch(ctx context.Context, x *process) error {
	var reopen backoff
	opened := time.Now()
	for {
		select {
		case <-ctx.Done():
			return errClosed
		case <-x.child.exited:
			<-x.child.done
			return x.ended()
		case <-x.SessionLost():
			if time.Since(opened) >= healthyAfter {
				reopen.reset()
			}
			select {
			case <-x.child.exited:
				continue
			case <-time.After(max(lostGrace, reopen.next())):
			case <-ctx.Done():
				continue
			}
			if err := x.open(p.c.opts.DescribeTimeout); err != nil {
				return fmt.Errorf("plugin %s: the session cannot be opened again: %w", p.src.Name, p.c.clean(err))
			}
			opened = time.Now()
			p.log.Warn("plugin session was lost and opened again", "pid", x.child.pid())
		}
	}
}

func (x *process) ended() error {
	x.child.mu.Lock()
	state, refused := x.child.cmd.ProcessState.String(), x.child.refused
	x.child.mu.Unlock()
	if refused != nil {
		return fmt.Errorf("the process %s", refused.detail)
	}
	return fmt.Errorf("the process ended: %s%s", state, x.child.said())
}
