package reload

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/host/catalog"
	"github.com/realmgate/realmgate/host/config"
	"github.com/realmgate/realmgate/host/generation"
	"github.com/realmgate/realmgate/host/lock"
)

// Options say how to reload. Two that are equal ask for the same.
type Options struct {
	DryRun           bool // only say what would change
	Fresh            bool // build every part anew, also those whose settings have not changed
	AllowUnavailable bool // also if a part cannot do its work now, or a plugin does not start
	WithoutLock      bool // also if the lock file of the plugins is gone that was in force
}

// Report says what a reload changed, or would change.
type Report struct {
	Blocks  []config.BlockChange
	Plugins catalog.Changes // of their processes
	Lock    string          // what became of the lock file: config.Added, Removed or Changed; empty: nothing
	// Unserved are the realms that were served and are not any more.
	Unserved []string
	// Unavailable is what cannot be used now, of a reload that went on all the same.
	Unavailable []string
	Warnings    config.Diagnostics
}

// Watched says that a new configuration serves, and that plugins are watched which were started for it: it is switched back
// from if one of them does not stay well.
type Watched struct {
	Plugins []string // names
	For     time.Duration
}

// Deps is what a Reloader works on.
type Deps struct {
	// Load reads the configuration from where the daemon was started with.
	Load func() (*config.Config, config.Diagnostics)
	// Sources lists the plugins of a configuration, and says whether they are locked.
	Sources func(*config.Config) ([]catalog.Source, lock.State, error)
	Catalog *catalog.Catalog
	// Build is what a generation is built on; its Plugins are left out.
	Build  generation.Deps
	Holder *generation.Holder
	// Outside readies what the daemon has outside of generations, such as the certificates of its listeners, and gives what
	// puts that into force.
	Outside func(*config.Config) (apply func(), err error)
	// Before is called before a generation serves for the first time; nil: nothing.
	Before func(context.Context, *generation.Generation) error
	// Notify is told when a reload begins (true) and when it has ended; nil: nobody is.
	Notify func(begun bool)
	Meter  Meter        // nil: nothing is measured
	Audit  *audit.Log   // gets a line per reload; nil: none
	Logger hclog.Logger // nil: silent
}

// Meter measures reloads; *metrics.Metrics does.
type Meter interface {
	// Serves is told of each switch, with the realms of what serves from now on.
	Serves(realms []string, now time.Time)
	// Reloaded is told of each reload that has ended, but for dry runs, and whether the configuration was taken.
	Reloaded(took bool)
}

// Serving is what the daemon serves at a time.
type Serving struct {
	Held    *generation.Held
	Set     *catalog.Set
	Sources []catalog.Source
	Lock    lock.State
	Apply   func() // puts what is outside of the generation into force once more
}

// Reloader reloads, one at a time. It is safe for concurrent use.
type Reloader struct {
	deps Deps
	ctx  context.Context // ends when the daemon stops
	turn chan struct{}   // holds one value while a reload runs

	turns atomic.Uint64 // see Turns

	mu      sync.Mutex
	waiting map[Options]*job
	current Serving
	calm    context.Context // ends when a reload is asked for
	disturb context.CancelFunc
	tried   []catalog.Source // of the last configuration that was built, or refused
	moved   chan struct{}    // closed at the next switch
	work    sync.WaitGroup
}

// job is a reload that has not begun, or runs.
type job struct {
	watches chan struct{} // closed when watched is there
	watched Watched
	done    chan struct{} // closed when report and err are there
	report  Report
	err     error
}

func newJob() *job { return &job{watches: make(chan struct{}), done: make(chan struct{})} }

// watch tells who waits for the job that plugins are watched.
func (j *job) watch(w Watched) {
	j.watched = w
	close(j.watches)
}

// ErrStopping says that the daemon stops and takes no configuration any more.
var ErrStopping = errors.New("the daemon is stopping")

// ErrUnwatched is an ErrStopping of a reload that was switched to already: the next start has its configuration.
var ErrUnwatched = fmt.Errorf("the new configuration served, but its plugins were not watched to the end: %w", ErrStopping)

// New gives a reloader of a daemon that serves first. What it does ends with ctx; see [Reloader.Wait].
func New(ctx context.Context, d Deps, first Serving) *Reloader {
	if d.Logger == nil {
		d.Logger = hclog.NewNullLogger()
	}
	if d.Meter != nil {
		d.Meter.Serves(realmsOf(first.Held.Config()), time.Now())
	}
	r := &Reloader{deps: d, ctx: ctx, turn: make(chan struct{}, 1), waiting: map[Options]*job{}, current: first, moved: make(chan struct{})}
	r.calm, r.disturb = context.WithCancel(ctx)
	return r
}

// Reload takes the configuration as it is now. One that comes while another one runs waits for it; a further one that asks
// for the same joins the one that waits. The error says why the daemon stays with what it had. When ctx ends only the waiting
// does: a reload that was asked for is done. watches, if it is not nil, is called once if the new configuration serves while
// plugins are watched.
func (r *Reloader) Reload(ctx context.Context, o Options, watches func(Watched)) (Report, error) {
	r.mu.Lock()
	if r.ctx.Err() != nil {
		r.mu.Unlock()
		return Report{}, ErrStopping
	}
	j := r.waiting[o]
	if j == nil {
		j = newJob()
		r.waiting[o] = j
		r.disturb()
		r.calm, r.disturb = context.WithCancel(r.ctx)
		r.work.Go(func() { r.do(context.WithoutCancel(ctx), j, o) })
	}
	r.mu.Unlock()
	began := j.watches
	if watches == nil {
		began = nil
	}
	for {
		select {
		case <-began:
			began = nil
			watches(j.watched)
			continue
		case <-j.done:
		case <-ctx.Done():
			return Report{}, ctx.Err()
		}
		select {
		case <-began: // both have come meanwhile
			watches(j.watched)
		default:
		}
		return j.report, j.err
	}
}

// do does what was asked for with ctx, which tells the audit log who did.
func (r *Reloader) do(ctx context.Context, j *job, o Options) {
	defer close(j.done)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.ctx, cancel)()
	if j.err = r.lock(ctx); j.err != nil {
		r.begin(o)
		return
	}
	defer r.unlock()
	r.turns.Add(1)
	defer r.turns.Add(1)
	r.begin(o)
	j.report, j.err = r.reload(ctx, o, j)
}

// begin takes a job out of those that others may join.
func (r *Reloader) begin(o Options) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.waiting, o)
}

// lock waits for the turn, unless ctx ends or the daemon stops.
func (r *Reloader) lock(ctx context.Context) error {
	if ctx.Err() == nil && r.ctx.Err() == nil {
		select {
		case r.turn <- struct{}{}:
			return nil
		case <-r.ctx.Done():
		case <-ctx.Done():
		}
	}
	if r.ctx.Err() != nil {
		return ErrStopping
	}
	return context.Cause(ctx)
}

func (r *Reloader) unlock() { <-r.turn }

// Turns gives a number that moves when a reload begins and when it has ended, between which it reads files; it is odd in between.
func (r *Reloader) Turns() uint64 { return r.turns.Load() }

// Wait returns when nothing that the reloader began is left to do, or with the error of ctx when that ends. The reloader's own
// context has to have ended.
func (r *Reloader) Wait(ctx context.Context) error {
	r.mu.Lock()   // whoever comes later sees that the daemon stops
	r.mu.Unlock() //nolint:staticcheck // nothing is to be done under the lock
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.work.Wait()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Sources gives the plugins of what serves, and those of the last configuration that was tried.
func (r *Reloader) Sources() []catalog.Source {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Concat(r.current.Sources, r.tried)
}

func (r *Reloader) serving() (Serving, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current, r.moved
}

// attempt notes the plugins of a configuration that is tried.
func (r *Reloader) attempt(s []catalog.Source) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tried = s
}

// moveTo notes what serves from now on.
func (r *Reloader) moveTo(s Serving) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.current = s
	close(r.moved)
	r.moved = make(chan struct{})
}
