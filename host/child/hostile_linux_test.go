package child

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestJunk: what go-plugin panics on, or stops reading after, does neither. The script says so itself: behind all that it
// printed to both streams stands a last line.
func TestJunk(t *testing.T) {
	t.Parallel()
	n := newNursery(t)
	s := shell(t, `
echo "1|1|tcp|127.0.0.1:1|grpc|$(printf '%060d' 0)" # a certificate, with TLS off
for i in 1 2 3; do head -c 300000 /dev/zero | tr '\0' y; echo; done
head -c 300000 /dev/zero | tr '\0' x >&2; echo >&2
echo '{"@message":1}' >&2
echo '{"@level":"info","@message":"x","@timestamp":{}}' >&2
printf '\033[2J\000\377\n' >&2
echo all is printed >&2
sleep 3600`, Limits{})
	s.TLS = false
	_, _ = n.try(t, load(t, s)) // nobody listens there; that it gets so far is all
	waitFor(t, "all is printed", func() bool { return strings.Contains(n.log.String(), "all is printed") })
	waitFor(t, "both streams are logged", func() bool {
		return strings.Contains(n.log.String(), "yyyy") && strings.Contains(n.log.String(), "xxxx")
	})
	for l := range strings.Lines(n.log.String()) {
		if len(l) > 2*maxLine || strings.ContainsRune(l, '\033') {
			t.Errorf("%d bytes: %.80q", len(l), l)
		}
	}
}

// TestStopped: neither Kill nor Ping of go-plugin ever return for a process that the system has stopped.
func TestStopped(t *testing.T) {
	t.Parallel()
	n := newNursery(t)
	p := n.start(t, load(t, program(t, "good")))
	if err := syscall.Kill(p.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "it is stopped", func() bool { // which the signal only begins
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
		return err == nil && strings.Contains(string(stat), ") T ")
	})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if p.Answers(ctx) {
		t.Error("a stopped process answers")
	}
	p.Stop(StopGrace/10, nil)
	if alive(p.PID()) || !p.Gone() {
		t.Error("the process is left")
	}
}

// TestPipesAreHeld: a process that inherited the pipes of one that has ended keeps nobody waiting, and does not outlive it.
func TestPipesAreHeld(t *testing.T) {
	t.Parallel()
	for name, prefix := range map[string]string{"in the process group": "", "in a session of its own": "setsid "} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNursery(t)
			mark := filepath.Join(t.TempDir(), "pid")
			_, err := n.try(t, load(t, shell(t, fmt.Sprintf("%ssleep 3600 & echo $! >%s; echo went away >&2; exit 3", prefix, mark), Limits{})))
			refusal(t, err, ReasonHandshake, `is not a plugin: it ended (exit status 3) without a handshake; it printed "went away"`)
			text, err := os.ReadFile(mark)
			if err != nil {
				t.Fatal(err)
			}
			pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
			if err != nil {
				t.Fatal(err)
			}
			waitFor(t, "what held the pipes is gone", func() bool { return !alive(pid) })
		})
	}
}

// TestNoHandshake: who never speaks is not waited for, and says so himself.
func TestNoHandshake(t *testing.T) {
	t.Parallel()
	n := newNursery(t)
	i := load(t, shell(t, "echo waiting for a license >&2; sleep 3600", Limits{}))
	start := func(ctx context.Context, handshake time.Duration) error {
		_, err := n.Start(ctx, i, Options{Logger: n.logger(), Handshake: handshake, Connect: time.Second})
		return err
	}
	refusal(t, start(t.Context(), 2*time.Second), ReasonTimeout, `no handshake within 2s; it printed "waiting for a license"`)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	refusal(t, start(ctx, time.Minute), ReasonStopped, "was stopped before it was ready")
	if left, err := filepath.Glob(filepath.Join(n.place.path, "*", ".")); err != nil || len(left) > 1 { // the lock
		t.Errorf("left: %v %v", left, err)
	}
}

// TestClosedStarter: with its starter a process ends, too.
func TestClosedStarter(t *testing.T) {
	t.Parallel()
	n := newNursery(t)
	i := load(t, program(t, "good"))
	p := n.start(t, i)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the process has ended", func() bool { return p.Gone() })
	if _, err := n.try(t, i); err == nil {
		t.Error("a closed starter starts")
	}
}
