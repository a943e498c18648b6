package breaker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Do calls f, which asks a server by other means than a [Transport], for a part. server names it as the host's operator is to see it.
// Where the server is left alone, f is not called and the error wraps ErrOpen; otherwise it is that of f. Each error of f is the
// server's fault, but after the context was cancelled, or where its deadline has passed and was less than 500 ms away when Do was
// called; a panic of f is not. f has to end with its context: as long as it has not, nobody else may try a server that is left alone.
func (o *Outbound) Do(ctx context.Context, part, server string, f func(context.Context) error) error {
	x, err := o.begin(ctx, part, server, func(error) bool { return true })
	if err != nil {
		return err
	}
	defer x.end(Neither) // of one that panics
	if err := f(ctx); err != nil {
		x.fail(err)
		return err
	}
	x.end(Good)
	return nil
}

// exchange is a question and its answer.
type exchange struct {
	outbound *Outbound
	server   *server // nil: there are too many that are left alone, and this one is not looked after
	fault    func(error) bool
	pass     Pass
	ctx      context.Context
	hurried  bool // a deadline is too near for the server to be expected to keep it
	once     sync.Once
}

// begin gives the right to ask a server, or ErrOpen.
func (o *Outbound) begin(ctx context.Context, part, authority string, fault func(error) bool) (*exchange, error) {
	x := &exchange{outbound: o, server: o.of(part, authority), fault: fault, ctx: ctx}
	if deadline, ok := ctx.Deadline(); ok {
		x.hurried = time.Until(deadline) < o.fair
	}
	o.tell()
	if x.server == nil {
		return x, nil
	}
	var err error
	if x.pass, err = x.server.Enter(); err != nil {
		return nil, fmt.Errorf("%s: %w (it %s)", authority, err, o.why(x.server))
	}
	return x, nil
}

// end says what came of it; what is said first counts. A nil exchange has been handed on.
func (x *exchange) end(r Result) {
	if x != nil {
		x.once.Do(func() {
			x.pass.Leave(r)
			x.outbound.tell()
		})
	}
}

// bad says that it did not work, and why.
func (x *exchange) bad(why string) {
	x.once.Do(func() {
		if x.server != nil {
			x.outbound.failed(x.server, why)
		}
		x.pass.Leave(Bad)
		x.outbound.tell()
	})
}

// fail says that it ended with an error.
func (x *exchange) fail(err error) {
	deadline, bounded := x.ctx.Deadline()
	late := bounded && !time.Now().Before(deadline) // also where a client's time-out came before its context's
	switch {
	case errors.Is(x.ctx.Err(), context.Canceled) || late && x.hurried || !x.fault(err):
		x.end(Neither)
	case late:
		x.bad(reason(context.DeadlineExceeded))
	default:
		x.bad(reason(err))
	}
}

// reason says in words of our own what is wrong with a server: errors repeat what it sent.
func reason(err error) string {
	var dns *net.DNSError
	var timeout interface{ Timeout() bool }
	var op *net.OpError
	switch {
	case errors.As(err, &dns):
		return "has a name that cannot be resolved"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "does not answer in time"
	case errors.As(err, &op) && op.Op == "dial":
		return "cannot be reached"
	}
	return "does not answer as it should"
}
