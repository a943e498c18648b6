package child

import (
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
)

// sealFile copies a binary into a directory of its own, which nobody else can enter, and hashes what it copies.
func sealFile(f *os.File, sum hash.Hash) (_ *sealed, err error) {
	dir, err := newPlace(os.TempDir())
	if err != nil {
		return nil, fmt.Errorf("no place for a copy of the binary: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, dir.remove())
		}
	}()
	const mode = 0o500
	path := filepath.Join(dir.path, "plugin")
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
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
	return &sealed{path: path, close: func() { _ = dir.remove() }}, nil // what is left, a later host sweeps
}

func copyBinary(to io.Writer, from io.Reader, sum hash.Hash) error {
	if _, err := io.Copy(io.MultiWriter(to, sum), from); err != nil {
		return &Refusal{Reason: ReasonMissing, Detail: fmt.Sprintf("the file cannot be copied: %v", pathless(err)), Err: err}
	}
	return nil
}
