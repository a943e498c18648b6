package catalog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/realmgate/realmgate/sdk/breaker"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// longest bounds a call whose context has no deadline, and the wait for another process with it.
const longest = 30 * time.Second

// attempt makes a call in a process that serves the instances of a way, under these ids, within the time that ctx has. It says
// how many of them, from the first, have done their part; that counts on an error only.
type attempt func(ctx context.Context, x *process, ids []uint64) (done int, err error)

// do makes a call. One that was lost with its process is made once more if the contract says that it may be, and another
// process is ready within the deadline; one that was lost with its session only, whose process lives, as soon as the session is
// opened again, if it has no side effects. But not if it was alone: a request that ends its plugin, or its session, would do so
// twice, and take the calls of others with it.
//
// Two breakers guard it, that of the plugin and that of the way; see learn.
func (w *way) do(ctx context.Context, f attempt) error {
	if _, ok := ctx.Deadline(); !ok {
		limited, cancel := context.WithTimeout(ctx, longest)
		defer cancel()
		ctx = limited
	}
	p := w.p
	flops := p.flopped()
	on, err := w.once(ctx, f)
	if errors.Is(err, rpc.ErrRepeatable) && !on.alone && p.await(ctx, w.all, on, flops, errors.Is(err, rpc.ErrNoEffect)) {
		p.counts.retries.Add(1)
		_, err = w.once(ctx, f)
	}
	return err
}

// made says where a call was made, and how it went there.
type made struct {
	x       *process // nil: nowhere
	session uint64   // of it
	alone   bool     // it was the only one there when the process, or its session, was lost
}

// once makes a call and counts it.
func (w *way) once(ctx context.Context, f attempt) (on made, err error) {
	p := w.p
	x, ids, err := w.bound()
	if err != nil {
		p.counts.end(OutcomeUnavailable)
		return on, err
	}
	pass, err := p.breaker.Enter()
	if err != nil {
		p.counts.end(OutcomeUnavailable)
		return on, fmt.Errorf("plugin %s: %s%w: calls of the plugin failed too often: %w", p.src.Name, w.name, ErrUnavailable, err)
	}
	through, err := w.enter()
	if err != nil {
		pass.Leave(breaker.Neither)
		p.counts.end(OutcomeUnavailable)
		return on, fmt.Errorf("plugin %s: %s%w: there was no answer in time too often, or the plugin ended instead: %w", p.src.Name, w.name, ErrUnavailable, err)
	}
	start := time.Now()
	on.x, on.session = x, x.sessions.Load()
	learn := p.learn(on, start, ids, pass, through)
	gone := x.child.Gone() || x.broken() // before anything was sent: it is not this call that ended it
	x.under.enter()
	var o Outcome // of a call that panics: none
	defer func() {
		on.alone = x.under.leave(on.session, o == OutcomeLost) && !gone
		learn(o, on.alone)
	}()
	done, err := f(ctx, x, ids)
	o = outcomeOf(ctx, err)
	p.counts.end(o)
	if w.judged && (o != OutcomeDeadline || time.Since(start) >= fair) {
		w.judge(o, done, err)
	}
	return on, w.fault(err)
}

// bound says where the instances are served now; an error of ErrUnavailable if nowhere.
func (w *way) bound() (x *process, ids []uint64, err error) {
	ids = make([]uint64, len(w.all))
	for n, i := range w.all {
		b, err := i.at()
		if err != nil {
			return nil, nil, err
		}
		if x == nil {
			x = b.x
		}
		if b.x != x { // the process was replaced just now; nothing was sent
			return nil, nil, fmt.Errorf("plugin %s: %w: it is being restarted%w", w.p.src.Name, ErrUnavailable, silent{rpc.ErrRepeatable})
		}
		ids[n] = b.id
	}
	return x, ids, nil
}

// silent has an error in its chain without a text.
type silent struct{ error }

func (silent) Error() string   { return "" }
func (s silent) Unwrap() error { return s.error }
