package rpc

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/realmgate/realmgate/sdk"
)

// fakeHost is a HostServices whose answers a test gives.
type fakeHost struct {
	find    func(context.Context, Caller, sdk.PrincipalRef) (sdk.Principal, error)
	findKey func(context.Context, Caller, string) (sdk.AccessKey, error)
	resolve func(context.Context, Caller, sdk.SecretRef) (sdk.Secret, error)
	epoch   atomic.Uint64
}

func (h *fakeHost) FindPrincipal(ctx context.Context, c Caller, ref sdk.PrincipalRef) (sdk.Principal, error) {
	if h.find == nil {
		return sdk.Principal{}, errors.New("no directory")
	}
	return h.find(ctx, c, ref)
}

func (h *fakeHost) FindAccessKey(ctx context.Context, c Caller, id string) (sdk.AccessKey, error) {
	if h.findKey == nil {
		return sdk.AccessKey{}, errors.New("no access keys")
	}
	return h.findKey(ctx, c, id)
}

func (h *fakeHost) ResolveSecret(ctx context.Context, c Caller, ref sdk.SecretRef) (sdk.Secret, error) {
	if h.resolve == nil {
		return sdk.Secret{}, errors.New("no secrets")
	}
	return h.resolve(ctx, c, ref)
}

func (h *fakeHost) Epoch(string) uint64 { return h.epoch.Load() }

// fake is an implementation of every stage whose methods a test gives; one that it does not give answers something
// harmless.
type fake struct {
	identify     func(context.Context, sdk.Request) (sdk.Identity, error)
	mapPrincipal func(context.Context, sdk.Identity) (sdk.PrincipalRef, error)
	mapRoles     func(context.Context, sdk.Identity) ([]string, error)
	verify       func(context.Context, sdk.Request) (sdk.Credential, error)
	authenticate func(context.Context, sdk.Credential) (sdk.Principal, error)
	activeRoles  func(context.Context, sdk.Principal, []string) ([]string, error)
	closed       func() error
}

func (f *fake) Identify(ctx context.Context, r sdk.Request) (sdk.Identity, error) {
	if f.identify != nil {
		return f.identify(ctx, r)
	}
	return sdk.Identity{
		Tenant: "the plugin's own idea", Issuer: "https://idp", Subject: "s-" + r.Token, Audience: []string{"a"},
		Claims: sdk.NewClaims([]byte(`{"sub":"s"}`)), Expires: time.UnixMilli(1_900_000_000_000),
	}, nil
}

func (f *fake) MapPrincipal(ctx context.Context, i sdk.Identity) (sdk.PrincipalRef, error) {
	if f.mapPrincipal != nil {
		return f.mapPrincipal(ctx, i)
	}
	return sdk.PrincipalRef{Name: i.Subject}, nil
}

func (f *fake) MapRoles(ctx context.Context, i sdk.Identity) ([]string, error) {
	if f.mapRoles != nil {
		return f.mapRoles(ctx, i)
	}
	return []string{"PRINCIPAL_ROLE:r1"}, nil
}

func (f *fake) Verify(ctx context.Context, r sdk.Request) (sdk.Credential, error) {
	if f.verify != nil {
		return f.verify(ctx, r)
	}
	return sdk.Credential{Realm: r.Realm, Principal: sdk.PrincipalRef{ID: "1"}, Expires: time.UnixMilli(1_900_000_000_000)}, nil
}

func (f *fake) Issue(_ context.Context, g sdk.Grant) (sdk.Token, error) {
	if g.ClientID == "bad" {
		return sdk.Token{}, sdk.Deny("unknown_client", "no")
	}
	return sdk.Token{Value: "t-" + g.ClientID, ID: g.TokenID, Type: "Bearer", Expires: time.UnixMilli(1_900_000_000_000)}, nil
}

func (f *fake) Authenticate(ctx context.Context, c sdk.Credential) (sdk.Principal, error) {
	if f.authenticate != nil {
		return f.authenticate(ctx, c)
	}
	return sdk.Principal{ID: "1", Name: c.Principal.Name, Enabled: true, Roles: []string{"r1", "r2"}, Attributes: map[string]string{"k": "v"}}, nil
}

func (f *fake) ActiveRoles(ctx context.Context, p sdk.Principal, requested []string) ([]string, error) {
	if f.activeRoles != nil {
		return f.activeRoles(ctx, p, requested)
	}
	return p.Roles[:1], nil
}

func (f *fake) Close() error {
	if f.closed != nil {
		return f.closed()
	}
	return nil
}

type none struct{}

// offers gives f under every kind of a stage.
func (f *fake) offers() []sdk.Implementation {
	build := func(context.Context, sdk.Setup, none) (*fake, error) { return f, nil }
	c := sdk.Cacheable()
	return []sdk.Implementation{
		sdk.IdentityProviderType("fake", build, c), sdk.PrincipalMapperType("fake", build, c), sdk.PrincipalRolesMapperType("fake", build, c),
		sdk.AuthenticatorType("fake", build, c), sdk.ActiveRolesProviderType("fake", build, c), sdk.TokenBrokerType("fake", build, c),
	}
}

// external are the steps of an external decision; the instance of a kind has the kind's number.
var external = []Step{
	{sdk.KindIdentityProvider, 1}, {sdk.KindPrincipalMapper, 2}, {sdk.KindPrincipalRolesMapper, 3},
	{sdk.KindAuthenticator, 4}, {sdk.KindActiveRolesProvider, 5},
}

// dial serves what register registers in this process and gives a connection to it.
func dial(t testing.TB, register func(*grpc.Server)) (*grpc.ClientConn, *grpc.Server) {
	t.Helper()
	l := bufconn.Listen(1 << 20)
	g := grpc.NewServer(grpc.MaxRecvMsgSize(MaxMessage), grpc.MaxSendMsgSize(MaxMessage))
	register(g)
	done := make(chan struct{})
	go func() { defer close(done); _ = g.Serve(l) }()
	cc, err := grpc.NewClient("passthrough:///bufconn",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cc.Close()
		g.Stop()
		<-done
	})
	return cc, g
}

// start gives a described process with an open session.
func start(t testing.TB, s *Server, host HostServices) *Process {
	t.Helper()
	_, p := startPlugin(t, s, host)
	return p
}

// startPlugin is start, with the plugin's end.
func startPlugin(t testing.TB, s *Server, host HostServices) (*plugin, *Process) {
	t.Helper()
	if s.Name == "" {
		s.Name, s.Version = "test", "1.0.0"
	}
	var pl *plugin
	cc, _ := dial(t, func(g *grpc.Server) {
		var err error
		if pl, err = s.register(g); err != nil {
			t.Fatal(err)
		}
	})
	return pl, connect(t, cc, host)
}

func connect(t testing.TB, cc grpc.ClientConnInterface, host HostServices) *Process {
	t.Helper()
	p := NewProcess(cc, host)
	if _, err := p.Describe(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
	if err := p.OpenSession(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// startFake gives a process that serves f, with the instances of external and the token broker 6.
func startFake(t testing.TB, f *fake, host HostServices, unary bool) *Process {
	t.Helper()
	p := start(t, &Server{Implementations: f.offers(), UnaryOnly: unary}, host)
	configureFake(t, p)
	return p
}

func configureFake(t testing.TB, p *Process) {
	t.Helper()
	var in []Instance
	for k := sdk.KindIdentityProvider; k <= sdk.KindTokenBroker; k++ {
		in = append(in, Instance{ID: uint64(k), Kind: k, Type: "fake", Settings: []byte(`{}`), Setup: sdk.Setup{Realm: "r", Tenant: "tenant1"}})
	}
	ds, err := p.Configure(t.Context(), in)
	if err != nil || len(ds) > 0 {
		t.Fatal(ds, err)
	}
}

// both runs a test over the stream and over the unary services.
func both(t *testing.T, test func(t *testing.T, unary bool)) {
	t.Run("stream", func(t *testing.T) { t.Parallel(); test(t, false) })
	t.Run("unary", func(t *testing.T) { t.Parallel(); test(t, true) })
}

func request(token string) *sdk.State {
	return &sdk.State{Request: &sdk.Request{Realm: "realm1", Scheme: "bearer", Token: token}}
}

func wait(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(20 * time.Second):
		t.Fatal("does not happen: " + what)
	}
}

// lines is a slog.Handler that keeps records.
type lines struct {
	mu    *sync.Mutex
	all   *[]map[string]string
	attrs []slog.Attr
}

func newLines() lines { return lines{mu: &sync.Mutex{}, all: &[]map[string]string{}} }

func (l lines) Enabled(context.Context, slog.Level) bool { return true }
func (l lines) Handle(_ context.Context, r slog.Record) error {
	m := map[string]string{"msg": r.Message}
	for _, a := range l.attrs {
		m[a.Key] = a.Value.String()
	}
	r.Attrs(func(a slog.Attr) bool { m[a.Key] = a.Value.String(); return true })
	l.mu.Lock()
	defer l.mu.Unlock()
	*l.all = append(*l.all, m)
	return nil
}
func (l lines) WithAttrs(a []slog.Attr) slog.Handler {
	l.attrs = append(append([]slog.Attr{}, l.attrs...), a...)
	return l
}
func (l lines) WithGroup(string) slog.Handler { return l }
func (l lines) find(msg string) map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range *l.all {
		if m["msg"] == msg {
			return m
		}
	}
	return nil
}

// rawPlugin is a plugin that says on the stream what a test wants.
type rawPlugin struct {
	pluginv1.UnimplementedPluginServer
	pluginv1.UnimplementedSessionServer
	manifest *pluginv1.Manifest
	open     func(grpc.BidiStreamingServer[pluginv1.OpenRequest, pluginv1.OpenResponse]) error
}

func (r *rawPlugin) Describe(context.Context, *pluginv1.DescribeRequest) (*pluginv1.DescribeResponse, error) {
	return &pluginv1.DescribeResponse{Manifest: r.manifest}, nil
}

func (r *rawPlugin) Open(s grpc.BidiStreamingServer[pluginv1.OpenRequest, pluginv1.OpenResponse]) error {
	return r.open(s)
}

func startRaw(t *testing.T, host HostServices, open func(grpc.BidiStreamingServer[pluginv1.OpenRequest, pluginv1.OpenResponse]) error) *Process {
	t.Helper()
	r := &rawPlugin{open: open, manifest: &pluginv1.Manifest{
		Name: "raw", Version: "1", Session: pluginv1.SessionMode_SESSION_MODE_LEGS,
		Implementations: []*pluginv1.Implementation{{Kind: pluginv1.Kind_KIND_PRINCIPAL_ROLES_MAPPER, Type: "raw"}},
	}}
	cc, _ := dial(t, func(g *grpc.Server) {
		pluginv1.RegisterPluginServer(g, r)
		pluginv1.RegisterSessionServer(g, r)
	})
	return connect(t, cc, host)
}
