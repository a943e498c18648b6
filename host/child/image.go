package child

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

// Image is a program that was verified. All processes that are made of it run the same bytes. It must be closed.
type Image struct {
	program Program
	digest  string
}

// Load reads and verifies a program. The error is a [*Refusal].
func Load(p Program) (*Image, error) {
	digest, err := verify(p)
	if err != nil {
		return nil, err
	}
	return &Image{program: p, digest: digest}, nil
}

// Digest gives the SHA-256 checksum of what is executed, in hexadecimal digits.
func (i *Image) Digest() string { return i.digest }

// Close gives free what the image holds. Processes that run are not touched; none can be started any more.
func (i *Image) Close() {}

// again checks that what an image was made of is still the same.
func (i *Image) again() error {
	digest, err := verify(i.program)
	if err == nil && digest != i.digest {
		return &Refusal{Reason: ReasonChecksum, Detail: fmt.Sprintf("was changed since it was verified: the SHA-256 checksum was %s and is %s", i.digest, digest)}
	}
	return err
}

// verify checks that the binary of a program can be executed and is the one that was pinned, and gives its checksum.
func verify(p Program) (string, error) {
	fail := func(r Reason, err error, format string, args ...any) (string, error) {
		return "", &Refusal{Reason: r, Detail: fmt.Sprintf(format, args...), Err: err}
	}
	info, err := os.Stat(p.Path)
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
	}
	want := strings.ToLower(p.SHA256)
	if b, err := hex.DecodeString(want); want != "" && (err != nil || len(b) != sha256.Size) {
		return fail(ReasonChecksum, nil, "sha256 is not a SHA-256 checksum of 64 hexadecimal digits")
	}
	got, err := checksum(p.Path)
	if err != nil {
		return fail(ReasonMissing, err, "the file cannot be read: %v", pathless(err))
	}
	if want != "" && got != want {
		return fail(ReasonChecksum, nil, "the SHA-256 checksum is %s, but %s is pinned", got, want)
	}
	return got, nil
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
