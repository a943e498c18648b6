package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/internal/need"
)

// needProc skips a test where the kernel does not tell what processes take.
func needProc(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/proc/self/task"); err != nil {
		need.Missing(t, "what processes take cannot be told here: %v", err)
	}
}

// cpuTime gives the time that the threads of processes have computed so far: the first number of /proc/PID/task/TID/schedstat,
// in nanoseconds. Threads of Go programs rarely end, and what one has computed that did is lost.
func cpuTime(pids []int) (sum time.Duration, err error) {
	for _, pid := range pids {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		if err != nil {
			return 0, err
		}
		var own time.Duration
		for _, path := range threads {
			text, err := os.ReadFile(path)
			if err != nil {
				continue // it has just ended
			}
			var n int64
			if _, err := fmt.Sscan(string(text), &n); err != nil {
				return 0, fmt.Errorf("%s: %w", path, err)
			}
			own += time.Duration(n)
		}
		if own == 0 {
			return 0, fmt.Errorf("process %d has ended, or the kernel does not count its time", pid)
		}
		sum += own
	}
	return sum, nil
}

// cpuTimes gives the time of the first process and that of the others.
func cpuTimes(pids []int) (first, others time.Duration, err error) {
	if first, err = cpuTime(pids[:1]); err == nil {
		others, err = cpuTime(pids[1:])
	}
	return first, others, err
}

// resident gives the memory, in bytes, that processes take (proc_pid_status(5): VmRSS).
func resident(pids []int) (sum int64, err error) {
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return 0, err
		}
		_, rss, _ := strings.Cut(string(text), "VmRSS:")
		var kib int64
		if _, err := fmt.Sscan(rss, &kib); err != nil {
			return 0, fmt.Errorf("/proc/%d/status: %w", pid, err)
		}
		sum += kib << 10
	}
	return sum, nil
}
