package lifecycle

import (
	"slices"
	"sync"
	"syscall"
	"testing"
)

// Plugins are killed again and again: what they serve is unavailable until they are back, and right at any other time.
func TestKill(t *testing.T) {
	t.Parallel()
	const times = 5 // of each plugin: the pause before it is started again doubles
	own := []string{"card1", "card2", "card3"}
	g := newGate(t, short, func(g *gate) (hcl string) {
		for _, name := range own {
			hcl += cards(name, g.install(name, build(t, "one", "")), "t")
		}
		return hcl
	})
	g.Start()
	questions := g.inside()
	for _, name := range own {
		questions = append(questions, outside(name, always("one"), always("t"))...)
	}
	before := g.settled(questions, 0)
	l := g.begin(questions, 0)
	var plugins sync.WaitGroup
	for _, name := range append(own, "default") {
		plugins.Go(func() {
			for range times {
				pids := g.pids(name)
				if len(pids) != 1 {
					t.Errorf("plugin %s has the processes %d", name, pids)
					return
				}
				_ = syscall.Kill(pids[0], syscall.SIGKILL) // one that has ended already is seen below
				await(t, "plugin "+name+" is started again", func() bool {
					now := g.pids(name)
					return len(now) == 1 && !slices.Equal(now, pids)
				})
			}
		})
	}
	plugins.Wait()
	l.end()
	if l.unavailable.Load() == 0 {
		t.Error("nothing was unavailable: nothing was killed")
	}
	g.served(questions, 0)
	g.restored(before, questions, 0)
}
