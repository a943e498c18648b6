package child

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/realmgate/realmgate/sdk/rpc"
	"github.com/realmgate/realmgate/sdk/serve"
)

const (
	// StopGrace is how long a process may take to end by itself; go-plugin waits no longer than that either.
	StopGrace = 2 * time.Second
	// KillGrace is how long the system may take to end a process that was killed.
	KillGrace = 5 * time.Second
)

// Options is how a process is started.
type Options struct {
	Logger    hclog.Logger  // has the plugin's name; takes what the process prints
	Handshake time.Duration // from the start to the handshake
	Connect   time.Duration // from the handshake to the first connection
	// Printed is told of all that the process prints, as it comes and in no lines: before anything is hidden, and also what is cut or
	// dropped. The bytes are valid until it returns. For who looks for what must not be printed; nil: nobody does.
	Printed func(s Stream, p []byte)
	Dropped func(lines int) // is told how many lines that the process printed were not logged, from time to time; nil: nobody is
	User    *User           // whom it runs as; nil: the daemon's own user. The program must be made for it, see [Program.Others]
}

// Stream is where a process prints to.
type Stream string

// The streams. Of the standard output it is what comes behind the handshake.
const (
	Stdout Stream = "stdout"
	Stderr Stream = "stderr"
)

// Process is a plugin process that has shaken hands. It is safe for concurrent use.
type Process struct {
	child  *child
	client *plugin.Client
	conn   grpc.ClientConnInterface
	health grpc_health_v1.HealthClient
}

// Start starts a process of an image and shakes hands with it. The error is a [*Refusal] where the process is at fault, and
// nothing is left of it then. The end of ctx ends the start, not a process that has started.
func (s *Starter) Start(ctx context.Context, i *Image, o Options) (p *Process, err error) {
	if err := i.again(); err != nil {
		return nil, err
	}
	dir, err := s.socketDir()
	if err != nil {
		return nil, err
	}
	if err := s.settle(o.User, i, dir); err != nil {
		return nil, errors.Join(err, os.Remove(dir))
	}
	g, err := s.groups.of(filepath.Base(dir), i.program.Limits)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("no control group: %w", err), os.Remove(dir))
	}
	out := newOutput(o.Logger, i.budget)
	out.count, out.printed = o.Dropped, o.Printed
	c := newChild(i, dir, out, s, o.Handshake)
	c.group, c.user = g, o.User
	admit(o.Logger, c.limits(), g, o.User)
	p = &Process{child: c}
	p.client = plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  serve.Handshake,
		Plugins:          serve.PluginSet(),
		RunnerFunc:       c.run,
		UnixSocketConfig: &plugin.UnixSocketConfig{TempDir: dir},
		SkipHostEnv:      true,
		AutoMTLS:         i.program.TLS,
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		StartTimeout:     o.Handshake + KillGrace, // the child's own is what counts
		Logger:           hclog.NewNullLogger(),
		SyncStdout:       c.out.from(Stdout),
		SyncStderr:       c.out.from(Stderr),
		GRPCDialOptions:  c.dialOptions(),
	})
	defer func() {
		if err != nil {
			p.Stop(0, nil)
			p = nil
		}
	}()
	defer context.AfterFunc(ctx, func() { p.End(ReasonStopped, "was stopped before it was ready") })()
	if err = p.connect(o); err == nil {
		err = p.runsAs(o.User)
	}
	return p, err
}

// run hands the child to go-plugin, with what go-plugin adds to the environment.
func (c *child) run(_ hclog.Logger, cmd *exec.Cmd, _ string) (runner.Runner, error) {
	c.env = append(c.env, cmd.Env...)
	return c, nil
}

// dialOptions is how a process is called.
func (c *child) dialOptions() []grpc.DialOption {
	out := []grpc.DialOption{grpc.WithStreamInterceptor(openStream),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(rpc.MaxMessage), grpc.MaxCallSendMsgSize(rpc.MaxMessage))}
	if c.user != nil {
		out = append(out, grpc.WithContextDialer(c.dial))
	}
	return out
}

// connect shakes hands within the time: go-plugin's client cannot be given one for the whole of it.
func (p *Process) connect(o Options) error {
	slow := time.AfterFunc(o.Handshake+o.Connect, func() { p.End(ReasonTimeout, "shook hands but does not take connections") })
	client, err := p.client.Client()
	slow.Stop()
	if err != nil {
		p.child.kill()
		p.child.await(KillGrace)
		return p.child.why(err)
	}
	raw, err := client.Dispense(serve.PluginName)
	if err != nil {
		return &Refusal{Reason: ReasonHandshake, Detail: "cannot be used: " + Safe(err.Error(), maxTail), Err: err}
	}
	conn, ok := raw.(grpc.ClientConnInterface)
	if !ok {
		return &Refusal{Reason: ReasonHandshake, Detail: fmt.Sprintf("cannot be used: go-plugin gave a %T", raw)}
	}
	p.conn, p.health = conn, grpc_health_v1.NewHealthClient(conn)
	return nil
}

// Conn is where the process is called.
func (p *Process) Conn() grpc.ClientConnInterface { return p.conn }

// PID gives the process id.
func (p *Process) PID() int { return p.child.pid() }

// Exited is closed when the process has ended.
func (p *Process) Exited() <-chan struct{} { return p.child.exited }

// Gone says whether the process has ended.
func (p *Process) Gone() bool {
	select {
	case <-p.child.exited:
		return true
	default:
		return false
	}
}

// Kill ends the process and what it started, at once. It may be called at any time and more than once.
func (p *Process) Kill() { p.child.kill() }

// End kills the process and keeps the reason, a predicate, unless there was one before.
func (p *Process) End(r Reason, detail string) {
	p.child.refuse(r, detail)
	p.child.kill()
}

// Ended waits until a process that has ended is read to its end and says why it ended: a sentence about "the process". A *Refusal is
// in the chain if the host ended it.
func (p *Process) Ended() error {
	<-p.child.done
	return p.child.ended()
}

// Succeeded says whether the process has ended by itself, with the exit status 0.
func (p *Process) Succeeded() bool {
	if !p.Gone() {
		return false
	}
	p.child.mu.Lock()
	defer p.child.mu.Unlock()
	return p.child.refused == nil && p.child.exit == nil
}

// Answers says whether the process answers before ctx ends. Any answer of its own will do, also that it knows no such
// service; that nobody can be reached is none.
func (p *Process) Answers(ctx context.Context) bool {
	_, err := p.health.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: plugin.GRPCServiceName})
	code := status.Code(err)
	return code != codes.DeadlineExceeded && code != codes.Unavailable
}

// Stop ends the process: politely within grace, or until hurry is closed, then by force. When it returns nothing is left of
// the process, unless the system cannot end it.
func (p *Process) Stop(grace time.Duration, hurry <-chan struct{}) {
	killed := make(chan struct{})
	go func() { // Kill has no deadline of its own
		defer close(killed)
		p.client.Kill()
	}()
	if grace > 0 {
		select {
		case <-killed:
		case <-time.After(grace):
		case <-hurry:
		}
	}
	p.child.kill()
	p.child.await(KillGrace)
	select {
	case <-killed:
	case <-time.After(KillGrace):
	}
	p.child.group.close()
	p.child.out.close(pipeGrace)
	_ = os.RemoveAll(p.child.dir) // what is left is removed with the starter's own directory
}
