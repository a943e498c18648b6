package rpc

import (
	"context"
	"io"
	"log/slog"
	"sync"

	"github.com/realmgate/realmgate/sdk"
)

// instance is one configured implementation.
type instance struct {
	kind  sdk.Kind
	setup sdk.Setup
	impl  any

	mu      sync.Mutex
	running int
	ended   bool
}

// instances is the table of a process.
type instances struct {
	logger *slog.Logger

	mu sync.RWMutex
	m  map[uint64]*instance // nil while the constructor runs
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

// acquire finds an instance and keeps it open until done; nil if there is none of the kind.
func (t *instances) acquire(id uint64, k sdk.Kind) *instance {
	t.mu.RLock()
	i := t.m[id]
	t.mu.RUnlock()
	if i == nil || i.kind != k {
		return nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.ended {
		return nil
	}
	i.running++
	return i
}

func (t *instances) done(i *instance) {
	i.mu.Lock()
	i.running--
	last := i.ended && i.running == 0
	i.mu.Unlock()
	if last {
		t.close(i)
	}
}

// release takes an instance out of the table and closes it once nothing runs on it.
func (t *instances) release(id uint64) {
	t.mu.Lock()
	i := t.m[id]
	delete(t.m, id)
	t.mu.Unlock()
	if i == nil {
		return
	}
	i.mu.Lock()
	last := !i.ended && i.running == 0
	i.ended = true
	i.mu.Unlock()
	if last {
		go t.close(i)
	}
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
