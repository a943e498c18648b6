package egress

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// ReadFile reads a file of at most limit bytes and says what it was when it was opened: a regular one, so that a pipe in its
// place, e.g. a FIFO that nobody writes to, holds nobody up. Errors name the file.
func ReadFile(file string, limit int64) ([]byte, fs.FileInfo, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%s: it is not a regular file", file)
	}
	raw, err := ReadAll(f, limit)
	if errors.Is(err, ErrTooLong) {
		return nil, nil, fmt.Errorf("%s: it is longer than %d bytes", file, limit)
	}
	return raw, info, err
}
