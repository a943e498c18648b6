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
	bare    time.Duration // of the bare handler, right before it
	callers []int
	realms  int // of the daemon with many
	times   int // that starts and reloads are repeated
}

// cell is what was seen of a row with a number of callers, and of the bare handler right before it, round by round.
type cell struct{ bare, seen []sample }

// measure asks for everything in turn, round by round, so that what else the machine does meets all rows alike.
func measure(t *testing.T, o options, bare server, rows []*row, progress func(string, ...any)) {
	t.Helper()
	for _, r := range rows {
		r.cells = make([]*cell, len(o.callers))
		for n := range r.cells {
			r.cells[n] = &cell{}
		}
		r.warm(t)
	}
	for round := range o.rounds {
		progress("round %d of %d", round+1, o.rounds)
		for n, callers := range o.callers {
			for _, r := range rows {
				r.measure(t, o, bare, callers, r.cells[n])
			}
		}
	}
}

// warm has everything asked once that will be asked again, and finds out what is wrong with it before anything is measured.
func (r *row) warm(t *testing.T) {
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
}

func (r *row) measure(t *testing.T, o options, bare server, callers int, c *cell) {
	t.Helper()
	if r.more != nil {
		most := o.during.Seconds() / freshEvery * 1.5 * r.rate(o)
		if missing := int(most) + 1 - r.asks.left(); missing > 0 {
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
	r.answer.memory += after.memory - before.memory
	r.answer.others += after.others - before.others
	c.bare, c.seen = append(c.bare, b), append(c.seen, s)
}

// rate is the greatest number of answers in a second so far, or what one might expect.
func (r *row) rate(o options) float64 {
	most := 10000.0
	if o.during < 100*time.Millisecond {
		most = 2000
	}
	for _, c := range r.cells {
		for _, s := range c.seen {
			most = max(most, s.rate())
		}
	}
	return most
}

func (s sample) rate() float64 { return float64(len(s.lat)) / s.took.Seconds() }

// ratios compares two series of samples, the first with the second: answers in a second, computing time for an answer, and
// the time that all but one in a hundred answers do not exceed.
func ratios(a, b []sample) (rate, cpu, tail float64) {
	rates := make([]float64, len(a))
	for n := range a {
		rates[n] = a[n].rate() / b[n].rate()
	}
	x, y := total(a), total(b)
	return median(rates), x.each() / y.each(), float64(quantile(x.lat, 0.99)) / float64(quantile(y.lat, 0.99))
}

// each is the computing time of an answer, in nanoseconds.
func (s sample) each() float64 { return float64(s.cpu) / float64(len(s.lat)) }

func total(all []sample) (out sample) {
	for _, s := range all {
		out.took += s.took
		out.cpu += s.cpu
		out.lat = append(out.lat, s.lat...)
	}
	return out
}

func median[T ~float64 | ~int64](all []T) T {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// honest fails unless the answers of a row came from where it says: nearly all from memory, or none.
func (r *row) honest(t *testing.T) {
	t.Helper()
	asked := 0
	for _, c := range r.cells {
		asked += len(total(c.seen).lat)
	}
	got := fmt.Sprintf("of %d answers %d came from memory and %d otherwise", asked, r.answer.memory, r.answer.others)
	switch {
	case r.more == nil && r.answer != answers{}:
		t.Errorf("%s: %s: the row is of decisions that are made anew", r.what, got)
	case r.more != nil && r.answer.memory+r.answer.others != asked:
		t.Errorf("%s: %s: they are not all counted", r.what, got)
	case r.more != nil && (r.answer.others*freshEvery < asked/2 || r.answer.others*freshEvery > asked*2):
		t.Errorf("%s: %s: one in %d is to be made anew", r.what, got, freshEvery)
	}
}
