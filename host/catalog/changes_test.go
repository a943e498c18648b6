package catalog

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/lock"
)

// What a set changes is told by its processes: one that does not start is not as it was.
func TestChanges(t *testing.T) {
	t.Parallel()
	a, b := own(t, source(t, "a", "good")), source(t, "b", "other")
	w := newWorld(t, nil, a, b)
	block := a
	block.Env = map[string]string{modeVariable: "good", "MORE": "1"}
	broken := b
	broken.Env = map[string]string{modeVariable: "exit"}
	for _, tt := range []struct {
		what    string
		sources []Source
		want    Changes
	}{
		{"the same", []Source{a, b}, Changes{}},
		{"one less", []Source{a}, Changes{Stopped: []string{"b"}}},
		{"one that does not start", []Source{a, broken}, Changes{Lost: []string{"b"}}},
		{"another block", []Source{block, b}, Changes{Replaced: []Replaced{{"a", "its block changed"}}}},
	} {
		if got := w.prepare(t, tt.sources...).Changes(w.Set); fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("%s: %+v", tt.what, got)
		}
	}
	without := w.prepare(t, a, broken)
	if got := w.Changes(without); fmt.Sprint(got) != fmt.Sprint(Changes{Started: []string{"b"}}) {
		t.Errorf("one that had not started: %+v", got)
	}
	replace(t, a.Path, a.Path, []byte("changed"))
	if got := w.prepare(t, a, b).Changes(w.Set); fmt.Sprint(got) != fmt.Sprint(Changes{Replaced: []Replaced{{"a", "its binary changed"}}}) {
		t.Errorf("another binary: %+v", got)
	}
	if got := w.prepare(t, block, b).Changes(w.Set); fmt.Sprint(got) != fmt.Sprint(Changes{Replaced: []Replaced{{"a", "its binary and its block changed"}}}) {
		t.Errorf("both: %+v", got)
	}
}

// A lock file that comes, changes or goes takes no new process, unless what runs is not as it says: then it does not serve.
func TestPinTakesNoNewProcess(t *testing.T) {
	t.Parallel()
	s := source(t, "p", "good")
	w := newWorld(t, nil, s)
	now := w.Plugins()[0]
	with := func(change func(*lock.Entry)) Source {
		e := &lock.Entry{Name: "p", SHA256: now.Digest, Contract: Contract(), Offers: LockOffers(now.Offers)}
		change(e)
		out := s
		out.Pin = &Pin{"lock.json", "lock it", e}
		return out
	}
	locked := w.prepare(t, with(func(*lock.Entry) {}))
	if got := locked.Fresh(); len(got) > 0 || w.pids()[0] != now.PID || len(w.Plugins()) != 1 {
		t.Errorf("locked as it runs: %v, %+v", got, w.Plugins())
	}
	if got := w.prepare(t, s).Fresh(); len(got) > 0 {
		t.Errorf("unlocked: %v", got)
	}
	for what, change := range map[string]func(*lock.Entry){
		"other bytes":  func(e *lock.Entry) { e.SHA256 = strings.Repeat("0", 64) },
		"other offers": func(e *lock.Entry) { e.Offers = e.Offers[1:] },
	} {
		set := w.prepare(t, with(change))
		if got := set.Failed(); len(got) != 1 || !strings.Contains(got[0].Error(), "lock.json") {
			t.Errorf("%s: %v", what, got)
		}
		if got := set.Changes(w.Set); !slices.Equal(got.Lost, []string{"p"}) {
			t.Errorf("%s: %+v", what, got)
		}
	}
}

// The lock file of what serves counts for a process that starts again.
func TestPinInForce(t *testing.T) {
	t.Parallel()
	s := source(t, "p", "good")
	w := newWorld(t, nil, s)
	p := w.plugins[0]
	entry := &lock.Entry{Name: "p", SHA256: p.digest, Contract: Contract(), Offers: LockOffers(p.manifest.Offers)}
	s.Pin = &Pin{"lock.json", "lock it", entry}
	set := w.prepare(t, s)
	if p.pin.Load() != nil {
		t.Error("a set that does not serve has its lock file in force")
	}
	set.Activate()
	if p.pin.Load() != s.Pin {
		t.Error("the lock file of what serves is not in force")
	}
	w.Activate()
	if p.pin.Load() != nil {
		t.Error("what was switched back to has the lock file of the other")
	}
}

// What is granted takes a new process: the old one knows what it was allowed to ask for.
func TestGrantsTakeANewProcess(t *testing.T) {
	t.Parallel()
	s := source(t, "p", "good")
	w := newWorld(t, nil, s)
	s.Grants = Grants{}
	if got := w.prepare(t, s).Changes(w.Set); fmt.Sprint(got) != fmt.Sprint(Changes{Replaced: []Replaced{{"p", "its block changed"}}}) {
		t.Errorf("%+v", got)
	}
}

// A process that is replaced ends as such, without an error, and is listed no longer than it lives.
func TestReplacedEndsWithoutError(t *testing.T) {
	t.Parallel()
	s := source(t, "p", "stubborn")
	w := newWorld(t, nil, s)
	old := w.plugins[0]
	changed := s
	changed.Env = map[string]string{modeVariable: "good"}
	w.prepare(t, changed)
	done := make(chan struct{})
	go func() { defer close(done); w.Set.Close(context.Background()) }()
	wait := func() bool {
		select {
		case <-done:
			return false
		default:
			return true
		}
	}
	for wait() {
		for _, x := range w.Plugins() {
			if x.State != StateReady && x.State != StateDraining || x.LastError != "" {
				t.Fatalf("%+v", x)
			}
		}
	}
	if got := old.status(); got.LastError != "" {
		t.Errorf("%+v", got)
	}
	if log := w.log.String(); !strings.Contains(log, "another process serves in its place") || strings.Contains(log, "no configuration has it") {
		t.Error(log)
	}
}

// A plugin that did not stay well is not taken again as if it had, although a set that is on its way out still has it.
func TestUnwellIsNotTakenAgain(t *testing.T) {
	t.Parallel()
	s := source(t, "p", "good")
	w := newWorld(t, nil, s)
	w.Activate()
	w.kill(t)
	if err := w.Healthy(t.Context(), nil, 5*time.Second); err == nil || !strings.Contains(err.Error(), "did not stay well") {
		t.Fatalf("%v", err)
	}
	next := w.prepare(t, s)
	if got := next.Fresh(); !slices.Equal(got, []string{"p"}) || next.chosen[0] == w.Set.chosen[0] {
		t.Errorf("taken without being watched: %v", got)
	}
	if got := w.Again(t.Context()); !slices.Equal(got.Fresh(), []string{"p"}) {
		t.Errorf("by identity: %v", got.Fresh())
	} else {
		got.Close(context.Background())
	}
}
