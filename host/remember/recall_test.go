package remember

import (
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/sdk"
)

func TestRecallTellsAndChangesNothing(t *testing.T) {
	w, l := newWorld(), &leg{}
	s := w.Section()
	p := w.plan(t, "a", l, s)
	want := func(r Recalled, hit, off bool) {
		t.Helper()
		if r.Hit != hit || r.Off != off || !hit && r.Why == "" {
			t.Errorf("%+v, want hit %v, off %v", r, hit, off)
		}
	}
	want(s.Recall(p, bearer("x")), false, false)
	if n := l.count(); n != 0 {
		t.Errorf("it was decided %d times", n)
	}
	p.Decide(t.Context(), bearer("x"))
	counted := func() [5]uint64 {
		s := w.Stats()
		return [...]uint64{s.Memory, s.Shared, s.Plan, s.Unremembered, s.Passed}
	}
	before := counted()
	got := s.Recall(p, bearer("x"))
	want(got, true, false)
	if got.Decision.Verdict != pipeline.Allowed || got.Left <= 0 || got.Left > time.Minute {
		t.Errorf("%+v", got)
	}
	got.Decision.Roles[0] = "admin" // its own
	if again := s.Recall(p, bearer("x")); again.Decision.Roles[0] != "dev" {
		t.Error("what is remembered was changed")
	}
	if counted() != before {
		t.Error("it was counted")
	}
	w.epochs.set("a", 2)
	want(s.Recall(p, bearer("x")), false, false)
	w.epochs.set("a", 0)
	want(s.Recall(p, bearer("x")), false, true)
	w.epochs.set("a", 3)
	want(s.Recall(p, bearer(strings.Repeat("x", maxKeyed+1))), false, true)
	want(s.Recall(p, sdk.Request{}), false, true)
}
