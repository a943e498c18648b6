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
	Settings []byte          // a JSON object
	Setup    sdk.Setup       // that of a kind whose scope is a realm names it; the instance is called for no other one
	Refs     []sdk.SecretRef // the references in its settings: it may resolve these whoever it is called for
	Secrets  Secrets         // gives it their values; nil: those of Options
}

// serves says whether the instance may be called for a realm: one of a kind whose scope is a realm serves that realm only.
func (i *Instance) serves(realm string) bool {
	switch i.Kind {
	case sdk.KindAuthenticator, sdk.KindTokenBroker:
		return realm == i.Setup.Realm
	}
	return true
}

// Diagnostic is what there is to say about one instance.
type Diagnostic struct {
	Index           int // in what was given to Configure
	Warning         bool
	Path            string // JSON pointer (RFC 6901) into the settings; empty for the whole block
	Summary, Detail string
	Sensitive       bool // the value at Path may be a secret
	Unavailable     bool // the settings may be right: the instance could not be built now and is tried again
}

// instance is a configured instance, or one that is being configured.
type instance struct {
	p     *supervised
	id    uint64
	group uint64 // the call of Configure that it came with
	in    Instance
	bound atomic.Pointer[binding]
	fault atomic.Pointer[string] // why it could not be configured
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
			why = "it could not be configured: " + *f
		}
	}
	i.p.mu.Unlock()
	return nil, fmt.Errorf("plugin %s: %v: %w: %s", i.p.src.Name, i, ErrUnavailable, why)
}

// Configure makes instances, batch by batch of each plugin; the plugins work side by side. The handles are in the order of
// in. An instance whose settings are wrong, or whose type nobody offers, has the zero Handle and a diagnostic that is not a
// warning. The others live until they are released, also those that could not be built now, which a diagnostic with
// Unavailable says: they are tried again until they can be called.
//
// Instances that resolve secrets through others are configured after these, by a further call.
func (s *Set) Configure(ctx context.Context, in []Instance) ([]Handle, []Diagnostic) {
	handles := make([]Handle, len(in))
	group := s.c.groups.Add(1)
	type batch struct {
		p       *supervised
		indexes []int
		all     []*instance
		results [][]rpc.Diagnostic
	}
	var batches []*batch
	found := make([][]Diagnostic, len(in))
	for n, i := range in {
		p, err := s.find(i.Kind, i.Type)
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
		b.all = append(b.all, &instance{p: p, id: s.c.ids.Add(1), group: group, in: i})
	}
	var wg sync.WaitGroup
	for _, b := range batches {
		wg.Go(func() {
			b.p.mu.Lock()
			x := b.p.live
			b.p.mu.Unlock()
			b.results = b.p.configure(ctx, x, b.all)
		})
	}
	wg.Wait()
	for _, b := range batches {
		for i, ds := range b.results {
			n := b.indexes[i]
			if f := firstError(ds); f == nil || f.Unavailable {
				handles[n] = Handle{b.all[i]}
			}
			for _, d := range ds {
				found[n] = append(found[n], Diagnostic{Index: n, Warning: d.Warning, Path: d.Path, Summary: d.Summary, Detail: d.Detail, Sensitive: d.Sensitive, Unavailable: d.Unavailable})
			}
		}
	}
	return handles, slices.Concat(found...)
}

// configure configures instances on x, nil if there is no process, and binds those that there is nothing against. Those that
// cannot be built now live without being bound. The answer has the diagnostics of each.
func (p *supervised) configure(ctx context.Context, x *process, all []*instance) (out [][]rpc.Diagnostic) {
	for len(all) > 0 {
		n := fitting(all)
		out, all = append(out, p.request(ctx, x, all[:n])...), all[n:]
	}
	return out
}

// What goes into one request, so that each has a time of its own; rpc would cut at twice as many bytes.
const (
	requestInstances = 1000
	requestBytes     = 1 << 20
)

// fitting says how many of the first instances one request takes.
func fitting(all []*instance) int {
	n, size := 0, 0
	for n < min(len(all), requestInstances) {
		if size += len(all[n].in.Settings); n > 0 && size > requestBytes {
			break
		}
		n++
	}
	return n
}

// request is configure for what fits into one request.
func (p *supervised) request(ctx context.Context, x *process, all []*instance) [][]rpc.Diagnostic {
	specs := make([]rpc.Instance, len(all))
	at := make(map[uint64]int, len(all))
	for n, i := range all {
		id := p.c.ids.Add(1)
		at[id] = n
		specs[n] = rpc.Instance{ID: id, Kind: i.in.Kind, Type: i.in.Type, Settings: i.in.Settings, Setup: i.in.Setup}
		p.calls.Store(id, i) // constructors may call the host
	}
	out := make([][]rpc.Diagnostic, len(all))
	answer, err := p.ask(ctx, x, specs)
	if err != nil {
		for n := range out {
			out[n] = []rpc.Diagnostic{{Unavailable: true, Summary: err.Error()}}
		}
	}
	for _, d := range answer {
		if n, ok := at[d.Instance]; ok {
			d.Summary, d.Detail, d.Path = p.c.safe(d.Summary), p.c.safe(d.Detail), printable(d.Path, 1<<10)
			out[n] = append(out[n], d)
		}
	}
	unwanted := p.settle(x, specs, all, out)
	if err != nil {
		unwanted = specs // it may have built some of them
	}
	p.forget(ctx, x, unwanted)
	return out
}

// ask sends the specifications of instances to x.
func (p *supervised) ask(ctx context.Context, x *process, specs []rpc.Instance) ([]rpc.Diagnostic, error) {
	if x == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		return nil, fmt.Errorf("plugin %s: %w: it is %s", p.src.Name, ErrUnavailable, p.state)
	}
	ctx, cancel := context.WithTimeout(ctx, p.c.opts.ConfigureTimeout)
	defer cancel()
	answer, err := x.Configure(ctx, specs)
	if err != nil {
		return nil, fmt.Errorf("plugin %s does not configure its instances: %w", p.src.Name, p.c.clean(err))
	}
	return answer, nil
}

// settle binds the instances that there is nothing against, and keeps those that may be built by a further try. It gives
// what x has built although nobody wants it.
func (p *supervised) settle(x *process, specs []rpc.Instance, all []*instance, found [][]rpc.Diagnostic) (unwanted []rpc.Instance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for n, i := range all {
		f := firstError(found[n])
		if f == nil && (p.live != x || i.life == released) {
			unwanted = append(unwanted, specs[n])
		}
		if f == nil && p.live != x {
			f = &rpc.Diagnostic{Unavailable: true, Summary: fmt.Sprintf("plugin %s ended while it was being configured", p.src.Name)}
			found[n] = append(found[n], *f)
		}
		if f != nil {
			p.calls.Delete(specs[n].ID)
			i.fault.Store(&f.Summary)
		}
		if i.life == unborn && (f == nil || f.Unavailable) {
			i.life, p.instances = living, append(p.instances, i)
		}
		if i.life == living && f == nil {
			i.fault.Store(nil)
			i.bound.Store(&binding{x, specs[n].ID})
		}
	}
	return unwanted
}

// forget releases what a process may have configured although nobody wants it any more.
func (p *supervised) forget(ctx context.Context, x *process, specs []rpc.Instance) {
	if x == nil || len(specs) == 0 {
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
		p.log.Warn("instances could not be released", "error", p.c.clean(err))
	}
	for _, id := range ids {
		p.calls.Delete(id)
	}
}

// Release ends instances; zero handles are passed over. Calls that are under way finish first.
func (s *Set) Release(ctx context.Context, hs []Handle) {
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

// firstError finds what there is against an instance: rather a fault of its settings than one that may pass.
func firstError(ds []rpc.Diagnostic) *rpc.Diagnostic {
	var first *rpc.Diagnostic
	for n := range ds {
		if d := &ds[n]; !d.Warning && (first == nil || first.Unavailable && !d.Unavailable) {
			first = d
		}
	}
	return first
}
