package remember

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/sdk"
)

// begins waits until the leg is called, and gives the context of that call.
func (l *slow) begins(t *testing.T) context.Context {
	t.Helper()
	select {
	case ctx := <-l.begun:
		return ctx
	case <-time.After(30 * time.Second):
		t.Fatal("nobody decides")
		return nil
	}
}

// one makes the answers of a leg be for one request only.
func one(l *slow) {
	wait := l.act
	l.act = func(ctx context.Context, s *sdk.State) error { s.Cache.NoStore = true; return wait(ctx, s) }
}

// Who waited for an answer that is for another request only has no more time than at first, and who comes after that does not wait
// for others.
func TestNobodyQueuesForWhatIsNotShared(t *testing.T) {
	w, l := newWorld(), newSlow()
	one(l)
	p := w.plan(t, "a", l, w.Section())
	a := ask(t.Context(), p, bearer("x"))
	l.begins(t)
	b := ask(t.Context(), p, bearer("x"))
	w.waitUsers(t, 2)
	latest := time.Now().Add(p.Timeout())
	time.Sleep(20 * time.Millisecond) // which b has spent
	l.let <- nil
	if end, _ := l.begins(t).Deadline(); end.After(latest) {
		t.Errorf("the second one has %v more than it had", end.Sub(latest))
	}
	l.let <- nil
	<-a
	<-b
	c, d := ask(t.Context(), p, bearer("x")), ask(t.Context(), p, bearer("x"))
	l.begins(t)
	l.begins(t)
	l.let <- nil
	l.let <- nil
	for _, c := range []<-chan pipeline.Decision{c, d} {
		if d := <-c; d.Verdict != pipeline.Allowed {
			t.Errorf("%+v", d)
		}
	}

	// An answer that may be kept ends that, also one about another token.
	l.act = nil
	p.Decide(t.Context(), bearer("y"))
	again := newSlow()
	l.act = again.act
	e, f := ask(t.Context(), p, bearer("x")), ask(t.Context(), p, bearer("x"))
	again.begins(t)
	w.waitUsers(t, 2)
	again.let <- nil
	<-e
	<-f
	if s := w.Stats(); s.Shared != 1 {
		t.Errorf("%+v", s)
	}
}

// Whatever a stage says for one request only is told to nobody else, also that it cannot tell.
func TestFaultOfOneRequestIsNotShared(t *testing.T) {
	w, l := newWorld(), newSlow()
	one(l)
	p := w.plan(t, "a", l, w.Section())
	a := ask(t.Context(), p, bearer("x"))
	l.begins(t)
	b := ask(t.Context(), p, bearer("x"))
	w.waitUsers(t, 2)
	l.let <- errors.New("this peer has asked too often")
	l.begins(t)
	l.let <- nil
	if x, y := <-a, <-b; x.Verdict != pipeline.Unavailable || y.Verdict != pipeline.Allowed {
		t.Errorf("%v and %v", x.Verdict, y.Verdict)
	}
}

// That we cannot tell is told to those who waited for most of the time; who came late decides anew.
func TestLateOnesAskAgain(t *testing.T) {
	for _, tt := range []struct {
		name          string
		before, after time.Duration // of the second one's coming
		fault         error
		again         bool
	}{
		{"there all the time", 0, time.Second, errors.New("down"), false},
		{"there for half of it", time.Second, time.Second, errors.New("down"), false},
		{"late", 2 * time.Second, time.Second, errors.New("down"), true},
		{"there all the time that the plan has", 0, 10 * time.Second, context.DeadlineExceeded, false},
		{"there when the time of another one was over", 0, 4 * time.Second, context.DeadlineExceeded, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, l := newWorld(), newSlow()
			p := w.plan(t, "a", l, w.Section())
			a := ask(t.Context(), p, bearer("x"))
			l.begins(t)
			w.pass(tt.before, tt.before)
			b := ask(t.Context(), p, bearer("x"))
			w.waitUsers(t, 2)
			w.pass(tt.after, tt.after)
			l.let <- tt.fault
			if x := <-a; x.Verdict != pipeline.Unavailable {
				t.Errorf("%+v", x)
			}
			want := pipeline.Unavailable
			if tt.again {
				l.begins(t)
				l.let <- nil
				want = pipeline.Allowed
			}
			if y := <-b; y.Verdict != want {
				t.Errorf("%+v", y)
			}
		})
	}
}

// What is made up, and denied for one request only, does not end for a realm that equal requests share an answer.
func TestDenialsDoNotEndSharing(t *testing.T) {
	w, l := newWorld(), newSlow()
	wait := l.act
	l.act = func(_ context.Context, s *sdk.State) error {
		s.Cache.NoStore = true
		return sdk.Deny("key_unknown", "no such key")
	}
	p := w.plan(t, "a", l, w.Section())
	if d := p.Decide(t.Context(), bearer("made up")); d.Verdict != pipeline.Denied || !d.Alone {
		t.Fatalf("%+v", d)
	}
	l.act = wait
	a := ask(t.Context(), p, bearer("x"))
	l.begins(t)
	b := ask(t.Context(), p, bearer("x"))
	w.waitUsers(t, 2)
	l.let <- nil
	<-a
	<-b
	if s := w.Stats(); s.Shared != 1 {
		t.Errorf("%+v", s)
	}
}

// To a plan a time that is over is one, by which it finds a plugin that hangs; it is not a caller who left.
func TestTimeThatIsOverIsNoCallerWhoLeft(t *testing.T) {
	w, l := newWorld(), newSlow()
	p := w.plan(t, "a", l, w.Section(), func(c *pipeline.Config) { c.Timeout = time.Millisecond })
	for range 300 {
		d := ask(t.Context(), p, bearer("x"))
		ctx := l.begins(t)
		<-ctx.Done()
		if err := ctx.Err(); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if d := <-d; !errors.Is(d.Err, context.DeadlineExceeded) {
			t.Fatal(d.Err)
		}
	}
}
