package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// verify checks that the binary of a source can be executed and is the one that was pinned.
func verify(s Source) error {
	fail := func(r Reason, err error, format string, args ...any) error {
		return &StartError{Plugin: s.Name, Path: s.Path, Reason: r, Detail: fmt.Sprintf(format, args...), Err: err}
	}
	info, err := os.Stat(s.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fail(ReasonMissing, err, "the file does not exist")
	case err != nil:
		return fail(ReasonMissing, err, "the file cannot be read: %v", pathless(err))
	case info.IsDir():
		return fail(ReasonDirectory, nil, "is a directory, not a binary")
	case !info.Mode().IsRegular():
		return fail(ReasonDirectory, nil, "is not a regular file")
	case info.Mode().Perm()&0o111 == 0:
		return fail(ReasonNotExecutable, nil, "the file is not executable (%s)", info.Mode().Perm())
	case s.SHA256 == "":
		return nil
	}
	want := strings.ToLower(s.SHA256)
	if b, err := hex.DecodeString(want); err != nil || len(b) != sha256.Size {
		return fail(ReasonChecksum, nil, "sha256 is not a SHA-256 checksum of 64 hexadecimal digits")
	}
	got, err := checksum(s.Path)
	if err != nil {
		return fail(ReasonMissing, err, "the file cannot be read: %v", pathless(err))
	}
	if got != want {
		return fail(ReasonChecksum, nil, "the SHA-256 checksum is %s, but %s is pinned", got, want)
	}
	return nil
}

func checksum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // it was only read
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// pathless drops the path from an error whose message names it already.
func pathless(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
