package remember

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/realmgate/realmgate/host/pipeline"
)

// errEnded is what those are told who waited for a decision that a panic ended.
var errEnded = errors.New("the decision on an equal request ended without an answer")

// flights are the decisions that are under way.
type flights struct {
	now     func() moment
	mu      sync.Mutex
	running map[flightKey]*flight
}

// flightKey is what equal requests have in common that are decided at the same moment.
type flightKey struct {
	key   key
	epoch uint64
}

// flight is a decision that is under way. It goes on for as long as anybody waits for it, whoever began it, but no longer than
// the one who began it would.
type flight struct {
	ctx    context.Context
	cancel context.CancelFunc
	end    func() bool   // no longer watch the one who began
	users  int           // who waits; guarded by flights.mu
	done   chan struct{} // closed when there is an answer
	answer pipeline.Decision
	leave  func()

	begun, landed time.Duration // by the steady clock
	outOfTime     bool          // there is no answer because the time was over
}

// join gives the flight of a key that is under way, or a new one, which the caller is then to end with land, and when the caller
// came. ctx has the caller's deadline.
func (fs *flights) join(ctx context.Context, k flightKey) (f *flight, came time.Duration, first bool) {
	fs.mu.Lock()
	came = fs.now().steady
	f, ok := fs.running[k]
	if !ok {
		f = &flight{done: make(chan struct{}), begun: came}
		end, _ := ctx.Deadline()
		f.ctx, f.cancel = context.WithDeadline(context.WithoutCancel(ctx), end)
		f.leave = func() { fs.leave(f, k) }
		fs.running[k] = f
	}
	f.users++
	fs.mu.Unlock()
	if !ok {
		f.end = context.AfterFunc(ctx, func() {
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) { // the flight has the deadline itself: to the plan it is one, and no caller who left
				f.leave()
			}
		})
	}
	return f, came, !ok
}

// leave ends a flight for which nobody waits any more. Who comes later begins a new one.
func (fs *flights) leave(f *flight, k flightKey) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f.users--; f.users > 0 {
		return
	}
	f.cancel()
	if fs.running[k] == f {
		delete(fs.running, k)
	}
}

// land gives the answer to all who wait, who share it.
func (fs *flights) land(f *flight, k flightKey, d pipeline.Decision) {
	fs.mu.Lock()
	if fs.running[k] == f {
		delete(fs.running, k)
	}
	fs.mu.Unlock()
	f.answer, f.landed = d, fs.now().steady
	f.outOfTime = f.ctx.Err() != nil || errors.Is(d.Err, context.DeadlineExceeded)
	close(f.done)
	f.end()
	f.cancel()
}

// wait gives the answer, or false when ctx ends before there is one.
func (f *flight) wait(ctx context.Context) (pipeline.Decision, bool) {
	select {
	case <-f.done:
		return f.answer, true
	case <-ctx.Done():
		f.leave()
		return pipeline.Decision{}, false
	}
}

// tells says whether the flight's answer goes for one who came at a moment, and whom the plan gives a time. That we cannot tell
// goes for those who waited for most of it: to the others it may be told of a time that is not theirs.
func (f *flight) tells(came, timeout time.Duration) bool {
	took := f.landed - f.begun
	if f.outOfTime {
		took = max(took, timeout)
	}
	return f.answer.Verdict != pipeline.Unavailable || f.landed-came >= took/2
}
