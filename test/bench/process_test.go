package bench

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of the times in /proc: 1/100 s on every architecture that Go runs on.
const tick = 10 * time.Millisecond

// cpuTime gives the time that processes have computed so far (proc_pid_stat(5): utime and stime).
func cpuTime(pids []int) (sum time.Duration, err error) {
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0, err
		}
		_, rest, _ := strings.Cut(string(text), ") ") // what a process calls itself may have anything in it
		f := strings.Fields(rest)
		if len(f) < 13 {
			return 0, fmt.Errorf("/proc/%d/stat: %q", pid, text)
		}
		for _, field := range f[11:13] {
			n, err := strconv.Atoi(field)
			if err != nil {
				return 0, err
			}
			sum += time.Duration(n) * tick
		}
	}
	return sum, nil
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
