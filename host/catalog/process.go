package catalog

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/host/child"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// process is one plugin process that has shaken hands and said what it offers.
type process struct {
	*rpc.Process
	child    *child.Process
	manifest rpc.Manifest
	session  context.Context // lives as long as the process
	end      context.CancelFunc
	hurry    <-chan struct{} // closed when there is no time left to be polite
	under    underway
	sessions atomic.Uint64 // that were opened; another one with each that broke
	outbound outbound
}

// launch starts a process of the plugin, of the image that was loaded first, and opens its session. On an error nothing is
// left of it.
func (p *supervised) launch(ctx context.Context) (x *process, err error) {
	o := p.c.opts
	if p.image == nil {
		if p.image, err = child.Load(p.src.Program); err != nil {
			return nil, p.refused(err)
		}
	}
	if err := p.pin.Load().image(p.image.Digest()); err != nil {
		return nil, p.refused(err)
	}
	user, err := p.user(ctx)
	if err != nil {
		return nil, p.refused(err)
	}
	c, err := p.c.starter.Start(ctx, p.image, child.Options{User: user, Logger: p.prints(), Handshake: o.StartTimeout, Connect: o.DescribeTimeout, Dropped: p.counts.drop})
	if err != nil {
		return nil, p.refused(err)
	}
	x = &process{child: c, hurry: p.hurry}
	x.session, x.end = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			x.stop(0)
			x = nil
		}
	}()
	defer context.AfterFunc(ctx, func() { c.End(child.ReasonStopped, "was stopped before it was ready") })()
	return x, x.greet(ctx, p)
}

// prints gives the log of what the plugin's processes print.
func (p *supervised) prints() hclog.Logger {
	if of := p.c.opts.Prints; of != nil {
		if l := of(p.src.Name); l != nil {
			return l.With(p.log.ImpliedArgs()...)
		}
	}
	return p.log
}

// unload gives the image and the user free. No process is there, and none is started after it.
func (p *supervised) unload() {
	if p.taken != nil {
		p.c.starter.Give(*p.taken)
		p.taken = nil
	}
	if p.image != nil {
		p.image.Close()
		p.image = nil
	}
}

// refused names the plugin in an error of its process.
func (p *supervised) refused(err error) error {
	if r, ok := errors.AsType[*child.Refusal](err); ok {
		return &StartError{Plugin: p.src.Name, For: p.src.owner, Path: p.src.Path, Reason: r.Reason, Detail: r.Detail, Err: p.c.clean(r.Err, asIs)}
	}
	return fmt.Errorf("plugin %s: %w", p.src.title(), err)
}

// greet asks for the manifest and opens the session, each within its time: the opening of a stream cannot be given one.
func (x *process) greet(ctx context.Context, p *supervised) error {
	o := p.c.opts
	fail := func(r child.Reason, detail string, err error) error {
		return p.refused(&child.Refusal{Reason: r, Detail: detail, Err: err})
	}
	asked := &hostCalls{p: p, outbound: &x.outbound}
	x.Process = rpc.NewProcess(x.child.Conn(), asked)
	dctx, cancel := context.WithTimeout(ctx, o.DescribeTimeout)
	defer cancel()
	var err error
	if x.manifest, err = x.Describe(dctx, o.Version); err != nil {
		detail := "does not say what it offers: " + p.c.safe(err.Error())
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(dctx.Err(), context.DeadlineExceeded) {
			detail = fmt.Sprintf("does not say what it offers within %v", o.DescribeTimeout)
		}
		return fail(ReasonDescribe, detail, err)
	}
	if err := p.pin.Load().manifest(x.manifest); err != nil {
		return p.refused(err)
	}
	asked.offers = x.manifest.Offers
	if err := x.open(o.DescribeTimeout); err != nil {
		return fail(ReasonDescribe, "no session: "+p.c.safe(err.Error()), err)
	}
	return nil
}

// open opens the session stream, for the first time or again. A process that does not let it is killed.
func (x *process) open(timeout time.Duration) error {
	slow := time.AfterFunc(timeout, x.child.Kill)
	defer slow.Stop()
	if err := x.OpenSession(x.session); err != nil {
		return err
	}
	x.sessions.Add(1)
	return nil
}

// broken says whether the session is lost and has not been opened again.
func (x *process) broken() bool {
	select {
	case <-x.SessionLost(): // nil without a session
		return true
	default:
		return false
	}
}

// stop ends the process: politely within grace, then by force. When it returns nothing is left of the process, unless the
// system cannot end it.
func (x *process) stop(grace time.Duration) {
	x.child.Stop(grace, x.hurry)
	x.end()
}

// maxStuck is how many calls may go on in a process although the host gave them up: past some thousands it would take no
// more.
const maxStuck = 512

// maxMisses is how many probes in a row a process may leave unanswered.
const maxMisses = 2

// probe returns when the process has ended, and kills it if it hangs: one that the system has stopped, say, would never
// end by itself, nor break its session. told is told of each probe.
func (x *process) probe(ctx context.Context, interval, timeout time.Duration, told func(answered bool)) {
	for misses := 0; misses < maxMisses; {
		select {
		case <-time.After(interval):
		case <-x.child.Exited():
			return
		case <-ctx.Done():
			return
		}
		if x.Stuck(interval) > maxStuck {
			x.child.End(child.ReasonTimeout, fmt.Sprintf("has more than %d calls that do not end and was killed", maxStuck))
			return
		}
		if x.answers(ctx, timeout) {
			misses = 0
		} else {
			misses++
		}
		told(misses == 0)
	}
	x.child.End(child.ReasonTimeout, fmt.Sprintf("did not answer %d probes of %v and was killed", maxMisses, timeout))
}

// answers says whether the process answers in time. Where nobody can be reached, it is given a moment to turn out to have ended,
// which says more than its silence.
func (x *process) answers(ctx context.Context, timeout time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if x.child.Answers(ctx) {
		return true
	}
	select {
	case <-x.child.Exited():
	case <-time.After(goneGrace):
	case <-ctx.Done():
	}
	return false
}
