package catalog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
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
	// stopGrace is how long a process may take to end by itself; go-plugin waits no longer than that either.
	stopGrace = 2 * time.Second
	// killGrace is how long the system may take to end a process that was killed.
	killGrace = 5 * time.Second
)

// process is one plugin process that has shaken hands and said what it offers.
type process struct {
	*rpc.Process
	child    *child
	client   *plugin.Client
	manifest rpc.Manifest
	session  context.Context // lives as long as the process
	end      context.CancelFunc
	health   grpc_health_v1.HealthClient
	hurry    <-chan struct{} // closed when there is no time left to be polite
}

// launch starts the process of a source and opens its session. On an error nothing is left of it.
func (p *supervised) launch(ctx context.Context) (x *process, err error) {
	if err := verify(p.src); err != nil {
		return nil, err
	}
	dir, err := p.c.socketDir()
	if err != nil {
		return nil, fmt.Errorf("plugin %s: %w", p.src.Name, err)
	}
	o := p.c.opts
	x = &process{child: newChild(p.src, dir, &output{log: p.log}, p.c.starter, o.StartTimeout), hurry: p.hurry}
	x.session, x.end = context.WithCancel(context.Background())
	x.client = plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig: serve.Handshake, Plugins: serve.PluginSet(),
		RunnerFunc:       x.run,
		UnixSocketConfig: &plugin.UnixSocketConfig{TempDir: dir},
		SkipHostEnv:      true,
		AutoMTLS:         p.src.TLS,
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		StartTimeout:     o.StartTimeout + killGrace, // the child's own is what counts
		Logger:           hclog.NewNullLogger(),
		SyncStdout:       &lineWriter{emit: x.child.out.stdout},
		SyncStderr:       &lineWriter{emit: x.child.out.stderr},
		GRPCDialOptions: []grpc.DialOption{grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(rpc.MaxMessage), grpc.MaxCallSendMsgSize(rpc.MaxMessage))},
	})
	defer func() {
		if err != nil {
			x.stop(0)
			x = nil
		}
	}()
	unhook := context.AfterFunc(ctx, func() {
		x.child.refuse(ReasonStopped, "was stopped before it was ready")
		x.child.kill()
	})
	defer unhook()
	return x, x.greet(ctx, p)
}

// run hands the child to go-plugin, with what go-plugin adds to the environment.
func (x *process) run(_ hclog.Logger, cmd *exec.Cmd, _ string) (runner.Runner, error) {
	x.child.env = append(x.child.env, cmd.Env...)
	return x.child, nil
}

// greet shakes hands, asks for the manifest and opens the session, each within its time: neither go-plugin's client nor
// the opening of a stream can be given one.
func (x *process) greet(ctx context.Context, p *supervised) error {
	o := p.c.opts
	fail := func(r Reason, detail string, err error) error {
		err = p.c.clean(err)
		return &StartError{Plugin: p.src.Name, Path: p.src.Path, Reason: r, Detail: detail, Err: err}
	}
	slow := time.AfterFunc(o.StartTimeout+o.DescribeTimeout, func() {
		x.child.refuse(ReasonTimeout, "shook hands but does not take connections")
		x.child.kill()
	})
	client, err := x.client.Client()
	slow.Stop()
	if err != nil {
		x.child.kill()
		x.child.await(killGrace)
		why := x.child.why(err)
		return fail(why.reason, why.detail, err)
	}
	raw, err := client.Dispense(serve.PluginName)
	if err != nil {
		return fail(ReasonHandshake, "cannot be used: "+p.c.safe(err.Error()), err)
	}
	cc, ok := raw.(grpc.ClientConnInterface)
	if !ok {
		return fail(ReasonHandshake, fmt.Sprintf("cannot be used: go-plugin gave a %T", raw), nil)
	}
	x.Process, x.health = rpc.NewProcess(cc, &hostCalls{p}), grpc_health_v1.NewHealthClient(cc)
	dctx, cancel := context.WithTimeout(ctx, o.DescribeTimeout)
	defer cancel()
	if x.manifest, err = x.Describe(dctx, o.Version); err != nil {
		detail := "does not say what it offers: " + p.c.safe(err.Error())
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(dctx.Err(), context.DeadlineExceeded) {
			detail = fmt.Sprintf("does not say what it offers within %v", o.DescribeTimeout)
		}
		return fail(ReasonDescribe, detail, err)
	}
	if err := x.open(o.DescribeTimeout); err != nil {
		return fail(ReasonDescribe, "no session: "+p.c.safe(err.Error()), err)
	}
	return nil
}

// open opens the session stream, for the first time or again. A process that does not let it is killed.
func (x *process) open(timeout time.Duration) error {
	slow := time.AfterFunc(timeout, x.child.kill)
	defer slow.Stop()
	return x.OpenSession(x.session)
}

// stop ends the process: politely within grace, then by force. When it returns nothing is left of the process, unless the
// system cannot end it.
func (x *process) stop(grace time.Duration) {
	killed := make(chan struct{})
	go func() { // Kill has no deadline of its own
		defer close(killed)
		x.client.Kill()
	}()
	if grace > 0 {
		select {
		case <-killed:
		case <-time.After(grace):
		case <-x.hurry:
		}
	}
	x.child.kill()
	x.end()
	x.child.await(killGrace)
	select {
	case <-killed:
	case <-time.After(killGrace):
	}
	_ = os.RemoveAll(x.child.dir) // what is left is removed with the catalog's own directory
}

// answers says whether the process answers within the time. Any answer of its own will do, also that it knows no such
// service; that nobody can be reached is none.
func (x *process) answers(ctx context.Context, timeout time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	_, err := x.health.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: plugin.GRPCServiceName})
	code := status.Code(err)
	return code != codes.DeadlineExceeded && code != codes.Unavailable
}

// maxStuck is how many calls may go on in a process although the host gave them up: past some thousands it would take no
// more.
const maxStuck = 512

// maxMisses is how many probes in a row a process may leave unanswered.
const maxMisses = 2

// probe returns when the process has ended, and kills it if it hangs: one that the system has stopped, say, would never
// end by itself, nor break its session.
func (x *process) probe(ctx context.Context, interval, timeout time.Duration) {
	for misses := 0; misses < maxMisses; {
		select {
		case <-time.After(interval):
		case <-x.child.exited:
			return
		case <-ctx.Done():
			return
		}
		if x.Stuck(interval) > maxStuck {
			x.child.refuse(ReasonTimeout, fmt.Sprintf("has more than %d calls that do not end and was killed", maxStuck))
			x.child.kill()
			return
		}
		if x.answers(ctx, timeout) {
			misses = 0
		} else {
			misses++
		}
	}
	x.child.refuse(ReasonTimeout, fmt.Sprintf("did not answer %d probes of %v and was killed", maxMisses, timeout))
	x.child.kill()
}

// gone says whether the process has ended.
func (x *process) gone() bool {
	select {
	case <-x.child.exited:
		return true
	default:
		return false
	}
}
