package rpc

import (
	"context"
	"sync"
	"sync/atomic"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"

	"github.com/realmgate/realmgate/sdk"
)

// calls are what a process is doing for the host: legs, unary calls and Configures. A host call is answered only on
// behalf of one of them.
type calls struct {
	seq    atomic.Uint64
	slots  chan struct{}
	shares shares

	mu   sync.Mutex
	open map[uint64]*call
}

// call is one of them.
type call struct {
	id        uint64
	requestID string
	ctx       context.Context
	depth     int
	result    chan *pluginv1.LegResult // of a leg; nil for a unary call

	realm   string // of a leg or a unary call
	parties []Step
	lent    sdk.SecretRef     // of a Vend or a Sign
	realms  map[uint64]string // of a Configure: instance to realm; nil otherwise

	mu     sync.Mutex
	ended  bool
	host   context.Context // of its host calls; nil before the first
	cancel context.CancelFunc
}

func newCalls() *calls {
	return &calls{slots: make(chan struct{}, maxLegs), open: map[uint64]*call{}}
}

// shareKey says who pays for a call: the realm that is being served, else the instance that is called.
func (c *call) shareKey() shareKey {
	if c.realm == "" && len(c.parties) > 0 {
		return shareKey{instance: c.parties[0].Instance}
	}
	return shareKey{realm: c.realm}
}

// enter waits for a slot and registers the call. Who has many slow calls waits for a share of its own first, and holds no
// slot meanwhile. A call that serves a host call needs neither: the one that waits for it has them.
func (cs *calls) enter(c *call) error {
	c.depth = depthOf(c.ctx)
	if c.depth >= maxDepth {
		return failf(CodeError, "calls are nested deeper than %d: a part asks for what it is needed for itself", maxDepth)
	}
	if c.depth == 0 {
		if err := cs.shares.take(c.ctx, c.shareKey()); err != nil {
			return err
		}
		select {
		case cs.slots <- struct{}{}:
		case <-c.ctx.Done():
			cs.shares.giveBack(c.shareKey())
			return givenUp(c.ctx)
		}
	}
	c.id = cs.seq.Add(1)
	cs.mu.Lock()
	cs.open[c.id] = c
	cs.mu.Unlock()
	return nil
}

// leave ends the call and the host calls that it still has under way.
func (cs *calls) leave(c *call) {
	cs.mu.Lock()
	delete(cs.open, c.id)
	cs.mu.Unlock()
	c.mu.Lock()
	c.ended = true
	if c.cancel != nil {
		c.cancel()
	}
	c.mu.Unlock()
	if c.depth == 0 {
		<-cs.slots
		cs.shares.giveBack(c.shareKey())
	}
}

// Calls counts the calls that are under way on the process, those to configure instances included.
func (p *Process) Calls() int {
	p.calls.mu.Lock()
	defer p.calls.mu.Unlock()
	return len(p.calls.open)
}

func (cs *calls) get(id uint64) *call {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.open[id]
}

// caller says who asks, if the instance takes part in the call.
func (c *call) caller(instance uint64) (Caller, bool) {
	out := Caller{Instance: instance, Realm: c.realm, RequestID: c.requestID, Configuring: c.realms != nil, Lent: c.lent}
	if c.realms != nil {
		realm, ok := c.realms[instance]
		out.Realm = realm
		return out, ok
	}
	for _, p := range c.parties {
		if p.Instance == instance {
			return out, true
		}
	}
	return Caller{}, false
}

// hostContext gives the context of the call's host calls, which host answers; false once the call has ended.
func (c *call) hostContext(host HostServices) (context.Context, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return nil, false
	}
	if c.host == nil {
		ctx := context.WithValue(c.ctx, depthKey{}, c.depth+1)
		if s, ok := host.(CallScoper); ok {
			ctx = s.Scope(ctx)
		}
		c.host, c.cancel = context.WithCancel(ctx)
	}
	return c.host, true
}

type depthKey struct{}

// depthOf says how many calls ctx is nested in.
func depthOf(ctx context.Context) int {
	n, _ := ctx.Value(depthKey{}).(int)
	return n
}
