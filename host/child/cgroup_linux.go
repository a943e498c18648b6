package child

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// groups are control groups (cgroups, version 2) for the processes of a starter, in a folder of its own.
type groups struct {
	dir               string
	memory, processes bool // can be limited
}

// group is the control group of one process and of all that come from it, whatever they do to get away.
type group struct {
	groups *groups
	dir    string
	file   *os.File // the folder, for clone3(2)
}

// daemonGroup is where a daemon moves itself: a group with processes cannot hand limits to groups below it.
const daemonGroup = "daemon"

// newGroups makes the folder for control groups; an error says why there can be none.
func newGroups(name string) (*groups, error) {
	parent, err := delegated()
	if err != nil {
		return nil, err
	}
	g := &groups{dir: filepath.Join(parent, name)}
	g.enable(parent)
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		return nil, err
	}
	g.memory, g.processes = g.enable(g.dir)
	if err := unix.Access(filepath.Join(g.dir, "cgroup.kill"), unix.W_OK); err != nil {
		return nil, errors.Join(errors.New("the kernel cannot end a control group"), os.Remove(g.dir))
	}
	return g, nil
}

// enable hands on to the groups below dir what they can be limited by.
func (*groups) enable(dir string) (memory, processes bool) {
	on := func(controller string) bool {
		return write(dir, "cgroup.subtree_control", "+"+controller) == nil
	}
	return on("memory"), on("pids")
}

// delegated finds a control group below which the daemon may make its own.
func delegated() (string, error) {
	own, root, err := ownGroup()
	if err != nil {
		return "", err
	}
	if parent := filepath.Dir(own); !root && isDelegated(parent) {
		return parent, nil
	}
	if !root && !isDelegated(own) {
		return "", errors.New("the daemon's control group is not delegated to it")
	}
	if err := unix.Access(filepath.Join(own, "cgroup.procs"), unix.W_OK); err != nil {
		return "", fmt.Errorf("%s: %w", own, err)
	}
	procs, err := os.ReadFile(filepath.Join(own, "cgroup.procs"))
	if err != nil {
		return "", err
	}
	if self := strconv.Itoa(os.Getpid()); string(bytes.TrimSpace(procs)) != self {
		return "", fmt.Errorf("%s: there are other processes beside the daemon", own)
	}
	leaf := filepath.Join(own, daemonGroup)
	if err := os.Mkdir(leaf, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	return own, write(leaf, "cgroup.procs", strconv.Itoa(os.Getpid()))
}

// isDelegated says whether the manager of a control group has left it to who runs in it: systemd marks it so.
func isDelegated(dir string) bool {
	for _, name := range []string{"user.delegate", "trusted.delegate"} {
		value := make([]byte, 8)
		if n, err := unix.Getxattr(dir, name, value); err == nil && string(value[:n]) == "1" {
			return true
		}
	}
	return false
}

// ownGroup finds the folder of the daemon's control group. root says that it is the root of a container, and so left to
// who runs there; that of the machine is not.
func ownGroup() (dir string, root bool, err error) {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", false, err
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", false, err
	}
	for line := range strings.Lines(string(own)) {
		path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !ok {
			continue
		}
		for mount := range strings.Lines(string(mounts)) {
			f := strings.Fields(mount)
			dash := slices.Index(f, "-")
			if dash < 6 || len(f) < dash+2 || f[dash+1] != "cgroup2" {
				continue
			}
			below, err := filepath.Rel(f[3], path)
			if err != nil || below == ".." || strings.HasPrefix(below, "../") {
				continue
			}
			dir = filepath.Join(f[4], below)
			_, err = os.Stat(filepath.Join(dir, "cgroup.type")) // the machine's root has none
			return dir, path == "/" && err == nil, nil
		}
	}
	return "", false, errors.New("no control groups of version 2 are mounted")
}

// of makes the control group of one process.
func (g *groups) of(name string, l Limits) (*group, error) {
	if g == nil {
		return nil, nil //nolint:nilnil // a process without a group of its own
	}
	p := &group{groups: g, dir: filepath.Join(g.dir, name)}
	if err := os.Mkdir(p.dir, 0o755); err != nil {
		return nil, err
	}
	l = l.effective()
	var err error
	if g.memory {
		err = errors.Join(write(p.dir, "memory.max", amount(l.Memory)), write(p.dir, "memory.oom.group", "1"))
		if l.Memory != Unlimited {
			_ = write(p.dir, "memory.swap.max", "0") // not there where there is no swap
		}
	}
	if g.processes {
		err = errors.Join(err, write(p.dir, "pids.max", amount(l.Processes)))
	}
	if err == nil {
		p.file, err = os.Open(p.dir)
	}
	if err != nil {
		return nil, errors.Join(err, os.Remove(p.dir))
	}
	return p, nil
}

func (p *group) holdsMemory() bool { return p != nil && p.groups.memory }

func (p *group) holdsProcesses() bool { return p != nil && p.groups.processes }

// enter has a process start in the group.
func (p *group) enter(a *syscall.SysProcAttr) {
	if p != nil {
		a.UseCgroupFD, a.CgroupFD = true, int(p.file.Fd())
	}
}

// kill ends all that is in the group.
func (p *group) kill() {
	if p != nil {
		_ = write(p.dir, "cgroup.kill", "1") // it may be gone
	}
}

// exhausted says whether something in the group was ended because the group used too much memory.
func (p *group) exhausted() bool {
	if p == nil {
		return false
	}
	events, _ := os.ReadFile(filepath.Join(p.dir, "memory.events")) // not there without a limit
	for line := range strings.Lines(string(events)) {
		if n, ok := strings.CutPrefix(line, "oom_kill "); ok && strings.TrimSpace(n) != "0" {
			return true
		}
	}
	return false
}

// close ends what is left and removes the group.
func (p *group) close() {
	if p == nil {
		return
	}
	_ = p.file.Close() // a folder
	removeGroup(p.dir)
}

// close removes the folder of the groups.
func (g *groups) close() {
	if g != nil {
		removeGroup(g.dir)
	}
}

// sweep ends and removes the control groups that a host left whose place had the name.
func (g *groups) sweep(name string) {
	if g == nil {
		return
	}
	dir := filepath.Join(filepath.Dir(g.dir), name)
	below, err := os.ReadDir(dir)
	if err != nil {
		return // there are none
	}
	for _, d := range below {
		if d.IsDir() {
			removeGroup(filepath.Join(dir, d.Name()))
		}
	}
	removeGroup(dir)
}

// removeGroup ends what is in a group and removes it, which it can only be when all has ended.
func removeGroup(dir string) {
	_ = write(dir, "cgroup.kill", "1")
	for end := time.Now().Add(KillGrace); errors.Is(os.Remove(dir), syscall.EBUSY) && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}

func write(dir, name, value string) error {
	return os.WriteFile(filepath.Join(dir, name), []byte(value), 0)
}

func amount(n uint64) string {
	if n == Unlimited {
		return "max"
	}
	return strconv.FormatUint(n, 10)
}
