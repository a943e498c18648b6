package catalog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// kill ends the process of the first plugin and waits until the catalog knows.
func (w *world) kill(t *testing.T) (pid int) {
	t.Helper()
	pid = w.pids()[0]
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the catalog sees the end of the process", func() bool {
		s := w.Plugins()[0]
		return s.State != StateReady || s.PID != pid
	})
	return pid
}

func (w *world) ready(t *testing.T) {
	t.Helper()
	waitFor(t, "the plugin is ready again", func() bool { return w.Plugins()[0].State == StateReady })
}

func TestKilledIsRestarted(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"good", "unary"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil, secured(t, "p", mode))
			hs, ds := w.Configure(t.Context(), []Instance{early("resolve")})
			if len(ds) > 0 || w.secrets.count() != 1 {
				t.Fatal(ds, w.secrets.count())
			}
			ask, released := w.mapper(t, "ask"), w.mapper(t, "resolve", "urn:realmgate-secret:ops:gone")
			w.Release(t.Context(), []Handle{released, {}})
			for round := 1; round <= 2; round++ {
				pid := w.kill(t)
				if _, err := w.mapSubject(t, ask, "r1", "alice"); err != nil && !errors.Is(err, ErrUnavailable) {
					t.Errorf("%v", err)
				}
				w.ready(t)
				s := w.Plugins()[0]
				if s.Restarts != round || s.PID == pid || !strings.Contains(s.LastError, "signal: killed") {
					t.Errorf("%+v", s)
				}
				if got, err := w.mapSubject(t, ask, "r1", "alice"); err != nil || got.ID != "42" {
					t.Error(got, err)
				}
				if got, err := w.mapSubject(t, hs[0], "r1", "x"); err != nil || got.Name != "operator login" {
					t.Error(got, err)
				}
			}
			if w.secrets.count() != 5 { // once per constructor and once per call
				t.Errorf("%v", w.secrets.asked)
			}
			if _, err := w.mapSubject(t, released, "r1", "x"); !errors.Is(err, ErrUnavailable) {
				t.Errorf("a released instance came back: %v", err)
			}
			if left := w.sockets(t); len(left) != 1 {
				t.Errorf("socket directories: %v", left)
			}
			n := 0
			w.plugins[0].calls.Range(func(any, any) bool { n++; return true })
			if n != 2 {
				t.Errorf("%d instances may call the host", n)
			}
		})
	}
}

func TestCrashInCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, source(t, "p", "good"))
	exit, fine := w.mapper(t, "exit"), w.mapper(t, "")
	_, err := w.mapSubject(t, exit, "r1", "x")
	if !errors.Is(err, ErrUnavailable) || sdk.AsDenial(err) != nil {
		t.Errorf("%v", err)
	}
	waitFor(t, "the plugin was restarted", func() bool { return w.Plugins()[0].Restarts == 1 })
	w.ready(t)
	if got, err := w.mapSubject(t, fine, "r1", "x"); err != nil || got.Name != "x" {
		t.Error(got, err)
	}
	if s := w.Plugins()[0]; !strings.Contains(s.LastError, "exit status 7") {
		t.Errorf("%+v", s)
	}
}

func TestLostSessionIsReopened(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, source(t, "p", "good"))
	h := w.mapper(t, "ask")
	p := w.plugins[0]
	p.mu.Lock()
	x := p.live
	p.mu.Unlock()
	if err := x.OpenSession(x.session); err != nil { // breaks the one that there is
		t.Fatal(err)
	}
	waitFor(t, "the session is opened again", func() bool { return strings.Contains(w.log.String(), "session was lost and opened again") })
	waitFor(t, "calls work", func() bool { got, err := w.mapSubject(t, h, "r1", "alice"); return err == nil && got.ID == "42" })
	if s := w.Plugins()[0]; s.Restarts != 0 || s.PID != x.child.PID() {
		t.Errorf("%+v", s)
	}
}

// TestHungIsRestarted: a process that the system has stopped neither ends nor breaks its session.
func TestHungIsRestarted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.ProbeInterval, o.DescribeTimeout = 100*time.Millisecond, 5*time.Second }, source(t, "p", "good"))
	h := w.mapper(t, "")
	suspend(t, w.pids()[0])
	waitFor(t, "the plugin is restarted", func() bool { return w.Plugins()[0].Restarts > 0 })
	w.ready(t)
	if got, err := w.mapSubject(t, h, "r1", "x"); err != nil || got.Name != "x" {
		t.Error(got, err)
	}
	if s := w.Plugins()[0]; s.LastError != "the process did not answer 2 probes of 5s and was killed" {
		t.Errorf("%+v", s)
	}
}

func TestChangedOffers(t *testing.T) {
	t.Parallel()
	s := source(t, "p", "changes")
	mark := filepath.Join(t.TempDir(), "mark")
	s.Env["MARK"] = mark
	w := newWorld(t, nil, s)
	h := w.mapper(t, "")
	w.kill(t)
	waitFor(t, "the change is seen", func() bool { return strings.Contains(w.Plugins()[0].LastError, "no longer offers") })
	if s := w.Plugins()[0].State; s == StateFailed {
		t.Errorf("it is tried again, but its state is %v", s)
	}
	if got, want := w.Plugins()[0].LastError, "plugin p: "+s.Path+`: no longer offers the principal-mapper of type "badge", which is in use`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if _, err := w.mapSubject(t, h, "r1", "x"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("%v", err)
	}
}

func TestCrashLoopDoesNotSpin(t *testing.T) {
	t.Parallel()
	s := source(t, "p", "once")
	s.Env["MARK"] = filepath.Join(t.TempDir(), "mark")
	w := newWorld(t, nil, s)
	h := w.mapper(t, "")
	w.kill(t)
	waitFor(t, "it backs off", func() bool { return strings.Contains(w.Plugins()[0].LastError, "exit status 4") })
	if _, err := w.mapSubject(t, h, "r1", "x"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("%v", err)
	}
	hs, ds := w.Configure(t.Context(), []Instance{{Kind: sdk.KindPrincipalMapper, Type: "badge"}})
	if len(ds) != 1 || hs[0].IsZero() || !ds[0].Unavailable || !strings.HasPrefix(ds[0].Summary, "plugin p: unavailable: it is ") {
		t.Errorf("%v %+v", hs, ds)
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	var b backoff
	most := firstPause
	for range 40 {
		if d := b.next(); d < most/2 || d > most {
			t.Errorf("%v is not within half of %v", d, most)
		}
		most = min(2*most, longestPause)
	}
	b.reset()
	if d := b.next(); d > firstPause {
		t.Error(d)
	}
}

func TestStubbornIsKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, source(t, "p", "stubborn"))
	w.mapper(t, "")
	pid := w.pids()[0]
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if err := w.Close(ctx); err != nil {
		t.Error(err)
	}
	if alive(pid) {
		t.Error("the process is left")
	}
}

// TestStoppedIsKilled: nothing of go-plugin ends on a process that the system has stopped.
func TestStoppedIsKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, source(t, "p", "good"))
	w.mapper(t, "")
	pid := w.pids()[0]
	suspend(t, pid)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := w.Close(ctx); err != nil {
		t.Error(err)
	}
	if alive(pid) {
		t.Error("the process is left")
	}
}

// TestGrandchild: a process that the plugin started holds its pipes and outlives it, if nobody ends it.
func TestGrandchild(t *testing.T) {
	t.Parallel()
	s := source(t, "p", "parent")
	mark := filepath.Join(t.TempDir(), "pid")
	s.Env["MARK"] = mark
	w := newWorld(t, nil, s)
	text, err := os.ReadFile(mark)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(text))
	if err != nil || !alive(pid) {
		t.Fatal(pid, err)
	}
	if err := w.Close(t.Context()); err != nil {
		t.Error(err)
	}
	waitFor(t, "the grandchild is gone", func() bool { return !alive(pid) || zombie(pid) })
}

func zombie(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(b), ") Z ")
}

func TestClosed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, source(t, "p", "good"))
	h := w.mapper(t, "")
	for range 2 {
		if err := w.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if s := w.Plugins()[0]; s.State != StateStopped || s.PID != 0 {
		t.Errorf("%+v", s)
	}
	if _, err := w.mapSubject(t, h, "r1", "x"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("%v", err)
	}
	w.Prepare(t.Context(), []Source{source(t, "q", "other")})
	for _, s := range w.Plugins() {
		if s.PID != 0 || s.State == StateReady {
			t.Errorf("started after Close: %+v", s)
		}
	}
}

func TestCloseEndsStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.Prepare(context.Background(), []Source{source(t, "p", "silent")})
	}()
	waitFor(t, "the process starts", func() bool {
		return len(w.sockets(t)) == 1
	})
	if err := w.Close(t.Context()); err != nil {
		t.Error(err)
	}
	<-done
	if s := w.Plugins()[0]; s.State == StateReady || !strings.HasSuffix(s.LastError, "was stopped before it was ready") {
		t.Errorf("%+v", s)
	}
}

// TestNothingIsLeft counts goroutines; it is not parallel, so nothing else runs beside it.
func TestNothingIsLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 3 {
		c, err := New(Options{Directory: fakeDirectory{}, Secrets: &fakeSecrets{}})
		if err != nil {
			t.Fatal(err)
		}
		w := &world{Catalog: c, Set: c.Prepare(t.Context(), []Source{source(t, "a", "good"), source(t, "bad", "exit"), source(t, "empty", "empty")})}
		h := w.mapper(t, "ask")
		w.kill(t)
		w.ready(t)
		if _, err := w.mapSubject(t, h, "r1", "alice"); err != nil {
			t.Error(err)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	waitFor(t, "all goroutines have ended", func() bool { return runtime.NumGoroutine() <= before })
}
