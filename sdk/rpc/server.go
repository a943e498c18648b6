package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"

	lru "github.com/hashicorp/golang-lru/v2"
	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"
	"google.golang.org/grpc"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/breaker"
	"github.com/realmgate/realmgate/sdk/verified"
)

// Server is the plugin's half of the contract: what a process offers, to be registered with a gRPC server.
type Server struct {
	Name, Version, Build string
	Implementations      []sdk.Implementation
	Logger               *slog.Logger // nil: nothing is logged
	UnaryOnly            bool         // stages are not taken on the session stream, only on the unary services
}

// Check reports settings types with a fault, and a manifest that a host would refuse, e.g. one with two implementations of the
// same kind and type.
func (s *Server) Check() error {
	var faults []error
	for _, i := range s.Implementations {
		faults = append(faults, i.Check())
	}
	if err := errors.Join(faults...); err != nil {
		return err
	}
	if _, err := manifestFromProto(s.manifest()); err != nil {
		return fmt.Errorf("the manifest: %w", err)
	}
	return nil
}

// Register registers the services that the implementations need, after a [Server.Check]. The gRPC server must accept
// messages of [MaxMessage].
func (s *Server) Register(g grpc.ServiceRegistrar) error {
	_, err := s.register(g)
	return err
}

func (s *Server) register(g grpc.ServiceRegistrar) (*plugin, error) {
	p := &plugin{implementations: s.Implementations, logger: s.Logger}
	if p.logger == nil {
		p.logger = slog.New(slog.DiscardHandler)
	}
	p.instances = newInstances(p.logger)
	p.outbound = breaker.NewOutbound(breaker.Config{}, p.logger)
	p.verified = verified.NewStore()
	p.manifest = s.manifest()
	err := s.Check()
	if err != nil {
		return nil, fmt.Errorf("rpc: %w", err)
	}
	if p.known, err = lru.New[knownKey, sdk.Principal](maxKnown); err != nil {
		return nil, fmt.Errorf("rpc: %w", err)
	}
	if p.knownKeys, err = lru.New[knownAccessKey, sdk.AccessKey](maxKnown); err != nil {
		return nil, fmt.Errorf("rpc: %w", err)
	}
	pluginv1.RegisterPluginServer(g, p)
	pluginv1.RegisterSessionServer(g, p)
	registerKinds(g, p, s.Implementations)
	return p, nil
}

func (s *Server) manifest() *pluginv1.Manifest {
	m := &pluginv1.Manifest{Name: s.Name, Version: s.Version, Build: s.Build, Session: pluginv1.SessionMode_SESSION_MODE_LEGS}
	if s.UnaryOnly {
		m.Session = pluginv1.SessionMode_SESSION_MODE_HOST_CALLS
	}
	for _, i := range s.Implementations {
		x := &pluginv1.Implementation{
			Kind: pluginv1.Kind(i.Kind()), Type: i.Type(), SettingsSchema: i.SettingsSchema(), Schemes: i.Schemes(), NeedsHttp: i.NeedsHTTP(),
			OperatorOnly: i.OperatorOnly(), ExternalOnly: i.ExternalOnly(), Cacheable: i.Cacheable(),
		}
		for _, a := range i.Abilities() {
			x.Abilities = append(x.Abilities, pluginv1.Ability(a))
		}
		for _, w := range i.Wants() {
			x.Wants = append(x.Wants, pluginv1.Want(w))
		}
		m.Implementations = append(m.Implementations, x)
	}
	return m
}

// plugin is what a process has while it serves.
type plugin struct {
	pluginv1.UnimplementedPluginServer
	pluginv1.UnimplementedSessionServer

	manifest        *pluginv1.Manifest
	implementations []sdk.Implementation
	logger          *slog.Logger
	instances       *instances
	known           *lru.Cache[knownKey, sdk.Principal]
	knownKeys       *lru.Cache[knownAccessKey, sdk.AccessKey]
	accessKeys      atomic.Bool // whether the host answers look-ups of access keys
	outbound        *breaker.Outbound
	wantsReports    atomic.Bool // whether the host takes reports of it
	verified        *verified.Store
	session         atomic.Pointer[pluginSession]
	arrivals        arrivals // of sessions
	reasons         reasons
}

// Describe is the contract's Plugin.Describe.
func (p *plugin) Describe(_ context.Context, r *pluginv1.DescribeRequest) (*pluginv1.DescribeResponse, error) {
	p.accessKeys.Store(slices.Contains(r.GetHostFeatures(), featureAccessKeys))
	p.wantsReports.Store(slices.Contains(r.GetHostFeatures(), featureOutbound))
	return &pluginv1.DescribeResponse{Manifest: p.manifest}, nil
}

// serving is what a leg, a unary call or a Configure says about itself.
type serving struct {
	callID    uint64
	realm     string
	requestID string
	trace     sdk.Trace
	epoch     uint64
	session   *pluginSession // on which a leg came in; nil: the current one
	reader    *reader        // that runs the leg; nil for others
}

// forCalls attaches what the parts of the process share to the context that calls descend from.
func (p *plugin) forCalls(ctx context.Context) context.Context {
	return verified.WithStoreOfCalls(breaker.WithOutbound(ctx, p.outbound), p.verified)
}

// context gives the context in which an instance works: with the host, a logger, the request id, realm and epoch, and what the
// parts of the process share. A session's has that already.
func (p *plugin) context(ctx context.Context, sv *serving, instance uint64) context.Context {
	if sv.session == nil {
		ctx = p.forCalls(ctx)
	}
	return sdk.WithCall(ctx, &pluginHost{plugin: p, serving: sv, instance: instance})
}

// step runs one stage on st. A panic's stack goes to the log here and no further.
func (p *plugin) step(ctx context.Context, sv *serving, k sdk.Kind, id uint64, st *sdk.State) error {
	return p.with(ctx, sv, k, id, func(ctx context.Context, i *instance) error {
		if err := sdk.Step(ctx, k, i.impl, st); err != nil {
			return err
		}
		if k == sdk.KindIdentityProvider {
			st.Identity.Tenant = i.setup.Tenant // of the configuration, whatever the provider says
		}
		return nil
	})
}

// with calls f on an instance, which is not closed meanwhile.
func (p *plugin) with(ctx context.Context, sv *serving, k sdk.Kind, id uint64, f func(context.Context, *instance) error) error {
	i, visit, err := p.instances.acquire(ctx, id, k)
	if err != nil {
		return err
	}
	defer p.instances.done(i, visit)
	ctx = p.context(ctx, sv, id)
	err = sdk.Guard(func() error { return f(ctx, i) })
	p.logPanic(ctx, err)
	p.logReason(ctx, err)
	return err
}
