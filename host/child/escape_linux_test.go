package child

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
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
	if pid, err = strconv.Atoi(strings.TrimSpace(string(text))); err != nil || !alive(pid) {
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
