package catalog

import (
	"context"
	"fmt"

	"github.com/realmgate/realmgate/host/child"
	"github.com/realmgate/realmgate/sdk/rpc"
)

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
	hide := func(text string) string { // constructors have had secrets resolved
		for _, i := range all {
			text = i.confided.hide(text)
		}
		return text
	}
	answer, err := p.ask(ctx, x, specs, hide)
	if err != nil {
		for n := range out {
			out[n] = []rpc.Diagnostic{{Unavailable: true, Summary: err.Error()}}
		}
	}
	for _, d := range answer {
		if n, ok := at[d.Instance]; ok {
			d.Summary, d.Detail, d.Path = p.c.safe(all[n].confided.hide(d.Summary)), p.c.safe(all[n].confided.hide(d.Detail)), child.Printable(all[n].confided.hide(d.Path), 1<<10)
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

// ask sends the specifications of instances to x; hide takes out of an error what they know of secrets.
func (p *supervised) ask(ctx context.Context, x *process, specs []rpc.Instance, hide func(string) string) ([]rpc.Diagnostic, error) {
	if x == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.state == StateFailed && p.err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, p.err)
		}
		return nil, fmt.Errorf("plugin %s: %w: it is %s", p.src.Name, ErrUnavailable, p.state)
	}
	ctx, cancel := context.WithTimeout(ctx, p.c.opts.ConfigureTimeout)
	defer cancel()
	answer, err := x.Configure(ctx, specs)
	if err != nil {
		return nil, fmt.Errorf("plugin %s does not configure its instances: %w", p.src.Name, p.c.clean(err, hide))
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
		if f == nil && (p.live != x || i.life == released || i.bound.Load() != nil) { // built by somebody else meanwhile
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
			p.known[i.mark] = i
		}
		if i.life == living && f == nil && i.bound.Load() == nil {
			i.fault.Store(nil)
			i.said = found[n]
			i.bound.Store(&binding{x, specs[n].ID})
		}
	}
	p.wake()
	return unwanted
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
