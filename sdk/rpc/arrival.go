package rpc

import (
	"context"
	"sync/atomic"
	"time"
)

// arrivalPatience is how long a host call waits for a session.
const arrivalPatience = 2 * time.Second

// arrivals lets host calls wait for a session: a Configure that the host sends behind its Open may overtake it, and a
// session that broke is opened again. The zero arrivals is ready to use.
type arrivals struct{ next atomic.Pointer[chan struct{}] }

func (a *arrivals) wait() <-chan struct{} {
	for {
		if ch := a.next.Load(); ch != nil {
			return *ch
		}
		ch := make(chan struct{})
		a.next.CompareAndSwap(nil, &ch)
	}
}

func (a *arrivals) announce() {
	if ch := a.next.Swap(nil); ch != nil {
		close(*ch)
	}
}

// current gives the session; nil if there is none and none comes.
func (p *plugin) current(ctx context.Context) *pluginSession {
	if s := p.session.Load(); s != nil {
		return s
	}
	ctx, cancel := context.WithTimeout(ctx, arrivalPatience)
	defer cancel()
	for {
		arrived := p.arrivals.wait() // before the look: an arrival behind it is announced
		if s := p.session.Load(); s != nil {
			return s
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return p.session.Load()
		}
	}
}
