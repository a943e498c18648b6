package child

import (
	"math"

	"golang.org/x/sys/unix"
)

// keepInherited marks the files that the daemon itself inherited, which are open without our knowing, so that no plugin
// inherits them too. Files that Go opens are marked already. A kernel before 5.11 cannot do it.
func keepInherited() error {
	const firstAfterStdio = 3
	return unix.CloseRange(firstAfterStdio, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
}
