package catalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// prepare is Prepare with a set that is closed at the end of the test.
func (w *world) prepare(t *testing.T, sources ...Source) *Set {
	t.Helper()
	s := w.Prepare(t.Context(), sources)
	t.Cleanup(func() { s.Close(context.Background()) })
	return s
}

// states gives the states of all plugins, by name.
func (w *world) states() string {
	var out []string
	for _, p := range w.Plugins() {
		out = append(out, fmt.Sprintf("%s %s", p.Name, p.State))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// own gives a source a binary that can be changed.
func own(t *testing.T, s Source) Source {
	t.Helper()
	to := filepath.Join(t.TempDir(), "plugin")
	replace(t, to, s.Path, nil)
	s.Path = to
	return s
}

// replace puts a copy of a binary, with more behind it, in the place of a file.
func replace(t *testing.T, to, from string, more []byte) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to+"~", os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Write(more); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(out.Close(), os.Rename(to+"~", to)); err != nil {
		t.Fatal(err)
	}
}

func TestSetsShareWhatRuns(t *testing.T) {
	t.Parallel()
	a, b := source(t, "a", "good"), source(t, "b", "other")
	w := newWorld(t, nil, a)
	pid := w.Plugins()[0].PID
	if got := w.Fresh(); !slices.Equal(got, []string{"a"}) {
		t.Errorf("fresh: %v", got)
	}
	second := w.Prepare(t.Context(), []Source{a, b})
	if got := second.Fresh(); !slices.Equal(got, []string{"b"}) {
		t.Errorf("fresh: %v", got)
	}
	if got := w.Plugins(); len(got) != 2 || got[0].PID != pid {
		t.Errorf("%+v", got)
	}
	if _, err := w.Find(sdk.KindPrincipalMapper, "other"); err == nil {
		t.Error("a set has what only a later one has")
	}
	w.Set.Close(t.Context())
	w.Set.Close(t.Context()) // takes nothing away from the other one
	if got := w.states(); got != "a ready, b ready" || !alive(pid) {
		t.Error(got)
	}
	pids := w.pids()
	second.Close(t.Context())
	if got := w.Plugins(); len(got) != 0 || alive(pids[0]) || alive(pids[1]) {
		t.Errorf("%+v", got)
	}
	if left := w.sockets(t); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	third := w.prepare(t, a)
	if got := third.Fresh(); !slices.Equal(got, []string{"a"}) || w.states() != "a ready" {
		t.Errorf("after the end: %v, %s", got, w.states())
	}
}

// A binary that has changed on disk runs beside the old one, until the last set is closed that has the old one.
func TestChangedBinary(t *testing.T) {
	t.Parallel()
	s := own(t, source(t, "p", "good"))
	w := newWorld(t, nil, s)
	h, pid := w.mapper(t, ""), w.pids()[0]
	replace(t, s.Path, s.Path, []byte("changed"))
	second := w.prepare(t, s)
	if got := second.Fresh(); !slices.Equal(got, []string{"p"}) || w.states() != "p ready, p ready" {
		t.Fatalf("%v, %s", got, w.states())
	}
	again := w.prepare(t, s)
	if got := again.Fresh(); len(got) != 0 {
		t.Errorf("what did not change again: %v", got)
	}
	hs, ds := second.Configure(t.Context(), []Instance{h.inst.in})
	if len(ds) > 0 || hs[0] == h || hs[0].inst.p == h.inst.p {
		t.Fatalf("an instance of the old binary in the new set: %v %+v", hs, ds)
	}
	for _, x := range []Handle{h, hs[0]} {
		if got, err := w.mapSubject(t, x, "r1", "x"); err != nil || got.Name != "x" {
			t.Error(got, err)
		}
	}
	w.Set.Close(t.Context())
	if got := w.states(); got != "p ready" || alive(pid) {
		t.Error(got, alive(pid))
	}
	if _, err := w.mapSubject(t, h, "r1", "x"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("%v", err)
	}
	if got, err := w.mapSubject(t, hs[0], "r1", "x"); err != nil || got.Name != "x" {
		t.Error(got, err)
	}
}

// One that cannot be read any more is not the one that runs.
func TestVanishedBinary(t *testing.T) {
	t.Parallel()
	s := own(t, source(t, "p", "good"))
	w := newWorld(t, nil, s)
	if err := os.Remove(s.Path); err != nil {
		t.Fatal(err)
	}
	second := w.prepare(t, s)
	if got := second.Failed(); len(got) != 1 || !strings.HasSuffix(got[0].Error(), "the file does not exist") {
		t.Errorf("%v", got)
	}
	if got := w.states(); got != "p failed, p ready" {
		t.Error(got)
	}
}

func TestChangedSource(t *testing.T) {
	t.Parallel()
	s := source(t, "p", "good")
	w := newWorld(t, nil, s)
	changed := source(t, "p", "good")
	changed.Env["MORE"] = "1"
	if got := w.prepare(t, changed).Fresh(); !slices.Equal(got, []string{"p"}) {
		t.Errorf("%v", got)
	}
	if got := w.prepare(t, source(t, "p", "good")).Fresh(); len(got) != 0 {
		t.Errorf("what is the same: %v", got)
	}
}

// Two plugins clash within a set only, and what clashes there goes on elsewhere.
func TestClashOfSets(t *testing.T) {
	t.Parallel()
	a, b := source(t, "a", "good"), source(t, "b", "clash")
	w := newWorld(t, nil, b)
	second := w.prepare(t, a, b)
	if got := second.Failed(); len(got) != 1 || !strings.Contains(got[0].Error(), "which plugin a (") {
		t.Fatalf("%v", got)
	}
	if got := w.states(); got != "a ready, b failed, b ready" {
		t.Error(got)
	}
	if got, err := w.mapSubject(t, w.mapper(t, ""), "r1", "x"); err != nil || got.Name != "x" {
		t.Error(got, err)
	}
	w.Set.Close(t.Context())
	if got := w.states(); got != "a ready, b failed" {
		t.Errorf("what clashes was held by the set: %s", got)
	}
	third := w.prepare(t, b)
	if got := third.Failed(); len(got) != 0 {
		t.Errorf("alone: %v", got)
	}
}

// A plugin that does not start is tried again by itself; the set says so and does not change.
func TestStartsLate(t *testing.T) {
	t.Parallel()
	s := source(t, "p", "gated")
	s.Env["MARK"] = filepath.Join(t.TempDir(), "mark")
	if err := os.WriteFile(s.Env["MARK"], nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, nil, s, source(t, "other", "other"))
	select {
	case <-w.Changed():
		t.Error("changed, although nothing has started")
	default:
	}
	if err := os.Remove(s.Env["MARK"]); err != nil {
		t.Fatal(err)
	}
	select {
	case <-w.Changed():
	case <-time.After(30 * time.Second):
		t.Fatal("it never started")
	}
	var unknown *UnknownTypeError
	if _, err := w.Find(sdk.KindPrincipalMapper, "badge"); !as(err, &unknown) || len(unknown.Broken) != 1 {
		t.Errorf("%v", err)
	}
	trial := w.prepare(t, s)
	if got := trial.Fresh(); !slices.Equal(got, []string{"p"}) {
		t.Errorf("nobody had it before: %v", got)
	}
	trial.Close(t.Context())
	second := w.prepare(t, s, source(t, "other", "other"))
	if got := second.Failed(); len(got) != 0 {
		t.Errorf("%v", got)
	}
	if _, err := second.Find(sdk.KindPrincipalMapper, "badge"); err != nil {
		t.Error(err)
	}
	if got := second.Fresh(); !slices.Equal(got, []string{"p"}) {
		t.Errorf("nobody served with it before: %v", got)
	}
	second.Activate()
	second.Close(t.Context())
	if got := w.prepare(t, s).Fresh(); len(got) != 0 {
		t.Errorf("somebody had it before: %v", got)
	}
	if n := strings.Count(w.log.String(), "plugin did not start"); n != 0 {
		t.Errorf("a failure that the set tells of was logged, too: %d times", n)
	}
}

// A call that is under way when the last set is closed ends by itself; one that takes too long does not keep the plugin.
func TestDrain(t *testing.T) {
	t.Parallel()
	for _, finishes := range []bool{true, false} {
		t.Run(fmt.Sprint("finishes ", finishes), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil, source(t, "p", "good"))
			h, pid := w.mapper(t, "await"), w.pids()[0]
			x := w.plugins[0].live
			mark := filepath.Join(t.TempDir(), "mark")
			called := make(chan error, 1)
			go func() {
				got, err := w.mapSubject(t, h, "r1", mark)
				if err == nil && got.Name != "awaited" {
					err = errors.New(got.Name)
				}
				called <- err
			}()
			waitFor(t, "the part serves the call", func() bool {
				_, err := os.Stat(mark + ".awaited")
				return err == nil && x.Calls() == 1
			})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			closed := make(chan struct{})
			go func() {
				defer close(closed)
				w.Set.Close(ctx)
			}()
			waitFor(t, "it drains", func() bool { return w.states() == "p draining" })
			fresh := w.prepare(t, source(t, "p", "good"))
			if got := fresh.Fresh(); len(got) != 1 {
				t.Errorf("a set took what drains: %v", got)
			}
			if finishes {
				if err := os.WriteFile(mark, nil, 0o600); err != nil {
					t.Fatal(err)
				}
			} else {
				cancel()
			}
			if err := <-called; (err == nil) != finishes {
				t.Errorf("the call: %v", err)
			}
			<-closed
			if got := w.states(); got != "p ready" || alive(pid) {
				t.Error(got)
			}
		})
	}
}
