package catalog

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/host/child"
	"github.com/realmgate/realmgate/sdk"
)

// Directory answers what plugins ask about principals.
type Directory interface {
	// FindPrincipal finds a principal of a realm, see [sdk.FindPrincipal].
	FindPrincipal(ctx context.Context, realm string, ref sdk.PrincipalRef) (sdk.Principal, error)
	// Epoch gives the realm's epoch; 0 means that plugins must not remember answers.
	Epoch(realm string) uint64
}

// AccessKeys answers what plugins ask about the keys with which principals sign requests.
type AccessKeys interface {
	// FindAccessKey finds an access key of a realm, see [sdk.FindAccessKey].
	FindAccessKey(ctx context.Context, realm, id string) (sdk.AccessKey, error)
}

// Secrets gives plugins the values of references.
type Secrets interface {
	// Resolve resolves a reference of the operator's own configuration.
	Resolve(ctx context.Context, ref sdk.SecretRef) (sdk.Secret, error)
	// ResolveGranted resolves a reference that came in with a call; it must be granted to the realm.
	ResolveGranted(ctx context.Context, realm string, ref sdk.SecretRef) (sdk.Secret, error)
}

// Options is what a catalog is made of.
type Options struct {
	Logger     hclog.Logger // nil: nothing is logged
	Version    string       // of the host; plugins are told
	Directory  Directory    // nil: look-ups fail
	AccessKeys AccessKeys   // nil: look-ups of them fail
	Secrets    Secrets      // nil: no secret is resolved
	// Refused is told of each question that a plugin may not ask; nil: nobody is. ctx is that of the call which it came with.
	Refused    func(ctx context.Context, r Refused)
	RuntimeDir string // the sockets are in a directory of mode 0700 below it; empty: the system's own for temporary files

	StartTimeout     time.Duration // from the start of a process to its handshake; zero: 10 s
	DescribeTimeout  time.Duration // for the manifest, and again for the session; zero: 5 s
	ConfigureTimeout time.Duration // for one request, of up to 1000 instances; zero: 30 s
	ProbeInterval    time.Duration // between two checks that a process still answers; zero: 15 s
}

// Catalog holds all plugin processes. It is safe for concurrent use.
type Catalog struct {
	opts    Options
	starter *child.Starter
	ids     atomic.Uint64 // ids of instances given, on the wire and off
	groups  atomic.Uint64 // calls of Configure

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	hurry  chan struct{} // closed when Close may wait no longer
	once   sync.Once
	closed chan struct{}

	start sync.Mutex // one Start at a time

	mu      sync.RWMutex
	plugins []*supervised
	offers  map[offerKey]*supervised
}

type offerKey struct {
	kind sdk.Kind
	typ  string
}

// New makes an empty catalog. It must be closed.
func New(opts Options) (*Catalog, error) {
	if opts.Logger == nil {
		opts.Logger = hclog.NewNullLogger()
	}
	opts.StartTimeout = cmp.Or(opts.StartTimeout, 10*time.Second)
	opts.DescribeTimeout = cmp.Or(opts.DescribeTimeout, 5*time.Second)
	opts.ConfigureTimeout = cmp.Or(opts.ConfigureTimeout, 30*time.Second)
	opts.ProbeInterval = cmp.Or(opts.ProbeInterval, 15*time.Second)
	starter, err := child.NewStarter(opts.RuntimeDir, opts.Logger)
	if err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	c := &Catalog{opts: opts, starter: starter, offers: map[offerKey]*supervised{}, hurry: make(chan struct{}), closed: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c, nil
}

// safe makes text that came from a plugin fit for an error or a log.
func (c *Catalog) safe(s string) string { return child.Safe(s, 4<<10) }

// Start starts the plugins of all sources together and returns when each has started or failed. A plugin that failed is
// kept with its error, see [Catalog.Plugins]; the others go on.
//
// Sources count in their order: where two offer the same kind and type, or have the same name, the later one is refused,
// except that one which is not bundled replaces a bundled one of its name. Start may be called again: plugins that run
// are left alone, those that failed are tried again.
func (c *Catalog) Start(ctx context.Context, sources []Source) {
	c.start.Lock()
	defer c.start.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()

	fresh := c.enlist(sources)
	launched := make([]*process, len(fresh))
	var wg sync.WaitGroup
	for i, p := range fresh {
		wg.Go(func() {
			x, err := p.launch(ctx)
			if err != nil {
				p.unload()
				p.set(StateFailed, err)
				p.log.Error("plugin did not start", "error", err)
				return
			}
			launched[i] = x
		})
	}
	wg.Wait()
	for i, p := range fresh {
		if x := launched[i]; x != nil {
			c.accept(p, x)
		}
	}
}

// enlist makes room for the sources that are new or failed before, in place of the latter.
func (c *Catalog) enlist(sources []Source) []*supervised {
	c.mu.Lock()
	defer c.mu.Unlock()
	var fresh []*supervised
	for n, s := range sources {
		if s.Bundled && slices.ContainsFunc(sources, func(o Source) bool { return !o.Bundled && o.Name == s.Name }) {
			continue
		}
		p := &supervised{c: c, src: s, log: c.opts.Logger.With("plugin", s.Name), state: StateStarting}
		if first := slices.IndexFunc(sources, func(o Source) bool { return o.Name == s.Name && o.Bundled == s.Bundled }); first < n {
			p.state, p.err = StateFailed, &StartError{Plugin: s.Name, Path: s.Path, Reason: ReasonClash,
				Detail: fmt.Sprintf("has the same name as %s", sources[first].Path)}
			p.log.Error("plugin did not start", "error", p.err)
			c.plugins = append(c.plugins, p)
			continue
		}
		old := slices.IndexFunc(c.plugins, func(o *supervised) bool { return o.src.Name == s.Name })
		switch {
		case old < 0:
			c.plugins = append(c.plugins, p)
		case c.plugins[old].done != nil:
			continue // it runs, or is on its way
		default:
			c.plugins[old] = p
		}
		fresh = append(fresh, p)
	}
	return fresh
}

// accept takes a plugin that has described itself, unless what it offers is taken.
func (c *Catalog) accept(p *supervised, x *process) {
	err := c.register(p, x)
	if err != nil {
		x.stop(child.StopGrace)
		p.unload()
		p.set(StateFailed, err)
		p.log.Error("plugin did not start", "error", err)
		return
	}
	p.log.Info("plugin started", "version", child.Printable(x.manifest.Version, 64), "pid", x.child.PID())
	if u := x.manifest.Unknown; len(u) > 0 {
		p.log.Warn("plugin offers kinds that this host does not know", "offers", c.safe(strings.Join(u, ", ")))
	}
	go p.supervise(c.ctx, x)
}

func (c *Catalog) register(p *supervised, x *process) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return &StartError{Plugin: p.src.Name, Path: p.src.Path, Reason: child.ReasonStopped, Detail: "was stopped before it was ready", Err: errClosed}
	}
	for _, o := range x.manifest.Offers {
		if other := c.offers[offerKey{o.Kind, o.Type}]; other != nil {
			return &StartError{Plugin: p.src.Name, Path: p.src.Path, Reason: ReasonClash,
				Detail: fmt.Sprintf("offers the %v of type %q, which plugin %s (%s) offers already", o.Kind, o.Type, other.src.Name, other.src.Path)}
		}
	}
	for _, o := range x.manifest.Offers {
		c.offers[offerKey{o.Kind, o.Type}] = p
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live, p.manifest, p.state, p.err, p.done = x, x.manifest, StateReady, nil, make(chan struct{})
	return nil
}

// Close stops every process and returns when none is left, nor a socket, nor a goroutine. Processes end by themselves or,
// at the latest when ctx ends, by force. Calls that are under way fail: the caller drains them before.
func (c *Catalog) Close(ctx context.Context) error {
	var err error
	c.once.Do(func() {
		defer context.AfterFunc(ctx, func() { close(c.hurry) })()
		c.cancel()
		c.start.Lock() // a Start that is under way gives up at once
		defer c.start.Unlock()
		err = c.shut()
		close(c.closed)
	})
	<-c.closed
	return err
}

func (c *Catalog) shut() error {
	c.mu.RLock()
	plugins := slices.Clone(c.plugins)
	c.mu.RUnlock()
	for _, p := range plugins {
		if p.done != nil {
			<-p.done // each of its steps is bounded
		}
		p.set(StateStopped, nil)
	}
	if err := c.starter.Close(); err != nil {
		return fmt.Errorf("catalog: %w", err)
	}
	return nil
}
