package secrets

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/realmgate/realmgate/plugins/default/privatefile"
)

const (
	suffix    = ".sealed"
	temporary = ".tmp"
)

// folder is a folder of documents that nobody else may use, or one that nobody has made yet: it is made to be written to.
// Documents are replaced as a whole, so that reading takes no lock.
type folder struct {
	dir   string
	turn  chan struct{} // of one process, whose members need not ask the disk whose turn it is
	swept bool          // by whose turn it is

	mu   sync.Mutex
	root *os.Root // nil: not opened yet
}

// openFolder opens a folder if it is there. It changes nothing.
func openFolder(dir string) (*folder, error) {
	f := &folder{dir: dir, turn: make(chan struct{}, 1)}
	if _, err := f.open(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

func (f *folder) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.root == nil {
		return nil
	}
	return f.root.Close()
}

// open gives the folder; fs.ErrNotExist if nobody has made it yet. One that others may use is refused, also if it was opened
// to them since.
func (f *folder) open() (*os.Root, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.root == nil {
		root, err := os.OpenRoot(f.dir)
		if err != nil {
			return nil, err
		}
		f.root = root
	}
	return f.root, f.check(f.root)
}

// made gives the folder, which is made if it is not there.
func (f *folder) made() (*os.Root, error) {
	root, err := f.open()
	if !errors.Is(err, fs.ErrNotExist) {
		return root, err
	}
	if err := privatefile.MakeDir(f.dir); err != nil {
		return nil, err
	}
	return f.open()
}

// check refuses a folder that others may use. Root, who may use any, may use another user's.
func (f *folder) check(root *os.Root) error {
	info, err := root.Stat(".")
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("the mode of %s is %#o: others than its owner may use it; chmod 0700 it", f.dir, mode)
	}
	own := os.Geteuid()
	if s, ok := info.Sys().(*syscall.Stat_t); ok && s.Uid != 0 && own != 0 && int(s.Uid) != own {
		return fmt.Errorf("%s belongs to the user %d; it has to be our own (%d)", f.dir, s.Uid, own)
	}
	return nil
}

// give gives what root makes in the folder of another user to that user.
func (f *folder) give(root *os.Root, file *os.File) error {
	info, err := root.Stat(".")
	if err != nil {
		return err
	}
	return privatefile.GiveTo(file, info)
}

// regular refuses what is not a regular file, a symbolic link above all.
func regular(root *os.Root, dir, name string) error {
	info, err := root.Lstat(name)
	if err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s: it is not a regular file", filepath.Join(dir, name))
	}
	return err
}

// load reads a document; fs.ErrNotExist if there is none.
func (f *folder) load(name string) (*document, error) {
	raw, err := f.read(name)
	if err != nil {
		return nil, err
	}
	doc, err := parseDocument(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(f.dir, name), err)
	}
	return doc, nil
}

func (f *folder) read(name string) ([]byte, error) {
	root, err := f.open()
	if err != nil {
		return nil, err
	}
	if err := regular(root, f.dir, name); err != nil {
		return nil, err
	}
	file, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	return privatefile.ReadFrom(file, maxDocument)
}

// save replaces a file by one that holds v, all or nothing; it has reached the disk then. The folder is locked.
func (f *folder) save(name string, v any) (err error) {
	root, err := f.open()
	if err != nil {
		return err
	}
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	temp := "." + rand.Text() + temporary
	file, err := root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(append(raw, '\n'))
	if err = errors.Join(err, f.give(root, file), file.Sync(), file.Close()); err == nil {
		err = root.Rename(temp, name)
	}
	if err != nil {
		return errors.Join(err, root.Remove(temp))
	}
	return syncRoot(root)
}

// remove removes a document; fs.ErrNotExist if there is none. The folder is locked.
func (f *folder) remove(name string) error {
	root, err := f.open()
	if err != nil {
		return err
	}
	if err := root.Remove(name); err != nil {
		return err
	}
	return syncRoot(root)
}

func syncRoot(root *os.Root) error {
	d, err := root.Open(".")
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
func sweep(root *os.Root) error {
	left, err := names(root, temporary)
	for _, name := range left {
		err = errors.Join(err, root.Remove(name))
	}
	return err
}

// documents lists the files of documents; none if nobody has made the folder yet.
func (f *folder) documents() ([]string, error) {
	root, err := f.open()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return names(root, suffix)
}

// names lists files by the end of their names.
func names(root *os.Root, end string) ([]string, error) {
	d, err := root.Open(".")
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
