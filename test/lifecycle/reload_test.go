package lifecycle

import (
	"fmt"
	"strings"
	"testing"
)

// The configuration is changed again and again: each answer is that of one generation which was current in the course of the
// request, in all of its parts, and none is unavailable.
func TestReload(t *testing.T) {
	t.Parallel()
	const times = 50
	tag := func(generation int64) string { return fmt.Sprintf("round%d", generation) }
	g := newGate(t, long, func(g *gate) string { return cards("cards", g.install("cards", build(t, "one", "")), tag(0)) })
	g.Start()
	questions := append(g.inside(), outside("cards", always("one"), tag)...)
	before, first, old := g.settled(questions, 0), g.config(), g.children()
	l := g.begin(questions, 0)
	for n := range int64(times) {
		served := l.moves()
		g.write("config.hcl", strings.ReplaceAll(first, tag(0), tag(n+1)))
		g.Operate("reload")
		served()
		l.answers(users)
	}
	l.uninterrupted()
	if now := g.children(); fmt.Sprint(now) != fmt.Sprint(old) {
		t.Errorf("the processes of plugins that have not changed are %d, and were %d", now, old)
	}
	g.restored(before, questions, times)
	g.unburdened()
}
