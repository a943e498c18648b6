package catalog

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/host/child"
	"github.com/realmgate/realmgate/sdk/breaker"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// State is what a plugin is doing.
type State string

// The states.
const (
	StateStarting   State = "starting"    // its process is being started or its instances are being configured
	StateReady      State = "ready"       // its instances can be called
	StateFailing    State = "failing"     // it runs, but left a probe unanswered, or failed so often that it is left alone for a while
	StateBackingOff State = "backing off" // its process ended, did not start again or offers too little; there will be a further try
	StateFailed     State = "failed"      // it has never started; unless it clashes with another one it is tried again
	StateDraining   State = "draining"    // no set has it any more: it ends when the calls do that are under way
	StateStopped    State = "stopped"     // the catalog was closed, or the process ended of a plugin that did not stay well
)

// supervised is one plugin: a source, and at most one process at a time. It lives for as long as a set holds it.
type supervised struct {
	c      *Catalog
	src    Source
	image  *child.Image // what it is started from; nil until it is loaded. It is the supervisor's
	taken  *child.User  // of a range; it is the supervisor's
	digest string       // of the image that has started
	seen   *child.Image // that image, to be shared while the plugin lives; set, like digest, before started is closed
	came   *process     // the first one that was taken; set, like digest, before started is closed
	log    hclog.Logger
	pin    atomic.Pointer[Pin] // of the set that serves; nil: nothing is locked
	stub   bool                // it clashes and is not started at all

	ctx     context.Context // ends when it is to stop
	cancel  context.CancelFunc
	hurry   chan struct{}      // closed when there is no time left to be polite
	rush    func()             // closes it
	try     chan chan struct{} // asks for a try at once, as long as it has not started; what is sent is closed after the try
	started chan struct{}      // closed when a process was taken for the first time
	done    chan struct{}      // closed when it has stopped
	holders int                // sets that have it; guarded by c.mu
	unfit   bool               // it did not stay well when it was new: no further set takes it from its source, nor is it started again; guarded by c.mu
	had     bool               // whether a set has it that serves or may yet; guarded by c.mu

	calls sync.Map // id on the wire -> *instance, for host calls

	breaker *breaker.Breaker // of all calls
	ways    ways
	ails    ails
	counts  *counts // shared with others of its name

	mu        sync.Mutex
	state     State
	since     time.Time     // of the state
	drains    time.Time     // since when; zero: it does not
	flops     int           // starts in a row that came to nothing
	woken     chan struct{} // closed, and made anew, when something happened that a call may wait for
	err       error         // the last one
	erred     time.Time     // of err
	live      *process
	manifest  rpc.Manifest // of the last process that was taken
	restarts  int
	instances []*instance               // those that live, in the order in which they were configured
	known     map[fingerprint]*instance // of those, the latest of each kind
}

// newSupervised makes a plugin that starts when it is asked to.
func (c *Catalog) newSupervised(s Source) *supervised {
	p := &supervised{c: c, src: s, log: c.opts.Logger.With("plugin", s.Name), state: StateStarting,
		hurry: make(chan struct{}), try: make(chan chan struct{}), started: make(chan struct{}), done: make(chan struct{}), known: map[fingerprint]*instance{}, ways: ways{open: map[*Set]map[*way]struct{}{}}}
	p.pin.Store(s.Pin)
	p.ctx, p.cancel = context.WithCancel(c.ctx)
	p.counts, p.since, p.woken = c.countsOf(s.Name), time.Now(), make(chan struct{})
	p.ails.watches = map[*watch]struct{}{}
	p.breaker = breaker.New(breaker.Config{Moved: p.opened})
	p.rush = sync.OnceFunc(func() { close(p.hurry) })
	return p
}

// newStub makes a plugin that stands for one which is not started, and why.
func (c *Catalog) newStub(s Source, err error) *supervised {
	p := c.newSupervised(s)
	p.stub, p.state, p.err, p.erred = true, StateFailed, err, time.Now()
	p.cancel()
	close(p.done)
	return p
}

func (p *supervised) set(s State, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.become(s)
	if err != nil {
		p.err, p.erred = err, time.Now()
	}
	if s == StateBackingOff {
		p.flops++
	}
	p.wake()
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
	defer p.unload()
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
		x, err := p.launch(p.ctx)
		if err == nil {
			p.take(x)
		} else {
			p.unload() // it may be another one next time
			p.set(StateFailed, err)
			text := err.Error()
			if text != last && over == nil { // the same again and again tells nothing, and who asked is told
				p.log.Error("plugin did not start", "error", err)
			}
			last = text
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
	p.live, p.manifest, p.err = x, x.manifest, nil
	p.become(StateReady)
	p.mu.Unlock()
	p.digest, p.seen, p.came = p.image.Digest(), p.image, x
	close(p.started)
	p.log.Info("plugin started", "version", child.Printable(x.manifest.Version, 64), "pid", x.child.PID())
	if u := x.manifest.Unknown; len(u) > 0 {
		p.log.Warn("plugin offers kinds that this host does not know", "offers", p.c.safe(strings.Join(u, ", ")))
	}
}
