package remember

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/sdk"
)

// slow is a leg that says when it was called, and ends when it is let, or with its context.
type slow struct {
	leg
	begun chan context.Context
	let   chan error
}

func newSlow() *slow {
	l := &slow{begun: make(chan context.Context, 100), let: make(chan error)}
	l.act = func(ctx context.Context, _ *sdk.State) error {
		l.begun <- ctx
		select {
		case err := <-l.let:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return l
}

// ask decides beside the test.
func ask(ctx context.Context, p *pipeline.Plan, r sdk.Request) <-chan pipeline.Decision {
	out := make(chan pipeline.Decision, 1)
	go func() { out <- p.Decide(ctx, r) }()
	return out
}

// waitUsers waits until n wait for the one flight that there is.
func (w *world) waitUsers(t *testing.T, n int) {
	t.Helper()
	for t.Context().Err() == nil {
		w.flights.mu.Lock()
		users := 0
		for _, f := range w.flights.running {
			users += f.users
		}
		w.flights.mu.Unlock()
		if users == n {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func TestEqualRequestsAreDecidedOnce(t *testing.T) {
	w, l := newWorld(), newSlow()
	p := w.plan(t, "a", l, w.Section())
	var all []<-chan pipeline.Decision
	for range 10 {
		all = append(all, ask(t.Context(), p, bearer("x")))
	}
	other := ask(t.Context(), p, bearer("y"))
	<-l.begun
	<-l.begun
	w.waitUsers(t, 11)
	l.let <- nil
	l.let <- nil
	for _, c := range append(all, other) {
		d := <-c
		if d.Verdict != pipeline.Allowed || d.Principal.Name != "alice" || d.Roles[0] != "dev" {
			t.Errorf("%+v", d)
			continue
		}
		d.Roles[0] = "admin" // the race detector sees it if that is another one's
	}
	if s := w.Stats(); l.count() != 2 || s.Plan != 2 || s.Shared != 9 {
		t.Errorf("decided %d times, %+v", l.count(), s)
	}
}

// Who began may leave: the others get their answer. When nobody waits any more the work ends.
func TestWhoLeavesHurtsNobody(t *testing.T) {
	w, l := newWorld(), newSlow()
	p := w.plan(t, "a", l, w.Section())
	first, leaveFirst := context.WithCancel(t.Context())
	third, leaveThird := context.WithCancel(t.Context())
	defer leaveThird()
	a := ask(first, p, bearer("x"))
	<-l.begun
	b, c := ask(t.Context(), p, bearer("x")), ask(third, p, bearer("x"))
	w.waitUsers(t, 3)
	leaveFirst()
	leaveThird()
	if d := <-c; d.Verdict != pipeline.Unavailable || !errors.Is(d.Err, context.Canceled) {
		t.Errorf("who left got %+v", d)
	}
	w.waitUsers(t, 1)
	l.let <- nil
	if d := <-b; d.Verdict != pipeline.Allowed {
		t.Errorf("%+v", d)
	}
	<-a
	if l.count() != 1 {
		t.Errorf("decided %d times", l.count())
	}

	alone, leave := context.WithCancel(t.Context())
	d := ask(alone, p, bearer("y"))
	work := <-l.begun
	leave()
	<-work.Done()
	if !errors.Is(work.Err(), context.Canceled) {
		t.Errorf("it went on until %v", work.Err())
	}
	if got := <-d; got.Verdict != pipeline.Unavailable {
		t.Errorf("%+v", got)
	}
	e := ask(t.Context(), p, bearer("y")) // does not get what the one before left behind
	<-l.begun
	l.let <- nil
	if got := <-e; got.Verdict != pipeline.Allowed {
		t.Errorf("%+v", got)
	}
}

func TestPlanBoundsWaiting(t *testing.T) {
	w, l := newWorld(), newSlow()
	p := w.plan(t, "a", l, w.Section(), func(c *pipeline.Config) { c.Timeout = 20 * time.Millisecond })
	a, b := ask(t.Context(), p, bearer("x")), ask(t.Context(), p, bearer("x"))
	for _, c := range []<-chan pipeline.Decision{a, b} {
		if d := <-c; d.Verdict != pipeline.Unavailable || !errors.Is(d.Err, context.DeadlineExceeded) {
			t.Errorf("%+v", d)
		}
	}
	if s := w.Stats(); s.AllowedEntries+s.DeniedEntries != 0 {
		t.Errorf("a decision that was not made is kept: %+v", s)
	}
}

// An answer that a stage wants for one request only, such as one that takes each token once, is nobody else's, even at the same
// moment.
func TestAnswerForOneRequestIsNotShared(t *testing.T) {
	w, l := newWorld(), newSlow()
	wait := l.act
	l.act = func(ctx context.Context, s *sdk.State) error {
		s.Cache.NoStore = true
		if l.count() > 1 {
			return sdk.Deny("token_replayed", "")
		}
		return wait(ctx, s)
	}
	p := w.plan(t, "a", l, w.Section())
	a := ask(t.Context(), p, bearer("x"))
	<-l.begun
	b := ask(t.Context(), p, bearer("x"))
	w.waitUsers(t, 2)
	l.let <- nil
	if x, y := <-a, <-b; x.Verdict != pipeline.Allowed || y.Verdict != pipeline.Denied {
		t.Errorf("%v and %v, want one of them allowed", x.Verdict, y.Verdict)
	}
}

func TestPanicEndsOneFlight(t *testing.T) {
	w, l := newWorld(), newSlow()
	wait := l.act
	l.act = func(ctx context.Context, s *sdk.State) error {
		if err := wait(ctx, s); err != nil {
			panic(err)
		}
		return nil
	}
	p := w.plan(t, "a", l, w.Section())
	panicked := make(chan any, 1)
	go func() {
		defer func() { panicked <- recover() }()
		p.Decide(t.Context(), bearer("x"))
	}()
	<-l.begun
	b := ask(t.Context(), p, bearer("x"))
	w.waitUsers(t, 2)
	l.let <- errors.New("a leg")
	if d := <-b; d.Verdict != pipeline.Unavailable || d.Err == nil {
		t.Errorf("%+v", d)
	}
	if <-panicked == nil {
		t.Error("the panic was swallowed")
	}
	c := ask(t.Context(), p, bearer("x"))
	<-l.begun
	l.let <- nil
	if d := <-c; d.Verdict != pipeline.Allowed {
		t.Errorf("%+v", d)
	}
}
