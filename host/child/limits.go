package child

import (
	"cmp"
	"math"
	"strconv"
	"strings"
)

// Unlimited is the limit of what is not limited.
const Unlimited = math.MaxUint64

// The limits of a program that sets none of its own.
const (
	DefaultMemory    = 1 << 30
	DefaultOpenFiles = 4096
	DefaultProcesses = 512 // without a control group only for a user of its own: the system counts all of a user's
)

// Limits bounds what a process and those that it starts may use. Zero is the default, [Unlimited] is no limit.
//
// In a control group of their own they are bounded together. Without one each of them is bounded by itself, by resource
// limits (setrlimit(2)) that are set as soon as the process has started: memory is what it may write and does not share
// (RLIMIT_DATA), and processes are all that its user has (RLIMIT_NPROC), which root is not held to. Core dumps are never
// written. On other systems than Linux there are no limits.
type Limits struct {
	Memory    uint64 // bytes
	OpenFiles uint64 // of each process
	Processes uint64 // processes and threads
}

// effective gives the limits with the defaults in place of zeros.
func (l Limits) effective() Limits {
	return Limits{
		Memory:    cmp.Or(l.Memory, DefaultMemory),
		OpenFiles: cmp.Or(l.OpenFiles, DefaultOpenFiles),
		Processes: cmp.Or(l.Processes, DefaultProcesses),
	}
}

// String lists those that a program sets of its own, as a configuration names them; empty if there are none.
func (l Limits) String() string {
	var out []string
	for _, x := range []struct {
		name string
		n    uint64
		unit string
	}{{"memory", l.Memory, "MiB"}, {"open_files", l.OpenFiles, ""}, {"processes", l.Processes, ""}} {
		if x.n == 0 || x.n == Unlimited {
			continue
		}
		if x.unit != "" {
			x.n >>= 20
		}
		out = append(out, x.name+" "+strconv.FormatUint(x.n, 10)+x.unit)
	}
	return strings.Join(out, ", ")
}

// heapShare is the part of its memory, in percent, that the runtime of a Go program is told to keep to: before the limit
// ends it, it collects garbage.
const heapShare = 90

// environment tells a program of its limits.
func (l Limits) environment() []string {
	if m := l.effective().Memory; m != Unlimited {
		return []string{"GOMEMLIMIT=" + strconv.FormatUint(m/100*heapShare, 10)}
	}
	return nil
}
