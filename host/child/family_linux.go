package child

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-plugin"
	"golang.org/x/sys/unix"
)

// parents gives the parent of every process.
func parents() map[int]int {
	out := map[int]int{}
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return out
	}
	for _, dir := range all {
		if pid, parent, _, ok := stat(dir); ok {
			out[pid] = parent
		}
	}
	return out
}

// stat reads proc_pid_stat(5). The name of a program, in parentheses, may have anything in it.
func stat(dir string) (pid, parent int, zombie, ok bool) {
	text, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return 0, 0, false, false // it has ended
	}
	end := bytes.LastIndexByte(text, ')')
	f := strings.Fields(string(text[end+1:]))
	if end < 0 || len(f) < 2 {
		return 0, 0, false, false
	}
	pid, err = strconv.Atoi(filepath.Base(dir))
	parent, fault := strconv.Atoi(f[1])
	return pid, parent, f[0] == "Z", errors.Join(err, fault) == nil
}

// descendants lists the children of a process, their children, and so on.
func descendants(pid int) []int {
	of := parents()
	out := []int{pid}
	for n := 0; n < len(out); n++ {
		for child, parent := range of {
			if parent == out[n] && !slices.Contains(out, child) {
				out = append(out, child)
			}
		}
	}
	return out[1:]
}

// mark gives the directory for sockets that a process was given when it was started, or that it has from a plugin that
// started it; empty if none.
func mark(pid int) string {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return "" // it has ended, or is another user's
	}
	for entry := range strings.SplitSeq(string(text), "\x00") {
		if dir, ok := strings.CutPrefix(entry, plugin.EnvUnixSocketDir+"="); ok {
			return dir
		}
	}
	return ""
}

// killDescendants ends what a process started, and what that started.
func killDescendants(pid int) {
	for _, p := range descendants(pid) {
		killIf(p, func() bool { return true }) // a moment ago it was one
	}
}

// killMarked ends all processes that have their mark from a plugin in dir or below it, wherever they went, and says how
// many there were.
func killMarked(dir string) (n int) {
	if !filepath.IsAbs(dir) || dir == "/" {
		return 0 // it would be everybody's
	}
	const rounds = 100 // they may start others meanwhile
	marked := func(pid int) bool {
		m := mark(pid)
		return m != "" && (m == dir || strings.HasPrefix(m, dir+"/"))
	}
	seen := map[int]bool{}
	for range rounds {
		left := false
		for pid := range parents() {
			if pid == os.Getpid() || !marked(pid) {
				continue
			}
			left = true
			killIf(pid, func() bool { return marked(pid) })
			if !seen[pid] {
				seen[pid] = true
				n++
			}
		}
		if !left {
			break
		}
		time.Sleep(time.Millisecond) // the system is ending them
	}
	return n
}

// killIf ends a process, if it still is the one that is meant once nobody else can get its id.
func killIf(pid int, isMeant func() bool) {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ENOSYS) { // before Linux 5.3
		if isMeant() {
			_ = unix.Kill(pid, unix.SIGKILL) // nothing left to kill is what is wanted
		}
		return
	}
	if err != nil {
		return // it has ended
	}
	defer func() { _ = unix.Close(fd) }()
	if isMeant() {
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) // nothing left to kill is what is wanted
	}
}
