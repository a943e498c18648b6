package child

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/realmgate/realmgate/internal/need"
)

// Users that no machine has. Tests of other packages have other ones.
var (
	seatsOfTests = Range{3_100_000_000, 3_100_000_099}
	stranger     = &User{UID: 3_100_000_200, GID: 3_100_000_201}
)

// openNursery is a nursery whose directory every user can enter. It needs root.
func openNursery(t testing.TB) *nursery {
	t.Helper()
	if err := MayBecome(); err != nil {
		need.Missing(t, "a user of its own needs root: %v", err)
	}
	n := newNursery(t)
	if err := os.Chmod(n.base, 0o755); err != nil {
		t.Fatal(err)
	}
	return n
}

// take takes a user for the time of the test.
func (n *nursery) take(t testing.TB, r Range, owner string) User {
	t.Helper()
	u, err := n.Take(t.Context(), r, owner)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// tryAs starts a process as a user, which is stopped at the end of the test.
func (n *nursery) tryAs(t testing.TB, i *Image, u *User) (*Process, error) {
	t.Helper()
	p, err := n.Start(t.Context(), i, Options{Logger: n.logger(), Handshake: 30 * time.Second, Connect: 20 * time.Second, User: u})
	if err == nil {
		t.Cleanup(func() { p.Stop(StopGrace, nil) })
	}
	return p, err
}

// statusOf reads the lines of proc_pid_status(5).
func statusOf(t testing.TB, pid int) map[string]string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		out[name] = strings.Join(strings.Fields(value), " ")
	}
	return out
}

// TestUser: the process is the user's and nobody else's, has no privilege, no terminal, and its own directory.
func TestUser(t *testing.T) {
	t.Parallel()
	n := openNursery(t)
	p := program(t, "good")
	p.Others = true
	own := n.take(t, seatsOfTests, "user")
	for _, u := range []*User{stranger, &own} {
		x, err := n.tryAs(t, load(t, p), u)
		if err != nil {
			t.Fatal(err)
		}
		answers(t, x)
		is := statusOf(t, x.PID())
		for name, want := range map[string]string{
			"Uid": strings.TrimSpace(strings.Repeat(fmt.Sprint(u.UID, " "), 4)), "Gid": strings.TrimSpace(strings.Repeat(fmt.Sprint(u.GID, " "), 4)),
			"Groups": "", "NoNewPrivs": "1", "CapPrm": "0000000000000000", "CapEff": "0000000000000000", "CapInh": "0000000000000000", "CapAmb": "0000000000000000",
		} {
			if is[name] != want {
				t.Errorf("%s is %q, want %q", name, is[name], want)
			}
		}
		if sid, err := unix.Getsid(x.PID()); err != nil || sid != x.PID() {
			t.Errorf("its session is %d, %v", sid, err)
		}
		info, err := os.Stat(x.child.dir)
		if err != nil {
			t.Fatal(err)
		}
		if st := info.Sys().(*syscall.Stat_t); info.Mode() != fs.ModeDir|0o700 || st.Uid != u.UID || st.Gid != u.GID {
			t.Errorf("its directory: %v of %d:%d", info.Mode(), st.Uid, st.Gid)
		}
		if info, err = os.Stat(n.place.path); err != nil || info.Mode() != fs.ModeDir|0o711 {
			t.Errorf("the directory above: %v %v", info, err)
		}
		if dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", x.PID())); err != nil || u.enters(dir) != nil {
			t.Errorf("its working directory is %s, %v", dir, err)
		}
		limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", x.PID()))
		if err != nil {
			t.Fatal(err)
		}
		most := map[string]string{"core file size": "0 0 bytes", "open files": "4096 4096 files"}
		if u.Own && !(n.groups != nil && n.groups.processes) {
			most["processes"] = "512 512 processes"
		}
		for name, want := range most {
			if !strings.Contains(strings.Join(strings.Fields(string(limits)), " "), "Max "+name+" "+want) {
				t.Errorf("%s: not %s:\n%s", name, want, limits)
			}
		}
		x.Stop(StopGrace, nil)
		if _, err := os.Stat(x.child.dir); err == nil {
			t.Error("its directory is left")
		}
	}
}

// TestHome: a working directory that a user cannot go to by itself is not handed on to it: what lies below is hidden from it.
func TestHome(t *testing.T) { //nolint:paralleltest // the working directory is the whole process's
	hidden := filepath.Join(t.TempDir(), "below") // the one above has mode 0700
	if err := os.Mkdir(hidden, 0o755); err != nil {
		t.Fatal(err)
	}
	n := openNursery(t)
	p := program(t, "good")
	p.Others = true
	i := load(t, p)
	t.Chdir(hidden)
	x, err := n.tryAs(t, i, stranger)
	if err != nil {
		t.Fatal(err)
	}
	if dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", x.PID())); err != nil || dir != "/" {
		t.Errorf("it runs in %s, %v", dir, err)
	}
	if home := stranger.home(); home != "/" {
		t.Errorf("it starts in %s", home)
	}
	t.Chdir("/usr")
	if home := stranger.home(); home != "/usr" {
		t.Errorf("it starts in %s", home)
	}
}

func TestUserRefused(t *testing.T) {
	t.Parallel()
	n := openNursery(t)
	closed := newNursery(t)
	p := program(t, "good")
	p.Others = true
	i := load(t, p)
	script := program(t, "good")
	script.Path = filepath.Join(t.TempDir(), "script") // in a directory of mode 0700
	if err := os.WriteFile(script.Path, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		n    *nursery
		i    *Image
		u    User
		want string
	}{
		{"root", n, i, User{0, 1, false}, "cannot run as the user 0: it is root"},
		{"root's group", n, i, User{stranger.UID, 0, false}, "its group is that of root"},
		{"a closed directory", closed, i, *stranger, "the directory " + closed.base + " cannot be entered by it (drwx------)"},
		{"a hidden script", n, load(t, script), *stranger, "cannot be entered by it (drwx------)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := tt.n.tryAs(t, tt.i, &tt.u)
			refusal(t, err, ReasonUser, tt.want)
		})
	}
}

func TestUserListensOnSocketOnly(t *testing.T) {
	t.Parallel()
	const line = "1|1|tcp|127.0.0.1:4711|grpc"
	if _, refused := checkHandshake(line, false, false, t.TempDir()); refused != nil {
		t.Error(refused)
	}
	if _, refused := checkHandshake(line, false, true, t.TempDir()); refused == nil || !strings.Contains(refused.Detail, "must listen on a unix socket") {
		t.Error(refused)
	}
}

// TestSocketOfSomebodyElse: the host talks to who listens, whatever path leads there.
func TestSocketOfSomebodyElse(t *testing.T) {
	t.Parallel()
	n := openNursery(t)
	path := filepath.Join(n.base, "s")
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	c := newChild(load(t, program(t, "good")), n.base, newOutput(n.logger(), newBudget()), n.Starter, time.Second)
	c.user, c.address = stranger, path
	if conn, err := c.dial(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "is not that of the plugin's user") {
		t.Errorf("%v %v", conn, err)
	}
	if c.refused == nil || !c.killed {
		t.Error("the process goes on")
	}
	c.user = &User{UID: uint32(os.Geteuid())}
	conn, err := c.dial(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}

// pose listens as the handshake says, and has the name lead to $TARGET as soon as the host has been there once.
func pose(out, _ io.Writer) {
	path := filepath.Join(os.Getenv("PLUGIN_UNIX_SOCKET_DIR"), "s")
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "unix", path)
	if err != nil {
		panic(err)
	}
	_, _ = fmt.Fprintf(out, "1|1|unix|%s|grpc|\n", path)
	conn, err := l.Accept()
	if err != nil {
		panic(err)
	}
	if err := errors.Join(os.Symlink(os.Getenv("TARGET"), path+"2"), os.Rename(path+"2", path), conn.Close()); err != nil {
		panic(err)
	}
	select {} // until it is killed
}

// TestImpostor: a plugin cannot have the host, which may be root, talk to somebody else's socket for it.
func TestImpostor(t *testing.T) {
	t.Parallel()
	n := openNursery(t)
	target := filepath.Join(n.base, "s")
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "unix", target)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	p := program(t, "impostor")
	p.Others, p.TLS = true, false
	p.Env["TARGET"] = target
	i := load(t, p)
	x, err := n.tryAs(t, i, stranger)
	if err == nil { // a connection may have been there, for a moment
		waitFor(t, "it is ended", func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return !x.Answers(ctx) && x.Gone()
		})
		err = x.Ended()
	}
	if !strings.Contains(err.Error(), "gave the socket of somebody else as its own") {
		t.Error(err)
	}
}

// TestEvict: what hides from its plugin's end by all means is of its user still.
func TestEvict(t *testing.T) {
	t.Parallel()
	n := openNursery(t)
	open, err := os.MkdirTemp("", "m")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(open) })
	if err := os.Chmod(open, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	u := n.take(t, seatsOfTests, "evict")
	p := program(t, "escaped")
	p.Others = true
	mark := filepath.Join(open, "pid")
	p.Env["MARK"], p.Env["PATH"] = mark, os.Getenv("PATH")
	x, err := n.tryAs(t, load(t, p), &u)
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the process tells its id", func() bool { _, err := os.Stat(mark); return err == nil })
	text, err := os.ReadFile(mark)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || !isOf(pid, u.UID) {
		t.Fatalf("process %d, %v: %v", pid, err, statusOf(t, pid)["Uid"])
	}
	x.Kill()
	x.Stop(0, nil)
	if alive(pid) {
		t.Error("it has got away")
	}
	if left := processesOf(u.UID); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestTake(t *testing.T) {
	t.Parallel()
	n := openNursery(t)
	r := Range{3_100_000_300, 3_100_000_302}
	a, b := n.take(t, r, "a"), n.take(t, r, "b")
	if a == b || !a.Own || a.UID < r.First || a.UID > r.Last || a.GID != a.UID {
		t.Errorf("%+v and %+v", a, b)
	}
	second := n.take(t, r, "a") // while the first is in use
	if second == a || second == b {
		t.Errorf("%+v is somebody else's", second)
	}
	if u, err := n.Take(t.Context(), r, "c"); err == nil || !strings.Contains(err.Error(), "none is left") {
		t.Errorf("%+v %v", u, err)
	}
	n.Give(a)
	if u, err := n.Take(t.Context(), r, "c"); err == nil {
		t.Errorf("%+v was that of a", u)
	}
	if again := n.take(t, r, "a"); again != a {
		t.Errorf("%+v, want %+v", again, a)
	}

	other, err := NewStarter(n.base, n.logger())
	if err != nil {
		t.Fatal(err)
	}
	if u, err := other.Take(t.Context(), r, "a"); err == nil {
		t.Errorf("%+v is taken by another daemon", u)
	}
	if err := other.Close(); err != nil {
		t.Error(err)
	}
}

// TestTakeAvoids: users that are somebody's are not taken, however it is that they are.
func TestTakeAvoids(t *testing.T) {
	t.Parallel()
	n := openNursery(t)
	if u, err := n.Take(t.Context(), Range{65534, 65534}, "a"); err == nil || !strings.Contains(err.Error(), "is nobody, a user of the machine") {
		t.Errorf("%+v %v", u, err)
	}
	r := Range{3_100_000_310, 3_100_000_310}
	run := exec.CommandContext(t.Context(), "/bin/sleep", "3600")
	run.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: r.First, Gid: r.First}, Pdeathsig: syscall.SIGKILL}
	run.Dir = "/"
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	if u, err := n.Take(t.Context(), r, "a"); err == nil {
		t.Errorf("%+v runs something", u)
	}
	if !alive(run.Process.Pid) {
		t.Error("what was not ours has been ended")
	}
	_ = run.Process.Kill()
	_ = run.Wait()
	n.take(t, r, "a") // now it runs nothing
}

// TestSeatsOutOfReach: the locks are where no plugin can be in the way of them, and a place where one could be is refused.
func TestSeatsOutOfReach(t *testing.T) {
	t.Parallel()
	n := openNursery(t)
	r := Range{3_100_000_320, 3_100_000_320}
	lock := filepath.Join(seatsDir, fmt.Sprint(r.First))
	try := func() string { // of another user to have the lock, as if no daemon had it
		cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", `exec 9<>"$1"`, "sh", lock)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: stranger.UID, Gid: stranger.GID}, Pdeathsig: syscall.SIGKILL}
		cmd.Dir = "/"
		out, _ := cmd.CombinedOutput()
		return string(out)
	}
	n.take(t, r, "a")
	if _, err := os.Stat(lock); err != nil {
		t.Error(err)
	}
	if out := try(); !strings.Contains(out, "ermission denied") {
		t.Errorf("another user opens the lock: %q", out)
	}
	for name, make := range map[string]func(dir string) error{
		"open to others": func(dir string) error { return errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o711)) },
		"a stranger's":   func(dir string) error { return errors.Join(os.Mkdir(dir, 0o700), os.Chown(dir, int(stranger.UID), 0)) },
		"a link":         func(dir string) error { return os.Symlink(seatsDir, dir) },
		"a file":         func(dir string) error { return os.WriteFile(dir, nil, 0o600) },
	} {
		dir := filepath.Join(t.TempDir(), "users")
		if err := make(dir); err != nil {
			t.Fatal(err)
		}
		if f, err := lockSeat(t.Context(), dir, r.First); err == nil || !strings.Contains(err.Error(), "must be a directory of root") {
			t.Errorf("%s: %v %v", name, f, err)
		}
	}
}

// TestCapabilities: a daemon that is not root can start processes of other users with the capabilities that the error names,
// and none of these is handed on.
func TestCapabilities(t *testing.T) {
	t.Parallel()
	if os.Getenv("CHILD_TEST_CAPABILITIES") != "" {
		n := openNursery(t)
		p := program(t, "good")
		p.Path, p.Others = "/proc/self/exe", true
		x, err := n.tryAs(t, load(t, p), stranger)
		if err != nil {
			t.Fatal(err)
		}
		answers(t, x)
		for _, u := range []struct {
			User
			want string
		}{
			{User{65534, stranger.GID, false}, "it is the daemon's own user"},
			{User{stranger.UID, 65534, false}, "its group is that of the daemon"},
		} {
			_, err := n.tryAs(t, load(t, p), &u.User)
			refusal(t, err, ReasonUser, u.want)
		}
		p.Others = false
		for _, x := range []*Process{x, n.start(t, load(t, p))} {
			for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapAmb"} {
				if is := statusOf(t, x.PID())[set]; strings.Trim(is, "0") != "" {
					t.Errorf("%s is %s", set, is)
				}
			}
		}
		return
	}
	if os.Geteuid() != 0 {
		need.Missing(t, "another user can be had by root only")
	}
	tmp, err := os.MkdirTemp("", "c")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(tmp) })
	if err := os.Chmod(tmp, 0o777); err != nil {
		t.Fatal(err)
	}
	run := func(caps []uintptr) string {
		cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestCapabilities$", "-test.v")
		cmd.Env = append(os.Environ(), "CHILD_TEST_CAPABILITIES=1", "CI=true", "TMPDIR="+tmp)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, AmbientCaps: caps, Pdeathsig: syscall.SIGKILL}
		cmd.Dir = "/"
		out, err := cmd.CombinedOutput()
		if len(out) == 0 {
			t.Error(err)
		}
		return string(out)
	}
	all := make([]uintptr, len(needed))
	for n, c := range needed {
		all[n] = uintptr(c.bit)
	}
	if out := run(all); !strings.Contains(out, "--- PASS: TestCapabilities") {
		t.Error(out)
	}
	for n, c := range needed {
		if out := run(slices.Delete(slices.Clone(all), n, n+1)); !strings.Contains(out, "the daemon is not root and lacks "+c.name+"\n") {
			t.Errorf("without %s: %s", c.name, out)
		}
	}
}

// TestHiddenProcesses: a daemon that cannot see the processes of others cannot end them, and so has none.
func TestHiddenProcesses(t *testing.T) {
	t.Parallel()
	again := func(level, tmp string, a *syscall.SysProcAttr) (string, error) {
		cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestHiddenProcesses$", "-test.v")
		cmd.Env = append(os.Environ(), "CHILD_TEST_HIDDEN="+level, "TMPDIR="+tmp)
		cmd.SysProcAttr, cmd.Dir = a, "/"
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	switch os.Getenv("CHILD_TEST_HIDDEN") {
	case "mount": // in a namespace of its own
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			t.Skip("no mounts can be made here: ", err)
		}
		if err := unix.Mount("proc", "/proc", "proc", 0, "hidepid=2"); err != nil {
			t.Skip("no mounts can be made here: ", err)
		}
		caps := make([]uintptr, len(needed))
		for n, c := range needed {
			caps[n] = uintptr(c.bit)
		}
		out, err := again("start", os.TempDir(), &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, AmbientCaps: caps, Pdeathsig: syscall.SIGKILL})
		if err != nil {
			t.Error(out)
		}
		return
	case "start":
		n := openNursery(t)
		p := program(t, "good")
		p.Path, p.Others = "/proc/self/exe", true
		_, err := n.tryAs(t, load(t, p), stranger)
		refusal(t, err, ReasonUser, "the daemon needs CAP_SYS_PTRACE")
		return
	}
	if os.Geteuid() != 0 {
		need.Missing(t, "another user can be had by root only")
	}
	tmp, err := os.MkdirTemp("", "h")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(tmp) })
	if err := os.Chmod(tmp, 0o777); err != nil {
		t.Fatal(err)
	}
	out, err := again("mount", tmp, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL})
	if err != nil {
		t.Error(err, out)
	}
	t.Log(out)
}

// TestShare: the copy of a binary is there for as long as one of its images is.
func TestShare(t *testing.T) {
	t.Parallel()
	n := newNursery(t)
	first := load(t, program(t, "good"))
	second, err := first.Share()
	if err != nil {
		t.Fatal(err)
	}
	if second.Digest() != first.Digest() || second.budget == first.budget || second.copy != first.copy {
		t.Error("not the same copy, or not bounds of its own")
	}
	first.Close()
	answers(t, n.start(t, second))
	second.Close()
	if _, err := first.Share(); err == nil {
		t.Error("a closed image was shared")
	}
	if _, err := os.Stat(second.program.Path); err != nil || first.copy != nil || second.copy != nil {
		t.Error(err)
	}
}

// TestSealedFileOfOthers is how a binary is kept for other users where memory cannot be executed.
func TestSealedFileOfOthers(t *testing.T) {
	t.Parallel()
	n := openNursery(t)
	p := program(t, "good")
	f, err := os.Open(p.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	sum := sha256.New()
	kept, err := sealFile(f, sum, true)
	if err != nil {
		t.Fatal(err)
	}
	i := &Image{program: p, budget: newBudget(), digest: hexSum(sum), open: true, copy: kept}
	defer i.Close()
	for path, want := range map[string]os.FileMode{kept.path: 0o555, filepath.Dir(kept.path): 0o700 | os.ModeDir} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, want %v", path, info.Mode(), want)
		}
	}
	x, err := n.tryAs(t, i, stranger)
	if err != nil {
		t.Fatal(err)
	}
	answers(t, x)
}
