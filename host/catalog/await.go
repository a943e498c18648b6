package catalog

import (
	"context"
	"time"
)

// flopped counts the starts in a row that came to nothing.
func (p *supervised) flopped() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.flops
}

// await waits until a call that was lost can be made once more; false if ctx ends first, or a start came to nothing meanwhile: the
// next one may be far away. That is when a process other than the one that was lost serves the instances: what the lost one
// remembers of the call does not count, it might take it for a replay. A call without an effect can be made on the same process,
// if it turns out to live. Whether it does is known when its session is open again, or stuckAfter has passed.
func (p *supervised) await(ctx context.Context, all []*instance, on made, flops int, noEffect bool) bool {
	exited, slow := (<-chan struct{})(nil), time.NewTimer(stuckAfter)
	defer slow.Stop()
	if on.x != nil {
		exited = on.x.child.Exited()
	}
	for lives := false; ; {
		p.mu.Lock()
		woken, over := p.woken, p.flops > flops || !p.drains.IsZero() || p.ctx.Err() != nil
		var x *process
		served := true
		for _, i := range all {
			b := i.bound.Load()
			served = served && b != nil && (x == nil || x == b.x)
			if b != nil {
				x = b.x
			}
			over = over || i.life == released
		}
		p.mu.Unlock()
		lives = lives || on.x != nil && on.x.sessions.Load() > on.session
		switch {
		case served && x != on.x:
			return true
		case over:
			return false
		case lives && !on.x.child.Gone():
			return served && noEffect && !on.x.broken()
		}
		select {
		case <-woken:
		case <-exited:
			exited = nil
		case <-slow.C:
			lives = on.x != nil
		case <-ctx.Done():
			return false
		case <-p.ctx.Done():
			return false
		}
	}
}
