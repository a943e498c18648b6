package child

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func openFiles(_, err io.Writer) {
	for n := 0; ; n++ {
		if _, fault := os.Open("/dev/null"); fault != nil {
			_, _ = fmt.Fprintf(err, "opened %d: %v\n", n, fault)
			return
		}
	}
}

// TestFiles: who leaks files runs out of their own.
func TestFiles(t *testing.T) {
	t.Parallel()
	n := newNursery(t)
	s := program(t, "files")
	s.Limits.OpenFiles = 100
	if _, err := n.try(t, load(t, s)); err == nil {
		t.Error("a process without files served")
	}
	waitFor(t, "the process has no more files", func() bool { return strings.Contains(n.log.String(), "too many open files") })
	_, count, _ := strings.Cut(n.log.String(), "opened ")
	count, _, _ = strings.Cut(count, ":")
	if got, err := strconv.Atoi(count); err != nil || got > 100 {
		t.Errorf("%d, %v", got, err)
	}
}

// shell gives a program that runs a script of the shell, which is no plugin: what it prints last is in the error. It has no
// race detector in it, so that its memory can be limited.
func shell(t testing.TB, lines string, l Limits) Program {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+lines+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return Program{Path: path, TLS: true, Env: map[string]string{"PATH": os.Getenv("PATH")}, Limits: l}
}

// limited waits until the limits are set, of which that of files is the last.
const limited = `until [ "$(ulimit -Hn)" -le 4096 ]; do :; done; `

func TestMemory(t *testing.T) {
	t.Parallel()
	n := newNursery(t)
	const hog = limited + "dd if=/dev/zero of=/dev/null bs=%dM count=1"
	for megabytes, want := range map[int]bool{32: true, 512: false} {
		_, err := n.try(t, load(t, shell(t, fmt.Sprintf(hog+" 2>/dev/null && echo it fits >&2 || echo it does not fit >&2", megabytes), Limits{Memory: 256 << 20})))
		if err == nil || strings.Contains(err.Error(), "it fits") != want {
			t.Errorf("%d megabytes: %v", megabytes, err)
		}
	}
}

// TestEndsWithinLimits: what ends before its handshake says first why, not what is at the end of its stack, and what it was held to
// if that is its own.
func TestEndsWithinLimits(t *testing.T) {
	t.Parallel()
	n := newNursery(t)
	const crash = `{ echo "starting"; echo "%s"; echo; echo "goroutine 1 [running]:"; echo "gs     0x0"; } >&2; exit 2`
	own := Limits{Memory: 64 << 20, OpenFiles: 100}
	for _, tt := range []struct {
		says   string
		limits Limits
		want   string
	}{
		{"fatal error: out of memory", own, `(exit status 2) without a handshake; it printed "fatal error: out of memory"; its limits: memory 64MiB, open_files 100`},
		{"panic: no room", Limits{Processes: 5000, Memory: Unlimited}, `it printed "panic: no room"; its limits: processes 5000`},
		{"runtime/cgo: pthread_create failed: Resource temporarily unavailable", own, `it printed "runtime/cgo: pthread_create failed: Resource temporarily unavailable"; its limits: `},
		{"SIGSEGV: segmentation violation", own, `it printed "SIGSEGV: segmentation violation"; its limits: `},
		{"fatal error: all goroutines are asleep", Limits{}, `it printed "fatal error: all goroutines are asleep"`},
		{"fatal error: it is not the limits", Limits{Memory: Unlimited}, `it printed "fatal error: it is not the limits"`},
		{"sorry", own, `it printed "gs     0x0"; its limits: `},
	} {
		_, err := n.try(t, load(t, shell(t, fmt.Sprintf(crash, tt.says), tt.limits)))
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(tt.want, "limits: ") && !strings.HasSuffix(err.Error(), tt.want) {
			t.Errorf("%v, want %s", err, tt.want)
		}
	}
}

// What a script's runtime prints around the error that ends it is not what is told.
func TestScriptsErrorIsTold(t *testing.T) {
	t.Parallel()
	n := newNursery(t)
	const node = "node:internal/modules/cjs/loader:1210\n  throw err;\n  ^\n\nError: Cannot find module '/opt/plugin.cjs'\n    at Module._load\n  requireStack: []\n}\n\nNode.js v20.20.2"
	const python = "Traceback (most recent call last):\n  File \"x\", line 1\nModuleNotFoundError: No module named 'grpc'"
	for text, want := range map[string]string{
		node: `it printed "Error: Cannot find module '/opt/plugin.cjs'"`, python: `it printed "ModuleNotFoundError: No module named 'grpc'"`,
		"Error: x\nand more": `it printed "and more"`,
	} {
		_, err := n.try(t, load(t, shell(t, "cat >&2 <<'EOT'\n"+text+"\nEOT\nexit 1", Limits{})))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// A plugin that dies when it serves says what it was held to, too.
func TestDiesWithinLimits(t *testing.T) {
	t.Parallel()
	n := newNursery(t)
	own := program(t, "good")
	own.Limits.OpenFiles = 100
	for want, p := range map[string]Program{"the process ended: signal: killed; its limits: open_files 100": own, "the process ended: signal: killed": program(t, "good")} {
		x := n.start(t, load(t, p))
		x.Kill()
		<-x.Exited()
		if got := x.Ended().Error(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestLimitsAreSet reads what a process is held to, without limits of its own and with them.
func TestLimitsAreSet(t *testing.T) {
	t.Parallel()
	n := newNursery(t)
	const tell = limited + `echo "core $(ulimit -c) files $(ulimit -n) $(ulimit -Hn) data $(ulimit -d) heap $GOMEMLIMIT" >&2; grep NoNewPrivs /proc/self/status | tr -d '\t' | tr : ' ' >&2`
	for want, l := range map[string]Limits{
		"core 0 files 4096 4096 data 1048576 heap 966367620":      {},
		"core 0 files 64 64 data 65536 heap 60397920":             {OpenFiles: 64, Memory: 64 << 20},
		"core 0 files 4096 4096 data " + dataLimit(t) + " heap\"": {Memory: Unlimited},
	} {
		if _, err := n.try(t, load(t, shell(t, tell, l))); err == nil || !strings.Contains(err.Error(), `"NoNewPrivs 1"`) {
			t.Errorf("privileges may be gained: %v", err)
		}
		if log := n.log.String(); !strings.Contains(log, want) {
			t.Errorf("no %q in %s", want, log)
		}
	}
}

// dataLimit is what the test itself is held to.
func dataLimit(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "/bin/sh", "-c", "ulimit -Hd").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// threads counts what the user runs.
func threads(t *testing.T) (n int) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/task/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range all {
		if info, err := os.Stat(dir); err == nil && mine(info) {
			n++
		}
	}
	return n
}

// TestForkBomb is another user if it can: processes are counted by user, and root's are not.
func TestForkBomb(t *testing.T) {
	t.Parallel()
	most := 60
	self := os.Getenv("CHILD_TEST_FORKS")
	if os.Geteuid() != 0 && self == "" {
		self = program(t, "forks").Path
		most += threads(t) + 60 // other tests have some more
	}
	if self != "" {
		n := newNursery(t)
		if n.groups != nil && n.groups.processes {
			t.Skip("processes are limited by a control group")
		}
		s := program(t, "forks")
		s.Path, s.Limits.Processes = self, uint64(most)
		if p, err := n.try(t, load(t, s)); err == nil {
			p.Stop(0, nil)
		}
		log := n.log.String()
		_, count, _ := strings.Cut(log, "forked ")
		count, _, _ = strings.Cut(count, ":")
		if got, err := strconv.Atoi(count); err != nil || got < 5 || got > most {
			t.Errorf("%d, %v: %s", got, err, log)
		}
		return
	}
	const nobodyElse = 54321
	self = copyOf(t, "/proc/self/exe")
	if err := os.Chmod(filepath.Dir(self), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(filepath.Dir(self)), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestForkBomb$", "-test.v")
	cmd.Env = []string{"CHILD_TEST_FORKS=" + self, "PATH=" + os.Getenv("PATH")}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobodyElse, Gid: nobodyElse}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func fork(_, err io.Writer) {
	for n := 0; n < 1000; n++ {
		if fault := exec.Command("/bin/sleep", "3600").Start(); fault != nil { //nolint:noctx // it is to stay
			_, _ = fmt.Fprintf(err, "forked %d: %v\n", n, fault)
			os.Exit(5)
		}
	}
	_, _ = fmt.Fprintln(err, "forked 1000: no limit")
}
