package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/realmgate/realmgate/sdk/breaker"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// longest bounds a call whose context has no deadline, and the wait for another process with it.
const longest = 30 * time.Second

// do makes a call of instances that one process has to serve. A call that was lost with its process is made once more if the
// contract says that it may be, and another process is ready within the deadline; but not if it was alone: a request that ends
// its plugin would do so twice, and with the second process take the calls of others with it.
//
// Two breakers guard it. That of the plugin opens when the plugin itself is at fault, see learn. gate, nil if there is none,
// is that of one realm's way to the plugin, or of one store's: it opens when the deadline passes again and again, whose fault
// that may be, or when its calls, alone, end the plugin; nobody else is kept waiting for it.
func (p *supervised) do(ctx context.Context, name string, gate *breaker.Breaker, all []*instance, f func(*process, []uint64) error) error {
	if _, ok := ctx.Deadline(); !ok {
		limited, cancel := context.WithTimeout(ctx, longest)
		defer cancel()
		ctx = limited
	}
	flops := p.flopped()
	lost, alone, err := p.once(ctx, name, gate, all, f)
	if errors.Is(err, rpc.ErrRepeatable) && !alone && p.await(ctx, all, lost, flops) {
		p.counts.retries.Add(1)
		_, _, err = p.once(ctx, name, gate, all, f)
	}
	return err
}

// once makes a call and counts it. x is the process that it was made on, nil if it was made on none; alone says that it was
// the only one there when the process was lost.
func (p *supervised) once(ctx context.Context, name string, gate *breaker.Breaker, all []*instance, f func(*process, []uint64) error) (x *process, alone bool, err error) {
	var ids []uint64
	x, ids, err = p.bound(all)
	if err != nil {
		p.counts.end(OutcomeUnavailable)
		return nil, false, err
	}
	pass, err := p.breaker.Enter()
	if err != nil {
		p.counts.end(OutcomeUnavailable)
		return nil, false, fmt.Errorf("plugin %s: %s%w: calls of the plugin failed too often: %w", p.src.Name, name, ErrUnavailable, err)
	}
	var through breaker.Pass
	if gate != nil {
		if through, err = gate.Enter(); err != nil {
			pass.Leave(breaker.Neither)
			p.counts.end(OutcomeUnavailable)
			return nil, false, fmt.Errorf("plugin %s: %s%w: there was no answer in time too often, or the plugin ended instead: %w", p.src.Name, name, ErrUnavailable, err)
		}
	}
	learn := p.learn(ctx, x, ids, pass, through)
	gone := x.child.Gone() // before anything was sent: it is not this call that ended it
	x.under.enter()
	var o Outcome // of a call that panics: none
	defer func() {
		alone = x.under.leave(o == OutcomeLost) && !gone
		learn(o, alone)
	}()
	err = f(x, ids)
	o = outcomeOf(ctx, err)
	p.counts.end(o)
	return x, alone, p.fault(name, err)
}

// bound says where the instances are served now; an error of ErrUnavailable if nowhere.
func (p *supervised) bound(all []*instance) (x *process, ids []uint64, err error) {
	ids = make([]uint64, len(all))
	for n, i := range all {
		b, err := i.at()
		if err != nil {
			return nil, nil, err
		}
		if x == nil {
			x = b.x
		}
		if b.x != x { // the process was replaced just now; nothing was sent
			return nil, nil, fmt.Errorf("plugin %s: %w: it is being restarted%w", p.src.Name, ErrUnavailable, silent{rpc.ErrRepeatable})
		}
		ids[n] = b.id
	}
	return x, ids, nil
}

// silent has an error in its chain without a text.
type silent struct{ error }

func (silent) Error() string   { return "" }
func (s silent) Unwrap() error { return s.error }

// fair is the least time in which a plugin can be expected to answer: that a call which had less was not answered says nothing.
const fair = 100 * time.Millisecond

// stuckAfter is how long a call may go on in a plugin after the host gave it up.
const stuckAfter = time.Second

// newGate gives a breaker for one realm's way to a plugin, or one store's.
func newGate() *breaker.Breaker { return breaker.New(breaker.Config{}) }

// learn gives what is to be called with the outcome of a call. Whoever answers works, whatever the answer is. A deadline that
// passes is the fault of the way to the plugin; the plugin itself is at fault only if it does not even let go of what the host
// gave up: a part that waits for a provider does let go. So nobody who has a provider that hangs closes the plugin to others.
// A process that has ended is replaced, which is more than a breaker could do; but if a call was alone in it, the way to it is
// at fault.
func (p *supervised) learn(ctx context.Context, x *process, ids []uint64, pass, through breaker.Pass) func(o Outcome, alone bool) {
	start := time.Now()
	return func(o Outcome, alone bool) {
		result := breaker.Neither
		switch o {
		case OutcomeDone, OutcomeDenied, OutcomeFailed:
			result = breaker.Good
		case OutcomeLost:
			if x.child.Gone() {
				pass.Leave(result)
				through.Leave(badIf(alone))
				return
			}
			go func() { // a connection ends before its process is known to have ended
				select {
				case <-x.child.Exited():
					pass.Leave(breaker.Neither)
					through.Leave(badIf(alone))
				case <-time.After(stuckAfter):
					pass.Leave(breaker.Bad)
					through.Leave(breaker.Neither)
				}
			}()
			return
		case OutcomeDeadline:
			if time.Since(start) < fair {
				break
			}
			through.Leave(breaker.Bad)
			ids = slices.Clone(ids)
			time.AfterFunc(stuckAfter, func() {
				if x.Stuck(stuckAfter/2, ids...) > 0 && !x.child.Gone() {
					pass.Leave(breaker.Bad)
				} else {
					pass.Leave(breaker.Neither)
				}
			})
			return
		}
		pass.Leave(result)
		through.Leave(result)
	}
}

func badIf(bad bool) breaker.Result {
	if bad {
		return breaker.Bad
	}
	return breaker.Neither
}

// flopped counts the starts in a row that came to nothing.
func (p *supervised) flopped() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.flops
}

// await waits until a process other than the one that was lost serves the instances; false if ctx ends first, or a start came
// to nothing meanwhile: the next one may be far away. What the lost one remembers of the call does not count: it might take it
// for a replay.
func (p *supervised) await(ctx context.Context, all []*instance, lost *process, flops int) bool {
	for {
		p.mu.Lock()
		woken, over := p.woken, p.flops > flops || !p.drains.IsZero() || p.ctx.Err() != nil
		var x *process
		served := true
		for _, i := range all {
			b := i.bound.Load()
			served = served && b != nil && b.x != lost && (x == nil || x == b.x)
			if b != nil {
				x = b.x
			}
			over = over || i.life == released
		}
		p.mu.Unlock()
		switch {
		case served:
			return true
		case over:
			return false
		}
		select {
		case <-woken:
		case <-ctx.Done():
			return false
		case <-p.ctx.Done():
			return false
		}
	}
}
