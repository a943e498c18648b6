package catalog

import "context"

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
