package child

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestSealedMemory: the copy is in memory, nobody can change it, and a process has no other way to it than to run it.
func TestSealedMemory(t *testing.T) {
	t.Parallel()
	n := newNursery(t)
	i := load(t, program(t, "good"))
	if !strings.HasPrefix(i.copy.path, "/proc/self/fd/") {
		t.Skipf("memory cannot be executed here: the copy is %s", i.copy.path)
	}
	if f, err := os.OpenFile(i.copy.path, os.O_WRONLY, 0); err == nil {
		if _, err = f.Write([]byte("x")); err == nil {
			t.Error("the copy was written")
		}
		_ = f.Close()
	}
	if err := os.Truncate(i.copy.path, 1); err == nil {
		t.Error("the copy was cut")
	}
	p := n.start(t, i)
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", p.PID()))
	if err != nil || !strings.Contains(exe, "memfd:realmgate-plugin") {
		t.Errorf("it runs %s, %v", exe, err)
	}
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.PID()))
	if err != nil || len(fds) == 0 {
		t.Fatal(fds, err)
	}
	for _, fd := range fds {
		if to, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", p.PID(), fd.Name())); strings.Contains(to, "memfd") {
			t.Errorf("%s is open: %s", fd.Name(), to)
		}
	}
}

// TestMemoryRefused runs the tests of images where the system refuses to execute memory.
func TestMemoryRefused(t *testing.T) {
	t.Parallel()
	const sysctl = "/proc/sys/vm/memfd_noexec"
	if os.Getenv("CHILD_TEST_NOEXEC") != "" {
		if err := os.WriteFile(sysctl, []byte("2"), 0); err != nil {
			t.Fatal(err)
		}
		i := load(t, program(t, "good"))
		if i.copy == nil || strings.HasPrefix(i.copy.path, "/proc/") {
			t.Fatalf("%+v", i.copy)
		}
		answers(t, newNursery(t).start(t, i))
		return
	}
	if _, err := os.Stat(sysctl); err != nil || os.Geteuid() != 0 {
		t.Skip("needs root, and Linux 6.3: the setting is made in a process namespace of its own")
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestMemoryRefused$")
	cmd.Env = append(os.Environ(), "CHILD_TEST_NOEXEC=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
