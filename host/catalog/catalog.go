package catalog

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
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
	Logger     hclog.Logger                     // nil: nothing is logged
	Prints     func(plugin string) hclog.Logger // takes what the processes of a plugin print; nil, or nil for a plugin: the Logger
	Version    string                           // of the host; plugins are told
	Directory  Directory                        // nil: look-ups fail
	AccessKeys AccessKeys                       // nil: look-ups of them fail
	Secrets    Secrets                          // nil: no secret is resolved
	// Refused is told of each question that a plugin may not ask; nil: nobody is. ctx is that of the call which it came with.
	Refused    func(ctx context.Context, r Refused)
	RuntimeDir string // the sockets are in a directory of mode 0700 below it; empty: the system's own for temporary files

	StartTimeout     time.Duration // from the start of a process to its handshake; zero: 10 s
	DescribeTimeout  time.Duration // for the manifest, and again for the session; zero: 5 s
	ConfigureTimeout time.Duration // for one request, of up to 1000 instances; zero: 30 s
	CheckTimeout     time.Duration // for one instance to say whether it can do its work; zero: 10 s
	ChecksTimeout    time.Duration // for all that are checked together; zero: 1 min
	ProbeInterval    time.Duration // between two checks that a process still answers; zero: 15 s

}

// Catalog holds all plugin processes. It is safe for concurrent use.
type Catalog struct {
	opts    Options
	secret  []byte // keys fingerprints
	starter *child.Starter
	starts  chan struct{} // one for each process of a realm that is being started
	ids     atomic.Uint64 // ids of instances given, on the wire and off
	groups  atomic.Uint64 // calls of Configure

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	once   sync.Once
	closed chan struct{}

	prepare sync.Mutex          // one Prepare at a time
	counted sync.Map            // name of a plugin -> *counts
	serving atomic.Pointer[Set] // the last one that was activated

	mu      sync.RWMutex
	plugins []*supervised // those that a set holds, and those that drain
}

// New makes an empty catalog. It must be closed.
func New(opts Options) (*Catalog, error) {
	if opts.Logger == nil {
		opts.Logger = hclog.NewNullLogger()
	}
	opts.StartTimeout = cmp.Or(opts.StartTimeout, 10*time.Second)
	opts.DescribeTimeout = cmp.Or(opts.DescribeTimeout, 5*time.Second)
	opts.ConfigureTimeout = cmp.Or(opts.ConfigureTimeout, 30*time.Second)
	opts.CheckTimeout = cmp.Or(opts.CheckTimeout, 10*time.Second)
	opts.ChecksTimeout = cmp.Or(opts.ChecksTimeout, time.Minute)
	opts.ProbeInterval = cmp.Or(opts.ProbeInterval, 15*time.Second)
	starter, err := child.NewStarter(opts.RuntimeDir, opts.Logger)
	if err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	c := &Catalog{opts: opts, secret: []byte(rand.Text()), starter: starter, starts: make(chan struct{}, startsAtOnce), closed: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c, nil
}

// safe makes text that came from a plugin fit for an error or a log.
func (c *Catalog) safe(s string) string { return child.Safe(s, 4<<10) }

// Close releases what lives in every plugin, stops the processes and returns when none is left, nor a socket, nor a goroutine. Processes end by themselves or,
// at the latest when ctx ends, by force. Calls that are under way fail: the caller drains them before. Sets need not be
// closed before.
func (c *Catalog) Close(ctx context.Context) error {
	var err error
	c.once.Do(func() {
		c.letGo(ctx)
		c.cancel()
		c.prepare.Lock() // a Prepare that is under way gives up at once
		defer c.prepare.Unlock()
		err = c.shut(ctx)
		close(c.closed)
	})
	<-c.closed
	return err
}

func (c *Catalog) shut(ctx context.Context) error {
	c.mu.RLock()
	plugins := slices.Clone(c.plugins)
	c.mu.RUnlock()
	defer context.AfterFunc(ctx, func() {
		for _, p := range plugins {
			p.rush()
		}
	})()
	for _, p := range plugins {
		<-p.done // each of its steps is bounded
		p.set(StateStopped, nil)
	}
	if err := c.starter.Close(); err != nil {
		return fmt.Errorf("catalog: %w", err)
	}
	return nil
}
