package child

import (
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
)

// sealFile copies a binary into a directory of its own, which nobody else can enter, and hashes what it copies. Others may
// execute the copy if it is handed to them.
func sealFile(f *os.File, sum hash.Hash, others bool) (_ *sealed, err error) {
	dir, err := newPlace(os.TempDir())
	if err != nil {
		return nil, fmt.Errorf("no place for a copy of the binary: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, dir.remove())
		}
	}()
	path := filepath.Join(dir.path, "plugin")
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, copyMode(others))
	if err != nil {
		return nil, fmt.Errorf("no place for a copy of the binary: %w", err)
	}
	if err = copyBinary(to, f, sum); err != nil {
		_ = to.Close() // it is removed
		return nil, err
	}
	if err = to.Close(); err != nil {
		return nil, fmt.Errorf("no place for a copy of the binary: %w", err)
	}
	if err = os.Chmod(path, copyMode(others)); err != nil { // whatever the umask is
		return nil, fmt.Errorf("no place for a copy of the binary: %w", err)
	}
	return &sealed{path: path, users: 1, close: func() { _ = dir.remove() }}, nil // what is left, a later host sweeps
}

// copyMode is who may execute the copy of a binary.
func copyMode(others bool) os.FileMode {
	if others {
		return 0o555
	}
	return 0o500
}

func copyBinary(to io.Writer, from io.Reader, sum hash.Hash) error {
	if _, err := io.Copy(io.MultiWriter(to, sum), from); err != nil {
		return &Refusal{Reason: ReasonMissing, Detail: fmt.Sprintf("the file cannot be copied: %v", pathless(err)), Err: err}
	}
	return nil
}
