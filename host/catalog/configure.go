package catalog

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// Instance is one instance to be.
type Instance struct {
	Kind     sdk.Kind
	Type     string
	Settings []byte // a JSON object
	Setup    sdk.Setup
	Realm    string          // of the kinds whose scope is a realm; the instance is called for no other one
	Refs     []sdk.SecretRef // the references in its settings: it may resolve these whoever it is called for
}

// Diagnostic is what there is to say about one instance.
type Diagnostic struct {
	Index           int // in what was given to Configure
	Warning         bool
	Path            string // JSON pointer (RFC 6901) into the settings; empty for the whole block
	Summary, Detail string
	Sensitive       bool // the value at Path may be a secret
	Unavailable     bool // the plugin is at fault, not the settings
}

// instance is a configured instance, or one that is being configured.
type instance struct {
	p     *supervised
	id    uint64
	group uint64 // the call of Configure that it came with
	in    Instance
	bound atomic.Pointer[binding]
	fault atomic.Pointer[string] // why it could not be configured again
	life  life                   // guarded by p.mu
}

// life says whether an instance is among those that its plugin keeps configured.
type life uint8

const (
	unborn life = iota
	living
	released
)

// binding says which process serves an instance, and under which id. An id is not used twice on a process.
type binding struct {
	x  *process
	id uint64
}

// String gives kind and type, like principal-mapper(badge).
func (i *instance) String() string { return fmt.Sprintf("%v(%s)", i.in.Kind, i.in.Type) }

func (i *instance) broken(why string) { i.fault.Store(&why) }

// at says where the instance is served now; an error of ErrUnavailable if nowhere.
func (i *instance) at() (*binding, error) {
	if b := i.bound.Load(); b != nil {
		return b, nil
	}
	why := "it was released"
	i.p.mu.Lock()
	if i.life == living {
		why = "the plugin is " + string(i.p.state)
		if f := i.fault.Load(); i.p.state == StateReady && f != nil {
			why = "it could not be configured after a restart: " + *f
		}
	}
	i.p.mu.Unlock()
	return nil, fmt.Errorf("plugin %s: %v: %w: %s", i.p.src.Name, i, ErrUnavailable, why)
}

// Configure makes instances, in one batch per plugin; the batches go out together. The handles are in the order of in; an
// instance with a diagnostic that is not a warning has the zero Handle, the others stay configured until they are released.
// A plugin that does not answer gives one diagnostic per instance.
//
// Instances that resolve secrets through others are configured after these, by a further call.
func (c *Catalog) Configure(ctx context.Context, in []Instance) ([]Handle, []Diagnostic) {
	handles := make([]Handle, len(in))
	group := c.groups.Add(1)
	type batch struct {
		p       *supervised
		indexes []int
		all     []*instance
		results [][]rpc.Diagnostic
		down    bool // the plugin did not answer
	}
	var batches []*batch
	found := make([][]Diagnostic, len(in))
	for n, i := range in {
		p, err := c.find(i.Kind, i.Type)
		if err != nil {
			found[n] = []Diagnostic{{Index: n, Summary: err.Error()}}
			continue
		}
		at := slices.IndexFunc(batches, func(b *batch) bool { return b.p == p })
		if at < 0 {
			at, batches = len(batches), append(batches, &batch{p: p})
		}
		b := batches[at]
		b.indexes = append(b.indexes, n)
		b.all = append(b.all, &instance{p: p, id: c.ids.Add(1), group: group, in: i})
	}
	var wg sync.WaitGroup
	for _, b := range batches {
		wg.Go(func() {
			b.p.mu.Lock()
			x, state := b.p.live, b.p.state
			b.p.mu.Unlock()
			if x == nil {
				b.results, b.down = sayOfAll(b.all, fmt.Sprintf("plugin %s: %v: it is %s", b.p.src.Name, ErrUnavailable, state)), true
				return
			}
			b.results, b.down = b.p.configure(ctx, x, b.all)
		})
	}
	wg.Wait()
	for _, b := range batches {
		for i, ds := range b.results {
			n := b.indexes[i]
			if firstError(ds) == nil {
				handles[n] = Handle{b.all[i]}
			}
			for _, d := range ds {
				found[n] = append(found[n], Diagnostic{Index: n, Warning: d.Warning, Path: d.Path, Summary: d.Summary, Detail: d.Detail, Sensitive: d.Sensitive, Unavailable: b.down || d.Unavailable})
			}
		}
	}
	return handles, slices.Concat(found...)
}

// configure configures instances on x and binds those that it has nothing against. The answer has the diagnostics of each.
// down says that the plugin did not answer, or is gone.
func (p *supervised) configure(ctx context.Context, x *process, all []*instance) (_ [][]rpc.Diagnostic, down bool) {
	ctx, cancel := context.WithTimeout(ctx, p.c.opts.ConfigureTimeout)
	defer cancel()
	specs := make([]rpc.Instance, len(all))
	at := make(map[uint64]int, len(all))
	for n, i := range all {
		id := p.c.ids.Add(1)
		at[id] = n
		specs[n] = rpc.Instance{ID: id, Kind: i.in.Kind, Type: i.in.Type, Settings: i.in.Settings, Setup: i.in.Setup}
		p.calls.Store(id, i) // constructors may call the host
	}
	answer, err := x.Configure(ctx, specs)
	if err != nil {
		p.forget(ctx, x, specs)
		return sayOfAll(all, fmt.Sprintf("plugin %s does not configure its instances: %s", p.src.Name, p.c.safe(err.Error()))), true
	}
	out := make([][]rpc.Diagnostic, len(all))
	for _, d := range answer {
		if n, ok := at[d.Instance]; ok {
			d.Summary, d.Detail, d.Path = p.c.safe(d.Summary), p.c.safe(d.Detail), printable(d.Path, 1<<10)
			out[n] = append(out[n], d)
		}
	}
	var failed []rpc.Instance
	p.mu.Lock()
	for n, i := range all {
		switch {
		case firstError(out[n]) != nil:
			p.calls.Delete(specs[n].ID)
		case p.live != x:
			down = true
			out[n] = append(out[n], rpc.Diagnostic{Summary: fmt.Sprintf("plugin %s ended while it was being configured", p.src.Name)})
			failed = append(failed, specs[n])
		case i.life == released:
			failed = append(failed, specs[n])
		default:
			i.fault.Store(nil)
			i.bound.Store(&binding{x, specs[n].ID})
			if i.life == unborn {
				i.life, p.instances = living, append(p.instances, i)
			}
		}
	}
	p.mu.Unlock()
	p.forget(ctx, x, failed)
	return out, down
}

// forget releases what a process may have configured although nobody wants it any more.
func (p *supervised) forget(ctx context.Context, x *process, specs []rpc.Instance) {
	if len(specs) == 0 {
		return
	}
	ids := make([]uint64, len(specs))
	for n, s := range specs {
		ids[n] = s.ID
	}
	p.release(ctx, x, ids)
}

// release tells a process that instances have no further use. A process that does not answer loses them with its life.
func (p *supervised) release(ctx context.Context, x *process, ids []uint64) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.c.opts.DescribeTimeout)
	defer cancel()
	if err := x.Release(ctx, ids); err != nil && !x.gone() {
		p.log.Warn("instances could not be released", "error", p.c.safe(err.Error()))
	}
	for _, id := range ids {
		p.calls.Delete(id)
	}
}

// Release ends instances; zero handles are passed over. Calls that are under way finish first.
func (c *Catalog) Release(ctx context.Context, hs []Handle) {
	type target struct {
		p *supervised
		x *process
	}
	ids := map[target][]uint64{}
	drop := map[*supervised]map[*instance]bool{}
	for _, h := range hs {
		if h.inst != nil {
			p := h.inst.p
			if drop[p] == nil {
				drop[p] = map[*instance]bool{}
			}
			drop[p][h.inst] = true
		}
	}
	for p, gone := range drop {
		p.mu.Lock()
		p.instances = slices.DeleteFunc(p.instances, func(i *instance) bool { return gone[i] })
		for i := range gone {
			i.life = released
			if b := i.bound.Swap(nil); b != nil {
				ids[target{p, b.x}] = append(ids[target{p, b.x}], b.id)
			}
		}
		p.mu.Unlock()
	}
	var wg sync.WaitGroup
	for t, list := range ids {
		wg.Go(func() { t.p.release(ctx, t.x, list) })
	}
	wg.Wait()
}

func firstError(ds []rpc.Diagnostic) *rpc.Diagnostic {
	for n := range ds {
		if !ds[n].Warning {
			return &ds[n]
		}
	}
	return nil
}

func sayOfAll(all []*instance, summary string) [][]rpc.Diagnostic {
	out := make([][]rpc.Diagnostic, len(all))
	for n := range out {
		out[n] = []rpc.Diagnostic{{Summary: summary}}
	}
	return out
}
