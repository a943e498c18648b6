package child

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Image is a program that was read and verified once. A native binary is executed from the image's own sealed copy of the
// bytes that were hashed: whatever becomes of the file, all processes of an image run the same. A script, and the runtime of
// a command, can only be executed by path; its files are checked again before each start, but what is put in their place
// between the check and the moment in which they are read is run.
//
// An image must be closed.
type Image struct {
	program Program
	digest  string
	budget  *budget // for all processes that are made of it

	mu   sync.RWMutex
	copy *sealed // nil for what is executed by path, and once closed
	open bool
}

// sealed is a copy of a binary that nobody can change any more.
type sealed struct {
	path  string // to be executed
	close func()

	mu    sync.Mutex
	users int // images that have it
}

// leave is the end of one image that has the copy.
func (s *sealed) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users--; s.users == 0 {
		s.close()
	}
}

// Load reads and verifies a program. The error is a [*Refusal].
func Load(p Program) (*Image, error) {
	i := &Image{program: p.clone(), budget: newBudget(), open: true}
	f, err := openProgram(p.Path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	script, err := isScript(f)
	if err != nil {
		return nil, unreadable(err)
	}
	sum := sha256.New()
	if script || p.Command {
		_, err = io.Copy(sum, f)
	} else {
		i.copy, err = seal(f, sum, p.Others)
	}
	if err != nil {
		return nil, err
	}
	if i.digest, err = p.check(hexSum(sum)); err != nil {
		i.Close()
		return nil, err
	}
	return i, nil
}

// Digest gives a checksum (SHA-256, hexadecimal) of what is executed: that of the binary, or of the script; for a command
// and where there are files, one over paths, arguments and all checksums.
func (i *Image) Digest() string { return i.digest }

// Close gives free what the image holds. Processes that run are not touched; none can be started any more.
func (i *Image) Close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.copy != nil {
		i.copy.leave()
	}
	i.copy, i.open = nil, false
}

// Share gives a further image of the same copy, with bounds of its own on what its processes print. It must be closed, too.
func (i *Image) Share() (*Image, error) {
	i.mu.RLock()
	defer i.mu.RUnlock()
	if !i.open {
		return nil, errClosedImage
	}
	if i.copy != nil {
		i.copy.mu.Lock()
		i.copy.users++
		i.copy.mu.Unlock()
	}
	return &Image{program: i.program, digest: i.digest, budget: newBudget(), copy: i.copy, open: true}, nil
}

var errClosedImage = errors.New("the image is closed")

// use runs f with the path that is to be executed. Until it returns the image is not closed.
func (i *Image) use(f func(path string) error) error {
	i.mu.RLock()
	defer i.mu.RUnlock()
	if !i.open {
		return errClosedImage
	}
	if i.copy != nil {
		return f(i.copy.path)
	}
	return f(i.program.Path)
}

// again checks what is not in the image's own hands: that files are still those that it was made of. The error is a
// [*Refusal].
func (i *Image) again() error {
	if i.copy == nil {
		f, err := openProgram(i.program.Path)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }() // it was only read
		sum := sha256.New()
		if _, err := io.Copy(sum, f); err != nil {
			return unreadable(err)
		}
		digest, err := i.program.check(hexSum(sum))
		if err == nil && digest != i.digest {
			err = &Refusal{Reason: ReasonChecksum, Detail: "was changed on disk since it was loaded; a reload takes it"}
		}
		return err
	}
	_, err := i.program.checkFiles()
	return err
}

// check compares the checksum of what is executed, and those of the files, with what is pinned, and gives the digest of all.
func (p Program) check(sum string) (string, error) {
	if p.SHA256 != "" {
		if err := pinned("", sum, p.SHA256); err != nil {
			return "", err
		}
	}
	files, err := p.checkFiles()
	if err != nil || len(files) == 0 && !p.Command {
		return sum, err
	}
	all, err := json.Marshal(struct { // maps are written in the order of their keys
		Path, SHA256 string
		Args         []string
		Files        map[string]string
	}{p.Path, sum, p.Args, files})
	total := sha256.Sum256(all)
	return hex.EncodeToString(total[:]), err
}

func (p Program) checkFiles() (map[string]string, error) {
	sums := map[string]string{}
	for path, want := range p.Files {
		got, err := fileSum(path)
		if err != nil {
			return nil, &Refusal{Reason: ReasonMissing, Detail: fmt.Sprintf("the file %s cannot be read: %v", path, pathless(err)), Err: err}
		}
		if err := pinned("the file "+path+": ", got, want); err != nil {
			return nil, err
		}
		sums[path] = got
	}
	return sums, nil
}

func pinned(prefix, got, want string) error {
	want = strings.ToLower(want)
	if b, err := hex.DecodeString(want); err != nil || len(b) != sha256.Size {
		return &Refusal{Reason: ReasonChecksum, Detail: prefix + "sha256 is not a SHA-256 checksum of 64 hexadecimal digits"}
	}
	if got != want {
		return &Refusal{Reason: ReasonChecksum, Detail: fmt.Sprintf("%sthe SHA-256 checksum is %s, but %s is pinned", prefix, got, want)}
	}
	return nil
}

// openProgram opens a file that can be executed.
func openProgram(path string) (*os.File, error) {
	fail := func(r Reason, err error, format string, args ...any) (*os.File, error) {
		return nil, &Refusal{Reason: r, Detail: fmt.Sprintf(format, args...), Err: err}
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe without a writer blocks nobody
	if errors.Is(err, fs.ErrNotExist) {
		return fail(ReasonMissing, err, "the file does not exist")
	}
	if err != nil {
		return fail(ReasonMissing, err, "the file cannot be read: %v", pathless(err))
	}
	info, err := f.Stat()
	switch {
	case err != nil:
		_, err = fail(ReasonMissing, err, "the file cannot be read: %v", pathless(err))
	case info.IsDir():
		_, err = fail(ReasonDirectory, nil, "is a directory, not a binary")
	case !info.Mode().IsRegular():
		_, err = fail(ReasonDirectory, nil, "is not a regular file")
	case info.Mode().Perm()&0o111 == 0:
		_, err = fail(ReasonNotExecutable, nil, "the file is not executable (%s)", info.Mode().Perm())
	default: // a copy would be, also of what this user may not execute, or on a file system where nothing may be
		if err = unix.Faccessat(unix.AT_FDCWD, path, unix.X_OK, unix.AT_EACCESS); err != nil {
			_, err = fail(ReasonNotExecutable, err, "may not be executed: %v", err)
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func unreadable(err error) error {
	return &Refusal{Reason: ReasonMissing, Detail: fmt.Sprintf("the file cannot be read: %v", pathless(err)), Err: err}
}

// isScript says whether a file names the program that runs it.
func isScript(f *os.File) (bool, error) {
	b := make([]byte, 2)
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	return bytes.Equal(b[:n], []byte("#!")), nil
}

func fileSum(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // it was only read
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", errors.Join(err, errors.New("it is not a regular file"))
	}
	sum := sha256.New()
	_, err = io.Copy(sum, f)
	return hexSum(sum), err
}

func hexSum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// pathless drops the path from an error whose message names it already.
func pathless(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
