package rpc

import (
	"context"
	"testing"
)

// TestCurrentWaits: a host call of a constructor that overtook Open finds the session, and none is waited for without end.
func TestCurrentWaits(t *testing.T) {
	t.Parallel()
	p, s := &plugin{}, &pluginSession{}
	found := make(chan *pluginSession)
	for range 3 {
		go func() { found <- p.current(t.Context()) }()
	}
	p.session.Store(s)
	p.arrivals.announce()
	for range 3 {
		if got := <-found; got != s {
			t.Error(got)
		}
	}
	p.session.Store(nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := p.current(ctx); got != nil {
		t.Error(got)
	}
}
