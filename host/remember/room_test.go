package remember

import (
	"fmt"
	"testing"
	"time"
)

// crowd asks a realm about n tokens and gives how many of the answers were remembered, in percent.
func crowd(t *testing.T, w *world, realm string, s *Section, n int) func() int {
	l := &leg{}
	p := w.plan(t, realm, l, s)
	return func() int {
		before := l.count()
		for i := range n {
			p.Decide(t.Context(), bearer(fmt.Sprint("token", i)))
		}
		return 100 - 100*(l.count()-before)/n
	}
}

// What a change of the realm made useless keeps nothing out that is of use, however often the realm changes.
func TestChangesLeaveRoom(t *testing.T) {
	w := newWorld()
	w.Limit(Limits{Allowed: 1 << 20, Denied: 1 << 20})
	round := crowd(t, w, "a", w.Section(), 900) // most of what there is room for
	for range 5 {
		round()
	}
	for epoch := range uint64(40) {
		w.epochs.set("a", epoch+2)
		round()
		if got := round(); got < 90 {
			t.Fatalf("%d changes later %d %% are remembered", epoch+1, got)
		}
	}
	if s := w.Stats(); s.AllowedEntries > 900 {
		t.Errorf("%d entries for 900 tokens", s.AllowedEntries)
	}
}

// What is over takes no room of others: neither of tokens that are asked about no more, nor in the numbers.
func TestWhatIsOverGoes(t *testing.T) {
	w := newWorld()
	w.Limit(Limits{Allowed: 1 << 20, Denied: 1 << 20})
	s := w.Section()
	gone, other := crowd(t, w, "a", s, 900), crowd(t, w, "b", s, 300)
	for range 20 { // so that they count as useful
		gone()
	}
	w.epochs.set("a", 2)
	w.pass(time.Minute, time.Minute)
	w.allowed.CleanUp()
	if s := w.Stats(); s.AllowedEntries != 0 || s.AllowedBytes != 0 {
		t.Errorf("%d entries, %d bytes of what is over", s.AllowedEntries, s.AllowedBytes)
	}
	other()
	if got := other(); got < 90 {
		t.Errorf("%d %% of another realm are remembered", got)
	}
}

// A request has one answer, whichever way it turns.
func TestOneAnswerPerRequest(t *testing.T) {
	w, l := newWorld(), &leg{}
	p := w.plan(t, "a", l, w.Section())
	for i := range uint64(4) {
		l.act = nil
		if i%2 == 1 {
			l.act = denied
		}
		w.epochs.set("a", i+1)
		p.Decide(t.Context(), bearer("x"))
		if s := w.Stats(); s.AllowedEntries+s.DeniedEntries != 1 || s.DeniedEntries != int(i%2) {
			t.Errorf("turn %d: %+v", i, s)
		}
	}
}
