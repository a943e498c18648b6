package rpc

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"
	"google.golang.org/protobuf/proto"

	"github.com/realmgate/realmgate/sdk"
)

// maxBuilding is how many constructors run at a time: some ask a network.
const maxBuilding = 8

// Configure is the contract's Plugin.Configure.
func (p *plugin) Configure(ctx context.Context, r *pluginv1.ConfigureRequest) (*pluginv1.ConfigureResponse, error) {
	out := &pluginv1.ConfigureResponse{Results: make([]*pluginv1.InstanceResult, len(r.GetInstances()))}
	slots := make(chan struct{}, maxBuilding)
	var all sync.WaitGroup
	for n, spec := range r.GetInstances() {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			out.Results[n] = p.configure(ctx, r.GetCallId(), spec)
		})
	}
	all.Wait()
	if proto.Size(out) > maxBatch {
		for _, r := range out.GetResults() {
			shorten(r)
		}
	}
	return out, nil
}

// shorten leaves one diagnostic of an instance, an error if there is one: the whole would be too large to be sent.
func shorten(r *pluginv1.InstanceResult) {
	if len(r.GetDiagnostics()) == 0 {
		return
	}
	keep := r.GetDiagnostics()[0]
	for _, d := range r.GetDiagnostics() {
		if d.GetSeverity() == pluginv1.Diagnostic_SEVERITY_ERROR {
			keep = d
			break
		}
	}
	if len(keep.GetSummary()) > maxText/8 {
		keep.Summary = strings.ToValidUTF8(keep.GetSummary()[:maxText/8], "") + "..."
	}
	r.Diagnostics = []*pluginv1.Diagnostic{keep}
}

func (p *plugin) configure(ctx context.Context, callID uint64, spec *pluginv1.InstanceSpec) *pluginv1.InstanceResult {
	id := spec.GetInstanceId()
	out := &pluginv1.InstanceResult{InstanceId: id}
	fail := func(problems ...*sdk.Problem) {
		for _, x := range problems {
			out.Diagnostics = append(out.Diagnostics, diagnosticToProto(pluginv1.Diagnostic_SEVERITY_ERROR, x))
		}
	}
	impl, ok := p.implementation(spec)
	if !ok {
		fail(&sdk.Problem{Summary: fmt.Sprintf("this plugin does not offer a %v of type %q", sdk.Kind(spec.GetKind()), text(spec.GetType()))})
		return out
	}
	if !p.instances.reserve(id) {
		fail(&sdk.Problem{Summary: fmt.Sprintf("the instance %d exists already", id)})
		return out
	}
	i := &instance{kind: impl.Kind(), setup: setupFromProto(spec.GetScope())}
	ctx = p.context(ctx, &serving{callID: callID, realm: i.setup.Realm}, id)
	ctx, warnings := sdk.CollectWarnings(ctx)
	var err error
	i.impl, err = impl.Build(ctx, i.setup, spec.GetSettings())
	p.logPanic(ctx, err)
	for _, w := range warnings() {
		out.Diagnostics = append(out.Diagnostics, diagnosticToProto(pluginv1.Diagnostic_SEVERITY_WARNING, w))
	}
	if err == nil && ctx.Err() != nil {
		err = ctx.Err() // the host does not wait any more and believes that there is no such instance
	}
	if err != nil {
		p.instances.fill(id, nil)
		p.discard(i)
		fail(sdk.Problems(err)...)
		return out
	}
	if !p.instances.fill(id, i) {
		p.discard(i)
		fail(&sdk.Problem{Summary: "the instance was released while it was being configured"})
	}
	return out
}

// discard closes an instance that never was.
func (p *plugin) discard(i *instance) {
	if _, ok := i.impl.(io.Closer); ok {
		p.instances.close(i)
	}
}

func (p *plugin) implementation(spec *pluginv1.InstanceSpec) (sdk.Implementation, bool) {
	for _, i := range p.implementations {
		if pluginv1.Kind(i.Kind()) == spec.GetKind() && i.Type() == spec.GetType() {
			return i, true
		}
	}
	return sdk.Implementation{}, false
}

func diagnosticToProto(severity pluginv1.Diagnostic_Severity, x *sdk.Problem) *pluginv1.Diagnostic {
	return &pluginv1.Diagnostic{Severity: severity, Path: text(x.Path), Summary: text(x.Summary), Sensitive: x.Sensitive}
}

// Release is the contract's Plugin.Release.
func (p *plugin) Release(ctx context.Context, r *pluginv1.ReleaseRequest) (*pluginv1.ReleaseResponse, error) {
	for _, id := range r.GetInstanceIds() {
		p.instances.release(id)
	}
	p.logger.LogAttrs(ctx, slog.LevelDebug, "instances released", slog.Int("count", len(r.GetInstanceIds())))
	return &pluginv1.ReleaseResponse{}, nil
}
