package lifecycle

import (
	"syscall"
	"testing"
	"time"
)

// A plugin is stopped, so that it neither answers nor ends: what it serves is unavailable until it goes on, or until the
// daemon has ended it and started another one. Answers that come late are nobody's.
func TestStop(t *testing.T) {
	t.Parallel()
	g := newGate(t, short, func(g *gate) string { return cards("cards", g.install("cards", build(t, "one", "")), "t") })
	g.Start()
	inside, cards := g.inside(), outside("cards", always("one"), always("t"))
	questions := append(inside, cards...)
	before, old := g.settled(questions, 0), g.pids("cards")
	signal := func(s syscall.Signal) {
		if err := syscall.Kill(old[0], s); err != nil {
			t.Fatal(err)
		}
	}
	others, l := g.begin(inside, 0), g.begin(cards, 0)
	l.answers(users)
	for range 3 {
		n := l.unavailable.Load()
		signal(syscall.SIGSTOP)
		await(t, "calls are given up", func() bool { return l.unavailable.Load() >= n+users })
		signal(syscall.SIGCONT)
		l.answers(100)
	}
	signal(syscall.SIGSTOP)
	stopped := time.Now()
	await(t, "another process is started", func() bool { now := g.pids("cards"); return len(now) == 1 && now[0] != old[0] })
	t.Logf("another process after %v", time.Since(stopped))
	g.served(questions, 0)
	l.end()
	others.uninterrupted()
	if l.unavailable.Load() == 0 {
		t.Error("nothing was unavailable: nothing was stopped")
	}
	g.restored(before, questions, 0)
}
