package plugintest

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os/exec"
	"sync"
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

// Target is a plugin to be tested; [InProcess] and [Binary] make one, and so may who starts plugins in another way.
type Target struct {
	Name string
	// Start starts the plugin, each time anew. It is bounded in time by itself or ends with ctx, which does not end the plugin.
	Start func(ctx context.Context) (*Plugin, error)
}

// Plugin is a running plugin.
type Plugin struct {
	Conn   grpc.ClientConnInterface
	Stdout func() string // what it printed there behind the handshake; nil if nobody listens
	Log    func() string // what it logged or printed to standard error, as it came
	// Unseen is how many bytes of both were not kept; nil: everything is.
	Unseen func() int
	// Stop asks the plugin to end and sees to it that it does; everything that it printed has arrived then. The error says how a
	// process ended that did not end well by itself.
	Stop func() error

	// Kill ends the process at once; nil where there is none, as Ended is, which says how it ended, nil while it runs.
	Kill  func()
	Ended func() error
}

// gone says how the plugin's process ended; nil while it runs.
func (p *Plugin) gone() error {
	if p.Ended == nil {
		return nil
	}
	return p.Ended()
}

// InProcess serves implementations in the process of the test. Over the contract all the same: what a plugin answers
// travels as messages.
func InProcess(impls ...sdk.Implementation) Target {
	return Target{Name: "in process", Start: func(context.Context) (*Plugin, error) {
		listener := bufconn.Listen(1 << 20)
		server := grpc.NewServer(grpc.MaxRecvMsgSize(rpc.MaxMessage), grpc.MaxSendMsgSize(rpc.MaxMessage))
		log := output{most: maxOutput}
		plugin := &rpc.Server{
			Name: "in-process", Version: "test", Implementations: impls,
			Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		}
		if err := plugin.Register(server); err != nil {
			return nil, err
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = server.Serve(listener) // ends with Stop
		}()
		cc, err := grpc.NewClient("passthrough:///plugin", grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
		if err != nil {
			return nil, err
		}
		return &Plugin{Conn: cc, Log: log.String, Unseen: log.dropped, Stop: func() error {
			err := cc.Close()
			server.Stop()
			<-done
			return err
		}}, nil
	}}
}

// Binary starts the binary at path as the host does: with mutual TLS and an empty environment.
func Binary(path string) Target {
	return Target{Name: "binary", Start: func(context.Context) (*Plugin, error) {
		stdout, stderr := output{most: maxOutput}, output{most: maxOutput}
		cmd := exec.Command(path)
		client := plugin.NewClient(&plugin.ClientConfig{
			HandshakeConfig: serve.Handshake, Plugins: serve.PluginSet(), Cmd: cmd, SkipHostEnv: true,
			AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC}, AutoMTLS: true, StartTimeout: startTimeout,
			GRPCDialOptions: []grpc.DialOption{grpc.WithDefaultCallOptions(
				grpc.MaxCallRecvMsgSize(rpc.MaxMessage), grpc.MaxCallSendMsgSize(rpc.MaxMessage))},
			Logger: hclog.NewNullLogger(), SyncStdout: &stdout, Stderr: &stderr,
		})
		cc, err := dispense(client)
		if err != nil {
			client.Kill()
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		ended := func() error {
			if !client.Exited() {
				return nil
			}
			return fmt.Errorf("the process ended: %v", cmd.ProcessState)
		}
		return &Plugin{
			Conn: cc, Stdout: stdout.String, Log: stderr.String, Unseen: func() int { return stdout.dropped() + stderr.dropped() }, Kill: func() { _ = cmd.Process.Kill() }, Ended: ended,
			Stop: func() error {
				if err := ended(); err != nil {
					return err
				}
				client.Kill()
				if !cmd.ProcessState.Success() {
					return ended()
				}
				return nil
			},
		}, nil
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

// maxOutput is how many bytes of each stream of a plugin are kept.
const maxOutput = 16 << 20

// output is a buffer in bounds that one goroutine fills while another reads.
type output struct {
	most int

	mu   sync.Mutex
	b    bytes.Buffer
	lost int
}

// Write never fails: what is too much is counted.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	kept := p[:min(len(p), o.most-o.b.Len())]
	o.lost += len(p) - len(kept)
	o.b.Write(kept)
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func (o *output) dropped() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.lost
}
