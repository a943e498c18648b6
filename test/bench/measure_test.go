package bench

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// options say how much is measured.
type options struct {
	rounds  int
	during  time.Duration // of a row, for each number of callers and in each round
	bare    time.Duration // of the bare handler, before each row
	callers []int
	tokens  int // that are presented again and again
	realms  int // of the daemon with many
	times   int // that starts and reloads are repeated
}

// cell is what was seen of a row with a number of callers, round by round; and in each round of the bare handler, before each
// row, which all rows have in common: on a busy machine a single look at it says little.
type cell struct {
	seen []sample
	bare *[][]sample
}

// measure asks for everything in turn, round by round, so that what else the machine does meets all rows alike.
func measure(t *testing.T, o options, bare server, rows []*row, progress func(string, ...any)) {
	t.Helper()
	bares := make([][][]sample, len(o.callers))
	for _, r := range rows {
		r.cells = make([]*cell, len(o.callers))
		for n := range r.cells {
			r.cells[n] = &cell{bare: &bares[n]}
		}
		r.warm(t, o)
	}
	for round := range o.rounds {
		progress("round %d of %d", round+1, o.rounds)
		for n, callers := range o.callers {
			var seen []sample
			for _, r := range rows {
				seen = append(seen, r.measure(t, o, bare, callers, r.cells[n]))
			}
			bares[n] = append(bares[n], seen)
		}
	}
}

// warm has everything asked once that will be asked again, which finds out what is wrong with it before anything is measured,
// and then how many answers there are in a second.
func (r *row) warm(t *testing.T, o options) {
	t.Helper()
	c, err := r.server.dial()
	if err != nil {
		t.Fatalf("%s: %v", r.what, err)
	}
	defer c.close()
	for _, a := range r.asks.again {
		if err := c.once(a); err != nil {
			t.Fatalf("%s: %v", r.what, err)
		}
	}
	s, err := load(r.server, &asks{again: r.asks.again}, o.callers[len(o.callers)-1], o.bare)
	if err != nil {
		t.Fatalf("%s: %v", r.what, err)
	}
	r.most = s.rate()
}

// measure looks at the bare handler, which it gives, and then at the row.
func (r *row) measure(t *testing.T, o options, bare server, callers int, c *cell) sample {
	t.Helper()
	if r.more != nil {
		want := 10 + int(1.5*r.most*o.during.Seconds()/float64(r.asks.every))
		if missing := r.asks.begun + want - len(r.asks.fresh); missing > 0 {
			r.asks.fresh = append(r.asks.fresh, r.more(missing)...)
		}
	}
	b, err := load(bare, &asks{again: r.asks.again}, callers, o.bare)
	if err != nil {
		t.Fatalf("the bare handler: %v", err)
	}
	before := r.gate.decisions()
	s, err := load(r.server, r.asks, callers, o.during)
	if err != nil {
		t.Fatalf("%s, %d callers: %v", r.what, callers, err)
	}
	after := r.gate.decisions()
	r.from.memory += after.memory - before.memory
	r.from.others += after.others - before.others
	r.most = max(r.most, s.rate())
	c.seen = append(c.seen, s)
	return b
}

func (s sample) rate() float64 { return float64(len(s.lat)) / s.took.Seconds() }

// ratios compares a row with the bare handler: answers in a second, the median of the rounds; computing time for an answer; and
// the time that all but one in a hundred answers do not exceed.
func (c *cell) ratios() (rate, cpu, tail float64) {
	rates := make([]float64, len(c.seen))
	for n, s := range c.seen {
		var bare []float64
		for _, b := range (*c.bare)[n] {
			bare = append(bare, b.rate())
		}
		rates[n] = s.rate() / median(bare)
	}
	x, y := total(c.seen), total(slices.Concat(*c.bare...))
	return median(rates), x.each() / y.each(), float64(quantile(x.lat, 0.99)) / float64(quantile(y.lat, 0.99))
}

// share is what part of the computing time, in hundredths, is a plugin's.
func share(a []sample) float64 {
	x := total(a)
	return 100 * float64(x.plugin) / float64(x.cpu)
}

// each is the computing time of an answer, in nanoseconds.
func (s sample) each() float64 { return float64(s.cpu) / float64(len(s.lat)) }

func total(all []sample) (out sample) {
	for _, s := range all {
		out.took += s.took
		out.cpu += s.cpu
		out.plugin += s.plugin
		out.lat = append(out.lat, s.lat...)
	}
	return out
}

func median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// honest fails unless the answers of a row came from where it says: those that were asked for before from memory, or none.
func (r *row) honest(t *testing.T) {
	t.Helper()
	asked := 0
	for _, c := range r.cells {
		asked += len(total(c.seen).lat)
	}
	got := fmt.Sprintf("of %d answers %d came from memory and %d did not", asked, r.from.memory, r.from.others)
	fresh := r.asks.begun
	switch {
	case r.remembered && (r.from.memory+r.from.others != asked || r.from.others != fresh):
		t.Errorf("%s: %s, and %d were asked for the first time", r.what, got, fresh)
	case !r.remembered && r.from != answers{}:
		t.Errorf("%s: %s: they are to be made anew", r.what, got)
	case r.more != nil && fresh < asked/r.asks.every*9/10:
		t.Errorf("%s: of %d answers %d were about new tokens, and one in %d should have been", r.what, asked, fresh, r.asks.every)
	}
}
