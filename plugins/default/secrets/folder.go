package secrets

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/realmgate/realmgate/plugins/default/privatefile"
)

const (
	suffix    = ".sealed"
	temporary = ".tmp"
	lockFile  = ".lock"
	lockPause = 2 * time.Millisecond
)

// folder is a folder of documents that nobody else may use. Documents are replaced as a whole, so that reading takes no lock.
type folder struct {
	root *os.Root
	dir  string
	turn chan struct{} // of one process, whose members need not ask the disk whose turn it is
}

func openFolder(dir string) (*folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	f := &folder{root: root, dir: dir, turn: make(chan struct{}, 1)}
	if err := f.check(); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return f, nil
}

func (f *folder) close() error { return f.root.Close() }

// check refuses a folder that others may use, also one that was opened to them since.
func (f *folder) check() error {
	info, err := f.root.Stat(".")
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("the mode of %s is %#o: others than its owner may use it; chmod 0700 it", f.dir, mode)
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok && s.Uid != 0 && int(s.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to the user %d; it has to be our own (%d)", f.dir, s.Uid, os.Geteuid())
	}
	return nil
}

// lock waits until nobody else, in this process or another one, changes the folder.
func (f *folder) lock(ctx context.Context) (unlock func(), err error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	select {
	case f.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("%s is being changed: %w", f.dir, ctx.Err())
	}
	defer func() {
		if err != nil {
			<-f.turn
		}
	}()
	if err := f.regular(lockFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	file, err := f.root.OpenFile(lockFile, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() {
				_ = file.Close() // ends the lock
				<-f.turn
			}, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(fmt.Errorf("%s cannot be locked: %w", f.dir, err), file.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("%s is locked by another process: %w", f.dir, ctx.Err()), file.Close())
		case <-time.After(lockPause):
		}
	}
}

// regular refuses what is not a regular file, a symbolic link above all.
func (f *folder) regular(name string) error {
	info, err := f.root.Lstat(name)
	if err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s: it is not a regular file", filepath.Join(f.dir, name))
	}
	return err
}

// load reads a document; fs.ErrNotExist if there is none.
func (f *folder) load(name string) (*document, error) {
	if err := errors.Join(f.check(), f.regular(name)); err != nil {
		return nil, err
	}
	file, err := f.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	raw, err := privatefile.ReadFrom(file, maxDocument)
	if err != nil {
		return nil, err
	}
	doc, err := parseDocument(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(f.dir, name), err)
	}
	return doc, nil
}

// save replaces a document, all or nothing; it has reached the disk then. The folder is locked.
func (f *folder) save(name string, doc *document) (err error) {
	raw, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return err
	}
	temp := "." + rand.Text() + temporary
	file, err := f.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(append(raw, '\n'))
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = f.root.Rename(temp, name)
	}
	if err != nil {
		return errors.Join(err, f.root.Remove(temp))
	}
	return f.sync()
}

// remove removes a document; one that is not there is no error. The folder is locked.
func (f *folder) remove(name string) error {
	if err := f.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return f.sync()
}

func (f *folder) sync() error {
	d, err := f.root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(syncDir(d), d.Close())
}

// syncDir makes what was done in a folder last over a power cut, where the file system can.
func syncDir(d *os.File) error {
	err := d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

// sweep removes what a process left that ended while it wrote. The folder is locked.
func (f *folder) sweep() error {
	names, err := f.names(temporary)
	for _, name := range names {
		err = errors.Join(err, f.root.Remove(name))
	}
	return err
}

// sample gives the name of a document, empty if there is none.
func (f *folder) sample() (string, error) {
	names, err := f.names(suffix)
	if err != nil || len(names) == 0 {
		return "", err
	}
	return names[0], nil
}

// names lists files by the end of their names.
func (f *folder) names(end string) ([]string, error) {
	d, err := f.root.Open(".")
	if err != nil {
		return nil, err
	}
	all, err := d.Readdirnames(-1)
	if err := errors.Join(err, d.Close()); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(name string) bool { return !strings.HasSuffix(name, end) }), nil
}

// within says whether a file lies below a folder, as far as the paths tell.
func within(file, dir string) bool {
	file, err1 := filepath.Abs(file)
	dir, err2 := filepath.Abs(dir)
	rel, err3 := filepath.Rel(dir, file)
	return err1 == nil && err2 == nil && err3 == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}
