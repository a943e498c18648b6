package rpc

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"

	"github.com/realmgate/realmgate/sdk"
)

// instance is one configured implementation.
type instance struct {
	kind  sdk.Kind
	setup sdk.Setup
	impl  any

	mu    sync.Mutex
	calls map[*visit]struct{}
	ended bool
	wary  int // quick calls that are left until the instance is no longer believed to block
}

// visit is a call that runs on an instance.
type visit struct {
	ctx   context.Context
	ended time.Time // when ctx was first seen to have ended
}

// instances is the table of a process.
type instances struct {
	logger *slog.Logger

	mu sync.RWMutex
	m  map[uint64]*instance // nil while the constructor runs

	blocking atomic.Int32 // instances with wary > 0
}

func newInstances(l *slog.Logger) *instances {
	return &instances{logger: l, m: map[uint64]*instance{}}
}

// reserve takes an id for an instance to be; false if it is in use.
func (t *instances) reserve(id uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, used := t.m[id]; used {
		return false
	}
	t.m[id] = nil
	return true
}

// fill puts the instance in its reserved place; nil gives the place up. False: it was released meanwhile.
func (t *instances) fill(id uint64, i *instance) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if old, reserved := t.m[id]; !reserved || old != nil {
		return false
	}
	if i == nil {
		delete(t.m, id)
	} else {
		t.m[id] = i
	}
	return true
}

func (t *instances) get(id uint64) *instance {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.m[id]
}

// acquire finds an instance and keeps it open until done. One of which too many calls do not end with their context takes
// no further ones: they would not end either, and what they hold is missing to the others.
func (t *instances) acquire(ctx context.Context, id uint64, k sdk.Kind) (*instance, *visit, error) {
	i := t.get(id)
	if i == nil || i.kind != k {
		return nil, nil, noInstance(id, k)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.ended {
		return nil, nil, noInstance(id, k)
	}
	if len(i.calls) >= maxHung && i.hung() >= maxHung {
		return nil, nil, failf(CodeError, "%d calls of the instance %d were given up and do not end", maxHung, id)
	}
	v := &visit{ctx: ctx}
	if i.calls == nil {
		i.calls = map[*visit]struct{}{}
	}
	i.calls[v] = struct{}{}
	return i, v, nil
}

func noInstance(id uint64, k sdk.Kind) error {
	return &ownFailure{failf(CodeUnknownInstance, "there is no instance %d of kind %v", id, k)}
}

// hung counts the calls that run on although they were given up a while ago.
func (i *instance) hung() int {
	n, now := 0, time.Now()
	for v := range i.calls {
		switch {
		case v.ctx.Err() == nil:
		case v.ended.IsZero():
			v.ended = now
		case now.Sub(v.ended) >= hungAfter:
			n++
		}
	}
	return n
}

func (t *instances) done(i *instance, v *visit) {
	i.mu.Lock()
	delete(i.calls, v)
	last := i.ended && len(i.calls) == 0
	i.mu.Unlock()
	if last {
		t.close(i)
	}
}

// release takes instances out of the table and closes them: those on which nothing runs before closed is, the others when their
// calls end.
func (t *instances) release(ids ...uint64) (closed <-chan struct{}) {
	var closing sync.WaitGroup
	for _, id := range ids {
		if i := t.end(id); i != nil {
			closing.Go(func() { t.close(i) })
		}
	}
	out := make(chan struct{})
	go func() {
		closing.Wait()
		close(out)
	}()
	return out
}

// end gives an instance that was in the table if nothing runs on it; else its last call closes it.
func (t *instances) end(id uint64) *instance {
	t.mu.Lock()
	i := t.m[id]
	delete(t.m, id)
	t.mu.Unlock()
	if i == nil {
		return nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	last := !i.ended && len(i.calls) == 0
	i.ended = true
	t.setWary(i, 0)
	if !last {
		return nil
	}
	return i
}

// took notes how long a call kept an instance.
func (t *instances) took(id uint64, d time.Duration) {
	if d <= patience && t.blocking.Load() == 0 {
		return
	}
	i := t.get(id)
	if i == nil {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case i.ended:
	case d > patience:
		t.setWary(i, waryFor)
	case i.wary > 0:
		t.setWary(i, i.wary-1)
	}
}

func (t *instances) setWary(i *instance, n int) {
	switch {
	case i.wary == 0 && n > 0:
		t.blocking.Add(1)
	case i.wary > 0 && n == 0:
		t.blocking.Add(-1)
	}
	i.wary = n
}

// block says whether one of the steps is likely to keep who runs it.
func (t *instances) block(steps []*pluginv1.Step) bool {
	if t.blocking.Load() == 0 {
		return false
	}
	for _, step := range steps {
		if i := t.get(step.GetInstanceId()); i != nil {
			i.mu.Lock()
			wary := i.wary
			i.mu.Unlock()
			if wary > 0 {
				return true
			}
		}
	}
	return false
}

// close closes what can be closed. There is nobody left to tell of an error but the log.
func (t *instances) close(i *instance) {
	c, ok := i.impl.(io.Closer)
	if !ok {
		return
	}
	if err := sdk.Guard(c.Close); err != nil {
		t.logger.LogAttrs(context.Background(), slog.LevelWarn, "an instance could not be closed",
			slog.String("kind", i.kind.String()), slog.String("error", err.Error()))
	}
}
