package child

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/internal/capture"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/serve"
)

// modeVariable makes the test binary a plugin of some kind.
const modeVariable = "CHILD_TEST_MODE"

func TestMain(m *testing.M) {
	Main()
	if mode := os.Getenv(modeVariable); mode != "" {
		runPlugin(mode)
		return
	}
	os.Exit(m.Run())
}

type part struct{}

func (part) MapPrincipal(context.Context, sdk.Identity) (sdk.PrincipalRef, error) {
	return sdk.PrincipalRef{Name: "x"}, nil
}

func runPlugin(mode string) {
	do := modes[mode] // what it does before it serves
	if do == nil {
		_, _ = fmt.Fprintln(os.Stderr, "no such mode:", mode)
		os.Exit(3)
	}
	do(os.Stdout, os.Stderr)
	os.Exit(serve.Run(serve.Config{Name: mode, Version: "1", Implementations: []sdk.Implementation{
		sdk.PrincipalMapperType("badge", func(context.Context, sdk.Setup, struct{}) (part, error) { return part{}, nil })}}))
}

// program has no limit of memory: the race detector uses terabytes of what is never touched.
func program(t testing.TB, mode string) Program {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Program{Path: self, TLS: true, Limits: Limits{Memory: Unlimited}, Env: map[string]string{
		modeVariable: mode,
		"GORACE":     "atexit_sleep_ms=50", // with the race detector a process would sleep for a second at its end
	}}
}

// nursery is a starter with a directory and a log.
type nursery struct {
	*Starter
	base string // the directory that was given to NewStarter
	log  *capture.Buffer
}

// newNursery makes a starter. At the end of the test nothing of it may be left.
func newNursery(t testing.TB) *nursery {
	t.Helper()
	n := &nursery{log: &capture.Buffer{}}
	var err error
	if n.base, err = os.MkdirTemp("", "n"); err != nil { // t.TempDir is too long for a socket
		t.Fatal(err)
	}
	if n.Starter, err = NewStarter(n.base, n.logger()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		if err := os.Remove(n.base); err != nil {
			t.Errorf("something is left: %v", err)
		}
		if t.Failed() {
			t.Log(n.log.String())
		}
	})
	return n
}

func (n *nursery) logger() hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Output: n.log, Level: hclog.Debug, JSONFormat: true})
}

func load(t testing.TB, p Program) *Image {
	t.Helper()
	i, err := Load(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.Close)
	return i
}

// start starts a process of an image, which is stopped at the end of the test.
func (n *nursery) start(t testing.TB, i *Image) *Process {
	t.Helper()
	p, err := n.try(t, i)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (n *nursery) try(t testing.TB, i *Image) (*Process, error) {
	t.Helper()
	p, err := n.Start(t.Context(), i, Options{Logger: n.logger(), Handshake: 30 * time.Second, Connect: 20 * time.Second})
	if err == nil {
		t.Cleanup(func() { p.Stop(StopGrace, nil) })
	}
	return p, err
}

// answers fails the test if the process cannot be called.
func answers(t testing.TB, p *Process) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if !p.Answers(ctx) {
		t.Error("the process does not answer")
	}
}

// copyOf copies the test binary.
func copyOf(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "plugin")
	if err := os.WriteFile(to, b, 0o755); err != nil {
		t.Fatal(err)
	}
	return to
}

func refusal(t testing.TB, err error, want Reason, detail string) {
	t.Helper()
	var r *Refusal
	if !errors.As(err, &r) || r.Reason != want || !strings.Contains(r.Detail, detail) {
		t.Errorf("%#v, want a refusal for %s: %s", err, want, detail)
	}
}

// alive says whether there is a process that has not ended; a zombie has.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) {
		if _, err := os.Stat("/proc/self"); err != nil {
			return syscall.Kill(pid, 0) == nil
		}
	}
	return err == nil && !strings.Contains(string(b), ") Z ")
}

func waitFor(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if cond() {
			return
		}
	}
	t.Fatalf("waited in vain: %s", what)
}
