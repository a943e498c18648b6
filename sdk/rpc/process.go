package rpc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"
	"google.golang.org/grpc"

	"github.com/realmgate/realmgate/sdk"
)

// Process is the host's end of one plugin process. It is safe for concurrent use. The order of a life is Describe,
// OpenSession, Configure, then everything else.
//
// Errors are of two kinds: a *sdk.Denial where the plugin says no to a caller, and everything else, which says that the
// plugin is at fault: a *[Failure], or an error with [ErrLost] in its chain if the process cannot be reached. A call whose
// context has no deadline gets one of 30 seconds.
type Process struct {
	cc    grpc.ClientConnInterface
	host  HostServices
	calls *calls
	mode  atomic.Uint32 // SessionMode, from the manifest

	cacheable cacheable

	tenants sync.Map // identity provider's instance -> tenant, both as the host configured them

	reports reports

	open    sync.Mutex // of opening sessions
	session atomic.Pointer[hostSession]
}

// NewProcess gives the host's end of the process behind cc. host answers its host calls.
func NewProcess(cc grpc.ClientConnInterface, host HostServices) *Process {
	return &Process{cc: cc, host: host, calls: newCalls()}
}

// featureAccessKeys is what a host says in Describe that answers look-ups of access keys.
const featureAccessKeys = "access-keys"

// features are what the host can do.
func (p *Process) features() []string {
	out := []string{featureAccessKeys}
	if _, ok := p.host.(OutboundWatcher); ok {
		out = append(out, featureOutbound)
	}
	return out
}

// Describe asks for the manifest and checks it.
func (p *Process) Describe(ctx context.Context, hostVersion string) (Manifest, error) {
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	var a answer
	resp, err := pluginv1.NewPluginClient(p.cc).Describe(ctx, &pluginv1.DescribeRequest{
		HostVersion: text(hostVersion), HostFeatures: p.features(),
	}, a.opts()...)
	if err != nil {
		return Manifest{}, fromStatus(ctx, &a, err)
	}
	m, err := manifestFromProto(resp.GetManifest())
	if err != nil {
		return Manifest{}, fmt.Errorf("the plugin's manifest: %w", err)
	}
	p.mode.Store(uint32(m.Session))
	p.cacheable.describe(m.Offers)
	return m, nil
}

// OpenSession opens the session stream if the manifest says that the plugin serves one. ctx lives as long as the process:
// its end ends the stream. After a loss it is called again on the process that lives on; a stream that is still open is
// replaced.
func (p *Process) OpenSession(ctx context.Context) error {
	if p.sessionMode() == SessionNone {
		return nil
	}
	p.open.Lock()
	defer p.open.Unlock()
	s, err := openHostSession(ctx, p)
	if err != nil {
		return fmt.Errorf("open the session: %w", err)
	}
	if old := p.session.Swap(s); old != nil {
		old.end(errors.New("the session was opened again"))
	}
	return nil
}

// SessionLost gives a channel that is closed when the current session stream breaks; nil if there is none.
func (p *Process) SessionLost() <-chan struct{} {
	if s := p.session.Load(); s != nil {
		return s.lost
	}
	return nil
}

func (p *Process) sessionMode() SessionMode { return SessionMode(p.mode.Load()) }

var callOptions = []grpc.CallOption{grpc.MaxCallRecvMsgSize(MaxMessage), grpc.MaxCallSendMsgSize(MaxMessage)}

// epoch gives the epoch that travels with a call; 0 where no realm is served.
func (p *Process) epoch(realm string) uint64 {
	if realm == "" || p.host == nil {
		return 0
	}
	return p.host.Epoch(realm)
}

// identity takes the identity that an identity provider verified. Its tenant is the one that the host configured the
// instance for, whatever the plugin says.
func (p *Process) identity(m *pluginv1.Identity, by Step) (sdk.Identity, error) {
	out, err := valueOr(identityFromProto(m), "identity")
	tenant, _ := p.tenants.Load(by.Instance)
	out.Tenant, _ = tenant.(string)
	return out, err
}

func withDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, defaultTimeout)
}

// Run runs the steps, which are adjacent stages of a decision in the realm, on st. On an error st keeps what the steps
// before it made; st.Cache is merged in any case. Of an identity that both mappers among the steps have read, claims and roles
// may be missing.
func (p *Process) Run(ctx context.Context, realm string, steps []Step, st *sdk.State) error {
	if len(steps) == 0 {
		return nil
	}
	if err := checkRequest(st.Request); err != nil {
		return err
	}
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	if p.sessionMode() == SessionLegs {
		return orRepeatSteps(p.runLeg(ctx, realm, steps, st), steps)
	}
	return p.runUnary(ctx, realm, steps, st)
}

// RunUnary is Run over the unary services, one call for each step, although the plugin may take legs: what plugins in other
// languages may serve alone, and what legs are compared with.
func (p *Process) RunUnary(ctx context.Context, realm string, steps []Step, st *sdk.State) error {
	if err := checkRequest(st.Request); err != nil {
		return err
	}
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	return p.runUnary(ctx, realm, steps, st)
}

func (p *Process) runUnary(ctx context.Context, realm string, steps []Step, st *sdk.State) error {
	for i, step := range steps {
		if _, err := stateToProto(steps[i:i+1], st); err != nil {
			return err
		}
		c := client{process: p, realm: realm, step: steps[i : i+1 : i+1]}
		hinted, err := hintedStep(0, st, func() error { return sdk.Step(ctx, step.Kind, c, st) })
		p.cacheable.bound(steps[i:i+1], hinted, st)
		if err != nil {
			return err
		}
	}
	return nil
}
