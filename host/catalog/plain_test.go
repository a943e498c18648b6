package catalog

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/serve"
)

// servePlain serves a plugin that is made without the sdk: "empty" does not know Describe, "mute" does not answer it, "slow"
// takes its time for each Configure, heeds no context and writes down what it is told to release, and "deaf" can be
// reached no more after its first Configure, but lives on.
func servePlain(mode string) {
	plugin.Serve(&plugin.ServeConfig{HandshakeConfig: serve.Handshake, GRPCServer: plugin.DefaultGRPCServer,
		Logger: hclog.NewNullLogger(), Plugins: plugin.PluginSet{serve.PluginName: plainPlugin{mode: mode}}})
	if mode == "deaf" {
		time.Sleep(time.Hour)
	}
}

type plainPlugin struct {
	plugin.NetRPCUnsupportedPlugin
	pluginv1.UnimplementedPluginServer
	mode string
}

func (p plainPlugin) GRPCServer(_ *plugin.GRPCBroker, g *grpc.Server) error {
	pluginv1.RegisterPluginServer(g, p)
	return nil
}

func (plainPlugin) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, nil
}

func (p plainPlugin) Describe(ctx context.Context, r *pluginv1.DescribeRequest) (*pluginv1.DescribeResponse, error) {
	switch p.mode {
	case "mute":
		time.Sleep(time.Hour)
	case "slow", "deaf":
		return &pluginv1.DescribeResponse{Manifest: &pluginv1.Manifest{Name: "slow", Version: "1", Implementations: []*pluginv1.Implementation{
			{Kind: pluginv1.Kind_KIND_PRINCIPAL_MAPPER, Type: "badge"},
			{Kind: 99, Type: "later"}}}}, nil
	}
	return p.UnimplementedPluginServer.Describe(ctx, r)
}

// slowly is how long the slow plugin takes for a Configure.
const slowly = time.Second

func (p plainPlugin) Configure(_ context.Context, r *pluginv1.ConfigureRequest) (*pluginv1.ConfigureResponse, error) {
	switch p.mode {
	case "slow":
		time.Sleep(slowly)
	case "deaf":
		time.AfterFunc(slowly/10, func() {
			for fd := range 100 {
				_ = syscall.Shutdown(fd, syscall.SHUT_RDWR) // the listener, too; what is no socket stays
			}
		})
	}
	out := &pluginv1.ConfigureResponse{}
	for _, i := range r.GetInstances() {
		out.Results = append(out.Results, &pluginv1.InstanceResult{InstanceId: i.GetInstanceId()})
	}
	return out, nil
}

func (p plainPlugin) Release(_ context.Context, r *pluginv1.ReleaseRequest) (*pluginv1.ReleaseResponse, error) {
	return &pluginv1.ReleaseResponse{}, os.WriteFile(os.Getenv("MARK"), fmt.Append(nil, r.GetInstanceIds()), 0o600)
}

// TestTimePerRequest: what takes several requests has the time for each of them.
func TestTimePerRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.ConfigureTimeout = 5 * slowly / 2 }, source(t, "p", "slow"))
	in := make([]Instance, 2*requestInstances+1) // three requests
	for n := range in {
		in[n] = Instance{Kind: sdk.KindPrincipalMapper, Type: "badge"}
	}
	hs, ds := w.Configure(t.Context(), in)
	if len(ds) > 0 || hs[len(hs)-1].IsZero() {
		t.Fatalf("%+v", ds[:1])
	}
	if !strings.Contains(w.log.String(), "later") {
		t.Error("an offer of a kind that is not known was passed over in silence")
	}
}

// TestDeafIsRestarted: a process that lives but takes no connections is no use, and has no session whose end would show it.
func TestDeafIsRestarted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.ProbeInterval = 100 * time.Millisecond }, source(t, "p", "deaf"))
	w.Configure(t.Context(), []Instance{{Kind: sdk.KindPrincipalMapper, Type: "badge"}})
	waitFor(t, "the plugin is restarted", func() bool { return w.Plugins()[0].Restarts > 0 })
}

func TestFitting(t *testing.T) {
	t.Parallel()
	of := func(sizes ...int) (out []*instance) {
		for _, n := range sizes {
			out = append(out, &instance{in: Instance{Settings: make([]byte, n)}})
		}
		return out
	}
	tests := []struct {
		all  []*instance
		want int
	}{
		{of(1), 1}, {of(2 * requestBytes), 1}, {of(requestBytes, 0, 1), 2}, {of(2*requestBytes, 1), 1}, {of(make([]int, requestInstances+1)...), requestInstances},
	}
	for n, tt := range tests {
		if got := fitting(tt.all); got != tt.want {
			t.Errorf("%d: %d, want %d", n, got, tt.want)
		}
	}
}

// TestForgotten: a plugin that answers too late is told to release what it may have built, under the id that it knows.
func TestForgotten(t *testing.T) {
	t.Parallel()
	s := source(t, "p", "slow")
	s.Env["MARK"] = t.TempDir() + "/released"
	w := newWorld(t, nil, s)
	ctx, cancel := context.WithTimeout(t.Context(), slowly/4)
	defer cancel()
	hs, ds := w.Configure(ctx, []Instance{{Kind: sdk.KindPrincipalMapper, Type: "badge"}})
	if len(ds) != 1 || !ds[0].Unavailable {
		t.Fatalf("%v %+v", hs, ds)
	}
	got, err := os.ReadFile(s.Env["MARK"])
	if want := fmt.Sprintf("[%d]", hs[0].ID()+1); err != nil || string(got) != want { // ids are given in turn
		t.Errorf("released %s, %v; want %s", got, err, want)
	}
}
