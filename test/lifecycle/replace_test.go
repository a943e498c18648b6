package lifecycle

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The binary of a plugin is replaced again and again, with `realmgate reload` or under a daemon that watches: each answer is
// that of one build which served in the course of the request, and none is unavailable. What cannot serve never does.
func TestReplace(t *testing.T) {
	t.Parallel()
	const times = 10
	names := []string{"one", "two"}
	served := map[int64]string{} // before the load begins
	for n := range int64(times + 1) {
		served[n] = names[n%2]
	}
	g := newGate(t, long, func(g *gate) string {
		return "plugin_health_window = \"500ms\"\n" + cards("cards", g.install("cards", build(t, "one", "")), "t")
	}, "--watch")
	g.Start()
	questions := append(g.inside(), outside("cards", func(g int64) string { return served[g] }, always("t"))...)
	before := g.settled(questions, 0)
	l := g.begin(questions, 0)
	for n := range int64(times) {
		done := l.moves()
		g.install("cards", build(t, names[(n+1)%2], ""))
		if n%3 != 2 { // else it is noticed
			g.Operate("reload")
		} else {
			g.served(questions, n+1)
		}
		done()
		if n == times/2 {
			g.refuses()
			g.install("cards", build(t, names[(n+1)%2], ""))
		}
		l.answers(users)
	}
	l.uninterrupted()
	await(t, "one process is left", func() bool { return len(g.pids("cards")) == 1 })
	g.restored(before, questions, times)
	g.unburdened()
}

// refuses fails unless the daemon refuses binaries that cannot serve.
func (g *gate) refuses() {
	g.t.Helper()
	junk := filepath.Join(g.t.TempDir(), "junk")
	if err := os.WriteFile(junk, []byte("\x7fELF and no more"), 0o600); err != nil {
		g.t.Fatal(err)
	}
	for path, why := range map[string]string{junk: "cannot be executed", build(g.t, "none", "other"): "no plugin offers"} {
		g.install("cards", path)
		out, faults, err := g.Run(nil, "reload")
		if err == nil || !strings.Contains(faults, why) {
			g.t.Errorf("%s: %v, %s%s; want %q", path, err, out, faults, why)
		}
	}
}

// A build that ends soon after it has begun to serve is taken back. Until that is done, what it serves may be unavailable;
// the other plugins' realms never are.
func TestReplaceIsTakenBack(t *testing.T) {
	t.Parallel()
	served := []string{"one", "two", "one"}
	g := newGate(t, long, func(g *gate) string {
		return "plugin_health_window = \"2m\"\n" + cards("cards", g.install("cards", build(t, "one", "")), "t")
	})
	g.Start()
	inside, cards := g.inside(), outside("cards", func(g int64) string { return served[g] }, always("t"))
	questions := append(inside, cards...)
	before, old := g.settled(questions, 0), g.pids("cards")
	others, l := g.begin(inside, 0), g.begin(cards, 0)
	l.moves() // the broken one
	back := l.moves()
	g.install("cards", build(t, "two", "dies"))
	out, faults, err := g.Run(nil, "reload")
	if err == nil || !strings.Contains(faults, "switched back to the former configuration: plugin cards") {
		t.Errorf("%v, %s%s", err, out, faults)
	}
	back()
	lost := l.unavailable.Load()
	l.answers(100)
	if n := l.unavailable.Load(); n > lost+users {
		t.Errorf("%d answers were unavailable after it was taken back", n-lost)
	}
	l.end()
	others.uninterrupted()
	await(t, "one process is left", func() bool { now := g.pids("cards"); return len(now) == 1 && now[0] == old[0] })
	g.restored(before, questions, 2)
}

// A build whose process is well, but which takes no card, is taken back while it is watched, each time that it is tried, also
// while a request is still in what was taken back.
func TestReplaceThatFailsIsTakenBack(t *testing.T) {
	t.Parallel()
	g := newGate(t, long, func(g *gate) string {
		return "plugin_health_window = \"2m\"\n" + cards("cards", g.install("cards", build(t, "one", "")), "t")
	})
	g.Start()
	inside, cards := g.inside(), outside("cards", always("one"), always("t"))
	questions := append(inside, cards...)
	before, old := g.settled(questions, 0), g.pids("cards")
	others, l := g.begin(inside, 0), g.begin(cards, 0)
	slow := g.begin([]question{{"cards", card("card-cards", "waits", "dev"), allows("cards", "t.waits", "t-dev,t-one")}}, 0)
	g.install("cards", build(t, "two", "fails"))
	for range 2 {
		start := time.Now()
		out, faults, err := g.Run(nil, "reload")
		if err == nil || !strings.Contains(faults, "switched back to the former configuration: plugin cards") ||
			!strings.Contains(faults, "every call of its identity-provider(cards) of tenant ") || !strings.Contains(faults, "this build takes no cards") {
			t.Fatalf("%v, %s%s", err, out, faults)
		}
		if took := time.Since(start); took > time.Minute {
			t.Errorf("it took %v to be seen", took)
		}
		if now := g.pids("cards"); len(now) < 2 || !slices.Contains(now, old[0]) {
			t.Errorf("processes %v, of which %v served before: no request is left in what was taken back", now, old)
		}
	}
	slow.end()
	l.answers(100)
	l.end()
	others.uninterrupted()
	await(t, "one process is left", func() bool { now := g.pids("cards"); return len(now) == 1 && now[0] == old[0] })
	g.restored(before, questions, 0)
}

// So is one that answers no card and does not let go of the calls.
func TestReplaceThatHangsIsTakenBack(t *testing.T) {
	t.Parallel()
	g := newGate(t, short, func(g *gate) string {
		return "plugin_health_window = \"2m\"\n" + cards("cards", g.install("cards", build(t, "one", "")), "t")
	})
	g.Start()
	inside, cards := g.inside(), outside("cards", always("one"), always("t"))
	questions := append(inside, cards...)
	before, old := g.settled(questions, 0), g.pids("cards")
	others, l := g.begin(inside, 0), g.begin(cards, 0)
	g.install("cards", build(t, "two", "hangs"))
	out, faults, err := g.Run(nil, "reload")
	if err == nil || !strings.Contains(faults, "switched back to the former configuration: plugin cards") || !strings.Contains(faults, "did not stay well: ") {
		t.Errorf("%v, %s%s", err, out, faults)
	}
	l.answers(100)
	l.end()
	others.uninterrupted()
	await(t, "one process is left", func() bool { now := g.pids("cards"); return len(now) == 1 && now[0] == old[0] })
	g.restored(before, questions, 0)
}
