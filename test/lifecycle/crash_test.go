package lifecycle

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The daemon is killed under load: its plugins end with it, and what is left on the disk goes with the next start, after
// which everything is as before.
func TestDaemonIsKilled(t *testing.T) {
	t.Parallel()
	g := newGate(t, long, func(g *gate) string { return cards("cards", g.install("cards", build(t, "one", "")), "t") })
	g.Start()
	questions := append(g.inside(), outside("cards", always("one"), always("t"))...)
	before, left := g.settled(questions, 0), g.places()
	l := g.begin(questions, 0)
	l.answers(300)
	plugins := g.children()
	l.severed.Store(true)
	g.Kill()
	killed := time.Now()
	await(t, "the plugins have ended", func() bool { return !slices.ContainsFunc(plugins, lives) })
	took := time.Since(killed)
	if took > 2*time.Second {
		t.Errorf("the plugins outlived the daemon by %v", took)
	}
	l.uninterrupted()
	if len(plugins) == 0 || len(g.places()) == 0 {
		t.Errorf("the test does not see what it is about: plugins %d, sockets %q", plugins, g.places())
	}
	g.Start()
	for _, path := range g.places() {
		if slices.Contains(left, path) {
			t.Errorf("the killed daemon's %s is still there", path)
		}
	}
	g.served(questions, 0)
	g.restored(before, questions, 0)
}

// lives says whether a process has not ended; one that nobody has waited for has.
func lives(pid int) bool {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	_, rest, _ := strings.Cut(string(text), ") ")
	return err == nil && !strings.HasPrefix(rest, "Z")
}
