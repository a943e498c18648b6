package rpc

import (
	"context"
	"fmt"
	"slices"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"
	"google.golang.org/protobuf/proto"

	"github.com/realmgate/realmgate/sdk"
)

// Configure builds instances and answers what the plugin has to say about their settings, in their order. It takes as many
// requests as the bounds on messages ask for. After an error the instances that were not reached do not exist; those that
// were reached do, unless a diagnostic says otherwise.
func (p *Process) Configure(ctx context.Context, in []Instance) ([]Diagnostic, error) {
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	var out []Diagnostic
	var batch []*pluginv1.InstanceSpec
	realms, size := map[uint64]string{}, 0
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		ds, err := p.configure(ctx, batch, realms)
		out = append(out, ds...)
		batch, realms, size = nil, map[uint64]string{}, 0
		return err
	}
	for _, i := range in {
		spec := &pluginv1.InstanceSpec{
			InstanceId: i.ID, Kind: pluginv1.Kind(i.Kind), Type: i.Type, Settings: i.Settings, Scope: scopeToProto(i.Kind, i.Setup),
		}
		n := proto.Size(spec) + 8
		if n > maxItem {
			if err := flush(); err != nil {
				return out, err
			}
			out = append(out, Diagnostic{Instance: i.ID, Summary: fmt.Sprintf("the settings are too large: %v", tooLarge(n))})
			continue
		}
		if size+n > maxBatch || len(batch) >= maxInstances {
			if err := flush(); err != nil {
				return out, err
			}
		}
		batch, size = append(batch, spec), size+n
		realms[i.ID] = i.Setup.Realm
	}
	return out, flush()
}

func (p *Process) configure(ctx context.Context, batch []*pluginv1.InstanceSpec, realms map[uint64]string) ([]Diagnostic, error) {
	c := &call{ctx: ctx, realms: realms}
	if err := p.calls.enter(c); err != nil {
		return nil, err
	}
	defer p.calls.leave(c)
	req := &pluginv1.ConfigureRequest{Instances: batch}
	if p.sessionMode() != SessionNone {
		req.CallId = c.id
	}
	var a answer
	resp, err := pluginv1.NewPluginClient(p.cc).Configure(ctx, req, a.opts()...)
	if err != nil {
		return nil, fromStatus(ctx, &a, err)
	}
	results := make(map[uint64]*pluginv1.InstanceResult, len(batch))
	for _, r := range resp.GetResults() {
		results[r.GetInstanceId()] = r
	}
	var out []Diagnostic
	for _, spec := range batch {
		r, ok := results[spec.GetInstanceId()]
		if !ok {
			out = append(out, Diagnostic{Instance: spec.GetInstanceId(), Unavailable: true, Summary: "the plugin did not answer for this instance"})
			continue
		}
		ds := diagnosticsFromProto(r)
		if f := r.GetFailure(); f != nil {
			failed := failureFromProto(f)
			ds = append([]Diagnostic{{Instance: spec.GetInstanceId(), Unavailable: true, Code: failed.Code, Summary: failed.Message}}, ds...)
		}
		exists := !slices.ContainsFunc(ds, func(d Diagnostic) bool { return !d.Warning })
		tenant := spec.GetScope().GetTenant().GetName()
		if exists && tenant != "" && spec.GetKind() == pluginv1.Kind_KIND_IDENTITY_PROVIDER {
			p.tenants.Store(spec.GetInstanceId(), tenant)
		}
		if exists {
			p.cacheable.configured(spec.GetInstanceId(), sdk.Kind(spec.GetKind()), spec.GetType())
		}
		out = append(out, ds...)
	}
	return out, nil
}

// diagnosticsFromProto takes a bounded number. Errors come first, so that none is cut away in favour of warnings.
func diagnosticsFromProto(r *pluginv1.InstanceResult) []Diagnostic {
	var errs, warnings []Diagnostic
	for _, d := range r.GetDiagnostics() {
		to := &errs
		if d.GetSeverity() == pluginv1.Diagnostic_SEVERITY_WARNING {
			to = &warnings
		}
		if len(*to) >= maxDiagnostics {
			continue
		}
		*to = append(*to, Diagnostic{
			Instance: r.GetInstanceId(), Warning: to == &warnings, Path: text(d.GetPath()),
			Summary: text(d.GetSummary()), Detail: text(d.GetDetail()), Sensitive: d.GetSensitive(),
		})
	}
	return append(errs, warnings...)
}

// Release ends instances. Calls that are under way on them finish first; Release does not wait for that. An unknown id is
// not an error.
func (p *Process) Release(ctx context.Context, ids []uint64) error {
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	const chunk = 10_000 // some 100 KiB
	for len(ids) > 0 {
		n := min(chunk, len(ids))
		var a answer
		if _, err := pluginv1.NewPluginClient(p.cc).Release(ctx, &pluginv1.ReleaseRequest{InstanceIds: ids[:n]}, a.opts()...); err != nil {
			return fromStatus(ctx, &a, err)
		}
		for _, id := range ids[:n] {
			p.tenants.Delete(id)
			p.cacheable.released(id)
		}
		ids = ids[n:]
	}
	return nil
}
