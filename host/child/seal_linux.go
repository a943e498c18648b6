package child

import (
	"errors"
	"fmt"
	"hash"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// seal copies a binary into memory that nobody can write any more, and hashes what it copies. Where the system lets nobody
// execute memory, the copy is a file.
func seal(f *os.File, sum hash.Hash, others bool) (*sealed, error) {
	m, err := executableMemory(copyMode(others))
	if err != nil {
		return sealFile(f, sum, others)
	}
	defer func() { _ = m.Close() }() // it is open for reading then
	if err := copyBinary(m, f, sum); err != nil {
		return nil, err
	}
	fd := int(m.Fd())
	const seals = unix.F_SEAL_WRITE | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		return nil, fmt.Errorf("the copy in memory cannot be sealed: %w", err)
	}
	// What is open for writing is not executed.
	r, err := os.OpenFile(descriptor(fd), os.O_RDONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("the copy in memory cannot be opened: %w", err)
	}
	return &sealed{path: descriptor(int(r.Fd())), users: 1, close: func() { _ = r.Close() }}, nil // it was only read
}

// executableMemory makes a file in memory that can be executed and is closed in children.
func executableMemory(mode os.FileMode) (*os.File, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate("realmgate-plugin", flags|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3 it can be executed anyway
		fd, err = unix.MemfdCreate("realmgate-plugin", flags)
	}
	if err != nil {
		return nil, err
	}
	m := os.NewFile(uintptr(fd), "memfd")
	if err := m.Chmod(mode); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	if _, err := os.Stat(descriptor(fd)); err != nil { // no /proc
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// descriptor is the path of a file that the process itself has open: in a child, until it executes, too.
func descriptor(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }
