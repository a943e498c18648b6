package child

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/realmgate/realmgate/internal/capture"
)

// escape starts a process that leaves the plugin's process group and session, and writes its id to the file MARK. Without
// parent it is nobody's child by then, and without environment nothing in it tells where it came from.
func escape(parent, environment bool) func(_, err io.Writer) {
	return func(_, err io.Writer) {
		const leave = `setsid sleep 3600 >/dev/null 2>&1 </dev/null & echo $! >"$0.new" && mv "$0.new" "$0"`
		cmd := exec.Command("/bin/sh", "-c", leave, os.Getenv("MARK")) //nolint:noctx // what it starts is to stay
		if parent {
			cmd.Args[2] += "; wait"
		}
		if !environment {
			cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
		}
		cmd.Stderr = err
		if fault := cmd.Start(); fault != nil {
			panic(fault)
		}
		if !parent {
			_ = cmd.Wait() // what matters is in the file
		}
	}
}

// escaped starts a plugin of a mode and gives it and the process that left it.
func (n *nursery) escaped(t testing.TB, mode string) (p *Process, pid int) {
	t.Helper()
	s := program(t, mode)
	mark := filepath.Join(t.TempDir(), "pid")
	s.Env["MARK"], s.Env["PATH"] = mark, os.Getenv("PATH")
	p = n.start(t, load(t, s))
	waitFor(t, "the process tells its id", func() bool { _, err := os.Stat(mark); return err == nil })
	text, err := os.ReadFile(mark)
	if err != nil {
		t.Fatal(err)
	}
	if pid, err = strconv.Atoi(strings.TrimSpace(string(text))); err != nil || pid < 2 || !alive(pid) {
		t.Fatal(pid, err)
	}
	t.Cleanup(func() { // it must not outlive the test, whatever fails
		if alive(pid) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	return p, pid
}

// TestControlGroup runs a starter in a control group that is delegated to it: nothing gets away there.
func TestControlGroup(t *testing.T) {
	t.Parallel()
	if os.Getenv("CHILD_TEST_GROUP") != "" {
		inControlGroup(t)
		return
	}
	own, _, err := ownGroup()
	if err != nil || os.Geteuid() != 0 {
		t.Skip("needs root and control groups of version 2: ", err)
	}
	dir := filepath.Join(own, "realmgate-test-"+strconv.Itoa(os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skip("no control group can be made here: ", err)
	}
	defer func() {
		removeGroup(filepath.Join(dir, daemonGroup))
		removeGroup(dir)
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s is left", dir)
		}
	}()
	for _, controller := range []string{"memory", "pids"} {
		_ = write(own, "cgroup.subtree_control", "+"+controller) // what is not there is not tested
	}
	if err := unix.Setxattr(dir, "user.delegate", []byte("1"), 0); err != nil {
		t.Skip("control groups have no attributes here: ", err)
	}
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestControlGroup$", "-test.v")
	cmd.Env = append(os.Environ(), "CHILD_TEST_GROUP=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(f.Fd())}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

func inControlGroup(t *testing.T) {
	n := newNursery(t)
	if n.groups == nil {
		t.Fatal("no control groups are made")
	}
	second, err := NewStarter(n.base, n.logger()) // the daemon has moved by now
	if err != nil || second.groups == nil {
		t.Fatal(second, err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	for _, end := range []func(*Process){(*Process).Kill, func(p *Process) { _ = syscall.Kill(p.PID(), syscall.SIGKILL) }, func(p *Process) { p.Stop(StopGrace, nil) }} {
		p, pid := n.escaped(t, "escaped")
		end(p)
		waitFor(t, "what had escaped is gone", func() bool { return !alive(pid) })
		p.Stop(0, nil)
		if left, err := filepath.Glob(filepath.Join(n.groups.dir, "*", "cgroup.procs")); err != nil || len(left) > 0 {
			t.Errorf("control groups are left: %v %v", left, err)
		}
	}
	if !n.groups.processes {
		t.Log("not tested: there is no controller of processes")
	} else {
		s := program(t, "forks")
		s.Limits.Processes = 60
		_, err := n.try(t, load(t, s))
		if err == nil || !strings.Contains(n.log.String(), "forked ") || strings.Contains(n.log.String(), "no limit") {
			t.Errorf("%v", err)
		}
	}
	if !n.groups.memory {
		t.Log("not tested: there is no controller of memory")
	} else {
		_, err := n.try(t, load(t, shell(t, "dd if=/dev/zero of=/dev/null bs=512M count=1", Limits{Memory: 64 << 20})))
		refusal(t, err, ReasonLimit, "used more memory than its limit")
	}
}

// TestEscape: what a plugin started ends with it, also when it has left its process group and session.
func TestEscape(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"child", "detached"} {
		for name, end := range map[string]func(*Process){
			"killed": (*Process).Kill, "crashed": func(p *Process) { _ = syscall.Kill(p.PID(), syscall.SIGKILL) },
			"stopped": func(p *Process) { p.Stop(StopGrace, nil) },
		} {
			t.Run(mode+" "+name, func(t *testing.T) {
				t.Parallel()
				n := newNursery(t)
				p, pid := n.escaped(t, mode)
				other, stays := n.escaped(t, mode)
				end(p)
				waitFor(t, "what had left is gone", func() bool { return !alive(pid) })
				if !alive(stays) || !alive(other.PID()) {
					t.Error("another plugin's process was ended")
				}
			})
		}
	}
}

// inHost runs a test again, in a process of its own that is a host.
func inHost(t *testing.T, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

// TestAdoptOrphans: a host that starts nothing but plugins ends what hid where it came from, and leaves no zombies.
func TestAdoptOrphans(t *testing.T) {
	t.Parallel()
	if os.Getenv("CHILD_TEST_ADOPT") == "" {
		if out, err := inHost(t, "CHILD_TEST_ADOPT=1").CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	for range 2 {
		if err := AdoptOrphans(); err != nil {
			t.Fatal(err)
		}
	}
	n := newNursery(t)
	other, stays := n.escaped(t, "detached")
	p, pid := n.escaped(t, "escaped")
	p.Kill()
	waitFor(t, "what had escaped is gone", func() bool { return syscall.Kill(pid, 0) != nil })
	if !alive(stays) || !alive(other.PID()) {
		t.Error("another plugin's process was ended")
	}
	if err := syscall.Kill(stays, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the zombie is gone", func() bool { return syscall.Kill(stays, 0) != nil })
	answers(t, other)
}

// TestRunIsNoOrphan: a command that the host runs itself ends as it wants to, also if a plugin ends meanwhile, and keeps no orphan
// alive.
func TestRunIsNoOrphan(t *testing.T) {
	t.Parallel()
	if os.Getenv("CHILD_TEST_ADOPT") == "" {
		if out, err := inHost(t, "CHILD_TEST_ADOPT=1").CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	if err := AdoptOrphans(); err != nil {
		t.Fatal(err)
	}
	p, pid := newNursery(t).escaped(t, "escaped")
	cmd := exec.Command("/bin/sh", "-c", "echo up; read line; exit 7")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	up := &capture.Buffer{}
	cmd.Stdout = up
	ended := make(chan error, 1)
	go func() { ended <- Run(cmd) }()
	waitFor(t, "the command runs", func() bool { return up.String() != "" })
	p.Kill()
	waitFor(t, "what had escaped is gone", func() bool { return syscall.Kill(pid, 0) != nil })
	_ = in.Close()
	err = <-ended
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Errorf("the command: %v", err)
	}
	brood.Lock()
	defer brood.Unlock()
	if _, known := brood.dirs[cmd.Process.Pid]; known {
		t.Error("what has ended is still known")
	}
}

// TestKilledHost: what a host left that was killed is ended and removed when the next one starts, and nothing of one that
// lives is.
func TestKilledHost(t *testing.T) {
	t.Parallel()
	if os.Getenv("CHILD_TEST_HOST") != "" {
		n := newNursery(t)
		p, pid := n.escaped(t, "detached")
		f, err := os.Open("/bin/true")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sealFile(f, sha256.New(), false); err != nil {
			t.Fatal(err)
		}
		fmt.Println("host", p.PID(), pid, n.place.path)
		select {} // until it is killed
	}
	base, err := os.MkdirTemp("", "k")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(base) }()
	host := inHost(t, "CHILD_TEST_HOST=1", "TMPDIR="+base)
	out, err := host.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	var pid, escaped int
	var dir string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if n, _ := fmt.Sscanf(lines.Text(), "host %d %d %s", &pid, &escaped, &dir); n == 3 {
			break
		}
	}
	if escaped == 0 {
		t.Fatal("the host did not start its plugin")
	}
	defer func() { _ = syscall.Kill(escaped, syscall.SIGKILL) }() // whatever fails

	base2 := filepath.Dir(dir)
	log := &capture.Buffer{}
	next := func() {
		s, err := NewStarter(base2, hclog.New(&hclog.LoggerOptions{Output: log}))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	next()
	if _, err := os.Stat(dir); err != nil || !alive(pid) || !alive(escaped) {
		t.Errorf("a living host was swept: %v", err)
	}
	if err := host.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = host.Wait() // killed
	waitFor(t, "the plugin ends with its host", func() bool { return !alive(pid) })
	if !alive(escaped) {
		t.Error("nothing was left to sweep")
	}
	next()
	if _, err := os.Stat(dir); !os.IsNotExist(err) || alive(escaped) {
		t.Errorf("swept, but the directory is left (%v), or the process is (%v)", err, alive(escaped))
	}
	if !strings.Contains(log.String(), "processes=1") {
		t.Error(log.String())
	}
	copies := stale(base) // of binaries: swept where the next host keeps its own
	for _, p := range copies {
		if err := p.remove(); err != nil {
			t.Error(err)
		}
	}
	if len(copies) != 1 {
		t.Errorf("copies of binaries are left in %v", copies)
	}
}
