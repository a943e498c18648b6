package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"
	"google.golang.org/protobuf/proto"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/verified"
)

// maxBuilding is how many constructors run at a time: some ask a network.
const maxBuilding = 8

// Configure is the contract's Plugin.Configure.
func (p *plugin) Configure(ctx context.Context, r *pluginv1.ConfigureRequest) (*pluginv1.ConfigureResponse, error) {
	out := &pluginv1.ConfigureResponse{Results: make([]*pluginv1.InstanceResult, len(r.GetInstances()))}
	build, enough, cancel := budget(ctx)
	defer cancel()
	slots := make(chan struct{}, maxBuilding)
	type built struct {
		n      int
		result *pluginv1.InstanceResult
	}
	done := make(chan built, len(r.GetInstances()))
	waiting := 0
	for n, spec := range r.GetInstances() {
		impl, err := p.place(spec) // in order: of two with one id the first stands
		if err != nil {
			out.Results[n] = faulty(spec, err)
			continue
		}
		waiting++
		go func() {
			select {
			case slots <- struct{}{}:
				defer func() { <-slots }()
				done <- built{n, p.build(build, r.GetCallId(), impl, spec)}
			case <-build.Done():
				p.instances.fill(spec.GetInstanceId(), nil)
				done <- built{n, faulty(spec, &ownFailure{failf(CodeDeadline, "the constructor did not begin in time")})}
			}
		}()
	}
	for late := false; waiting > 0 && !late; {
		select {
		case b := <-done:
			out.Results[b.n], waiting = b.result, waiting-1
		case <-enough.Done():
			late = true
		}
	}
	for n, spec := range r.GetInstances() {
		if out.GetResults()[n] == nil { // its constructor does not heed its context: what it may still make is discarded
			p.instances.release(spec.GetInstanceId())
			out.Results[n] = faulty(spec, &ownFailure{failf(CodeDeadline, "the constructor did not end in time")})
		}
	}
	if proto.Size(out) > maxBatch {
		for _, r := range out.GetResults() {
			shorten(r)
		}
	}
	return out, nil
}

// budget splits the time for a batch: build ends for the constructors while there is time left to answer, enough when no
// straggler can be waited for any longer. One slow constructor must not cost the answer of the others.
func budget(ctx context.Context) (build, enough context.Context, cancel context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return ctx, ctx, func() {}
	}
	left := time.Until(deadline)
	build, stopBuild := context.WithTimeout(ctx, left*8/10)
	enough, stopEnough := context.WithTimeout(ctx, left*9/10)
	return build, enough, func() { stopBuild(); stopEnough() }
}

// faulty is the result of an instance that could not be built: a failure where the settings may be right and another try
// may succeed, else diagnostics of the settings.
func faulty(spec *pluginv1.InstanceSpec, err error) *pluginv1.InstanceResult {
	out := &pluginv1.InstanceResult{InstanceId: spec.GetInstanceId()}
	if isFailure(err) {
		out.Failure = failureToProto(err)
		return out
	}
	out.Diagnostics = diagnosticsToProto(pluginv1.Diagnostic_SEVERITY_ERROR, sdk.Problems(err))
	return out
}

// isFailure says whether an error of a constructor is not the settings' fault: the host could not answer it, its time ran
// out, or it panicked.
func isFailure(err error) bool {
	var failed *Failure
	var panicked *sdk.PanicError
	return errors.As(err, &failed) || errors.As(err, &panicked) || errors.Is(err, ErrLost) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
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

// place finds the implementation of an instance and reserves its id.
func (p *plugin) place(spec *pluginv1.InstanceSpec) (sdk.Implementation, error) {
	for _, i := range p.implementations {
		if pluginv1.Kind(i.Kind()) == spec.GetKind() && i.Type() == spec.GetType() {
			if !p.instances.reserve(spec.GetInstanceId()) {
				return sdk.Implementation{}, fmt.Errorf("the instance %d exists already", spec.GetInstanceId())
			}
			return i, nil
		}
	}
	return sdk.Implementation{}, fmt.Errorf("there is no %v of type %q in this plugin", sdk.Kind(spec.GetKind()), text(spec.GetType()))
}

// build runs a constructor and puts the instance in its reserved place.
func (p *plugin) build(ctx context.Context, callID uint64, impl sdk.Implementation, spec *pluginv1.InstanceSpec) *pluginv1.InstanceResult {
	id := spec.GetInstanceId()
	i := &instance{kind: impl.Kind(), setup: setupFromProto(spec.GetScope())}
	ctx = p.context(ctx, &serving{callID: callID, realm: i.setup.Realm}, id)
	ctx, warnings := sdk.CollectWarnings(verified.WithStore(ctx, p.verified))
	var err error
	i.impl, err = impl.Build(ctx, i.setup, spec.GetSettings())
	p.logPanic(ctx, err)
	if err == nil && ctx.Err() != nil {
		err = ctx.Err() // the host does not wait any more and believes that there is no such instance
	}
	if err != nil {
		p.instances.fill(id, nil)
		p.discard(i)
	} else if !p.instances.fill(id, i) {
		p.discard(i)
		err = errors.New("the instance was released while it was being configured")
	}
	result := &pluginv1.InstanceResult{InstanceId: id}
	if err != nil {
		result = faulty(spec, err)
	}
	result.Diagnostics = append(result.GetDiagnostics(), diagnosticsToProto(pluginv1.Diagnostic_SEVERITY_WARNING, warnings())...)
	return result
}

// discard closes an instance that never was.
func (p *plugin) discard(i *instance) {
	if _, ok := i.impl.(io.Closer); ok {
		p.instances.close(i)
	}
}

func diagnosticsToProto(severity pluginv1.Diagnostic_Severity, problems []*sdk.Problem) []*pluginv1.Diagnostic {
	out := make([]*pluginv1.Diagnostic, 0, min(len(problems), maxDiagnostics))
	for _, x := range problems[:min(len(problems), maxDiagnostics)] {
		out = append(out, &pluginv1.Diagnostic{Severity: severity, Path: text(x.Path), Summary: text(x.Summary), Sensitive: x.Sensitive})
	}
	return out
}

// Release is the contract's Plugin.Release. It answers when the instances are closed, since the process may be ended then, or with
// its context.
func (p *plugin) Release(ctx context.Context, r *pluginv1.ReleaseRequest) (*pluginv1.ReleaseResponse, error) {
	select {
	case <-p.instances.release(r.GetInstanceIds()...):
	case <-ctx.Done():
		return nil, statusOf(ctx.Err())
	}
	p.logger.LogAttrs(ctx, slog.LevelDebug, "instances released", slog.Int("count", len(r.GetInstanceIds())))
	return &pluginv1.ReleaseResponse{}, nil
}
