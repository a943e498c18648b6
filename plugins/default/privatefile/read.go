package privatefile

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Open opens a file for reading without waiting, so that a named pipe in the file's place does not block.
func Open(path string) (*os.File, error) {
	return os.OpenFile(filepath.Clean(path), os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

// Read reads a whole file of at most limit bytes. A file that others than its owner may read, write or execute is an error
// that names its mode, except that the group may read one that root owns: so do service managers hand keys to a process
// that is not root (systemd's LoadCredential, Kubernetes' fsGroup). What is not a regular file is an error as well. The mode is the one of the file that was opened: nobody can put
// another one in its place in between.
func Read(path string, limit int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	return ReadFrom(f, limit)
}

// ReadFrom is Read for a file that is open already; it closes the file.
func ReadFrom(f *os.File, limit int64) (content []byte, err error) {
	defer f.Close() //nolint:errcheck // the file was only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	mode, refused, hint := info.Mode().Perm(), fs.FileMode(0o077), ""
	if s, ok := info.Sys().(*syscall.Stat_t); ok && s.Uid == 0 {
		refused, hint = 0o037, " or 0640"
	}
	if mode&refused != 0 {
		return nil, fmt.Errorf("%s: its mode is %#o: others than its owner may use it; chmod 0600%s it", f.Name(), mode, hint)
	}
	return readRegular(f, info, limit)
}

// ReadPublic reads a whole file of at most limit bytes, whoever may read it.
func ReadPublic(path string, limit int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // the file was only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return readRegular(f, info, limit)
}

func readRegular(f *os.File, info fs.FileInfo, limit int64) ([]byte, error) {
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: it is not a regular file", f.Name())
	}
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("%s: it is longer than %d bytes", f.Name(), limit)
	}
	return content, nil
}
