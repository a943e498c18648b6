package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// checksAtOnce is how many instances are checked at a time.
const checksAtOnce = 64

// Check asks the instances that were made for this set whether they can do their work now: whether their provider is reached,
// their store lets them in. What is wrong is a diagnostic each, in the order of hs, Index being the place there: the settings
// may be right. Instances that are shared pass, as do those that cannot tell, since they lack [sdk.Checker]. Those whose turn
// does not come in time do not pass.
func (s *Set) Check(ctx context.Context, hs []Handle) []Diagnostic {
	limited, cancel := context.WithTimeoutCause(ctx, s.c.opts.ChecksTimeout, errChecks)
	defer cancel()
	found := make([]*Diagnostic, len(hs))
	slots := make(chan struct{}, checksAtOnce)
	var wg sync.WaitGroup
	for n, h := range hs {
		if h.inst == nil || !h.inst.madeFor(s) {
			continue
		}
		slots <- struct{}{} // each takes CheckTimeout at most, and nothing once the time is over
		wg.Go(func() {
			defer func() { <-slots }()
			if err := h.inst.check(limited); err != nil {
				found[n] = &Diagnostic{Index: n, Unavailable: true, Summary: err.Error()}
			}
		})
	}
	wg.Wait()
	var out []Diagnostic
	for _, d := range found {
		if d != nil {
			out = append(out, *d)
		}
	}
	return out
}

// errChecks says that there was no time left.
var errChecks = errors.New("the time for all checks was over")

func (i *instance) check(ctx context.Context) error {
	at, err := i.at()
	if err != nil {
		return err
	}
	if !i.can(sdk.AbilityChecker) {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, i.p.c.opts.CheckTimeout)
	defer cancel()
	err = i.p.c.clean(at.x.Check(limited, i.in.Setup.Realm, i.in.Kind, at.id), i.confided.hide)
	// A plugin that knows the deadline may say that it has passed before ctx does: whose it was is told by the nearer one.
	nearer, _ := limited.Deadline()
	all, bounded := ctx.Deadline()
	late := errors.Is(err, context.DeadlineExceeded) && bounded && nearer.Equal(all)
	switch {
	case err != nil && ctx.Err() != nil && !errors.Is(context.Cause(ctx), errChecks):
		return ctx.Err()
	case err != nil && ctx.Err() != nil, late:
		return fmt.Errorf("it is not known whether it can do its work: not all parts said so within %v", i.p.c.opts.ChecksTimeout)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("it does not say within %v whether it can do its work: %w", i.p.c.opts.CheckTimeout, err)
	}
	return err
}

// can says whether the instance has an ability.
func (i *instance) can(a sdk.Ability) bool {
	i.p.mu.Lock()
	defer i.p.mu.Unlock()
	return slices.ContainsFunc(i.p.manifest.Offers, func(o rpc.Offer) bool {
		return o.Kind == i.in.Kind && o.Type == i.in.Type && slices.Contains(o.Abilities, a)
	})
}
