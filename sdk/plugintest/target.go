package plugintest

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
	"github.com/realmgate/realmgate/sdk/serve"
)

// startTimeout bounds the start of a binary; a cold one on a busy machine takes its time.
const startTimeout = time.Minute

// Target is a plugin to be tested; [InProcess] and [Binary] make one.
type Target struct {
	name  string
	start func(testing.TB) *connection
}

// connection is a running plugin.
type connection struct {
	cc     grpc.ClientConnInterface
	stdout func() string // what the plugin printed there; nil if nobody listens
	log    func() string // what it logged or printed to standard error
	// stop ends the plugin, so that everything that it printed has arrived.
	stop func()
}

// InProcess serves implementations in the process of the test. Over the contract all the same: what a plugin answers
// travels as messages.
func InProcess(impls ...sdk.Implementation) Target {
	return Target{name: "in process", start: func(t testing.TB) *connection {
		t.Helper()
		listener := bufconn.Listen(1 << 20)
		server := grpc.NewServer(grpc.MaxRecvMsgSize(rpc.MaxMessage), grpc.MaxSendMsgSize(rpc.MaxMessage))
		var log output
		plugin := &rpc.Server{
			Name: "in-process", Version: "test", Implementations: impls,
			Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		}
		if err := plugin.Register(server); err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = server.Serve(listener) // ends with Stop
		}()
		cc, err := grpc.NewClient("passthrough:///plugin", grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
		if err != nil {
			t.Fatal(err)
		}
		return &connection{cc: cc, log: log.String, stop: func() {
			_ = cc.Close()
			server.Stop()
			<-done
		}}
	}}
}

// Binary starts the binary at path as the host does: with mutual TLS and an empty environment.
func Binary(path string) Target {
	return Target{name: "binary", start: func(t testing.TB) *connection {
		t.Helper()
		var stdout, stderr output
		client := plugin.NewClient(&plugin.ClientConfig{
			HandshakeConfig: serve.Handshake, Plugins: serve.PluginSet(), Cmd: exec.Command(path), SkipHostEnv: true,
			AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC}, AutoMTLS: true, StartTimeout: startTimeout,
			GRPCDialOptions: []grpc.DialOption{grpc.WithDefaultCallOptions(
				grpc.MaxCallRecvMsgSize(rpc.MaxMessage), grpc.MaxCallSendMsgSize(rpc.MaxMessage))},
			Logger: hclog.NewNullLogger(), SyncStdout: &stdout, Stderr: &stderr,
		})
		cc, err := dispense(client)
		if err != nil {
			client.Kill()
			t.Fatalf("%s: %v", path, err)
		}
		return &connection{cc: cc, stdout: stdout.String, log: stderr.String, stop: client.Kill}
	}}
}

func dispense(client *plugin.Client) (grpc.ClientConnInterface, error) {
	protocol, err := client.Client()
	if err != nil {
		return nil, err
	}
	raw, err := protocol.Dispense(serve.PluginName)
	if err != nil {
		return nil, err
	}
	cc, ok := raw.(grpc.ClientConnInterface)
	if !ok {
		return nil, fmt.Errorf("the plugin is a %T", raw)
	}
	return cc, nil
}

// output is a buffer that one goroutine fills while another reads.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}
