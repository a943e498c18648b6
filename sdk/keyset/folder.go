package keyset

import (
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// ErrEmpty says that a folder has no keys yet.
var ErrEmpty = errors.New("the folder has no keys")

// Key is a key of a folder with its private part.
type Key struct {
	Entry
	Private crypto.Signer
}

// Load reads all keys of a folder that are not retired, in the order of the manifest. Every key must be what the manifest
// says, and nobody else may have access to it; otherwise there is an error and no key.
func Load(dir string, now time.Time) (keys []Key, err error) {
	defer func() { err = wrap(dir, err) }()
	f, err := open(dir)
	if err != nil {
		return nil, err
	}
	defer f.close()
	m, err := f.manifest()
	if err != nil {
		return nil, err
	}
	for _, e := range m.Keys {
		if e.Retired(now) {
			continue
		}
		k, err := f.key(e)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// List gives the keys that a folder's manifest names, retired ones too, without reading them.
func List(dir string) (entries []Entry, err error) {
	defer func() { err = wrap(dir, err) }()
	f, err := open(dir)
	if err != nil {
		return nil, err
	}
	defer f.close()
	m, err := f.manifest()
	if err != nil {
		return nil, err
	}
	return m.Keys, nil
}

// Stamp tells one state of a folder from another: what is in it, and who may use it. Two are compared with ==.
type Stamp [sha256.Size]byte

// StampOf looks at a folder and its files without reading them. It costs a call of the system for each.
func StampOf(dir string) (Stamp, error) {
	folder, err := os.Stat(dir)
	if err != nil {
		return Stamp{}, err
	}
	names, err := os.ReadDir(dir)
	if err != nil {
		return Stamp{}, err
	}
	h := sha256.New()
	fmt.Fprintln(h, folder.Mode(), inode(folder))
	for _, n := range names {
		info, err := os.Stat(filepath.Join(dir, n.Name())) // of what a link leads to, which is what would be read
		if errors.Is(err, fs.ErrNotExist) {                // it has just gone
			continue
		}
		if err != nil {
			return Stamp{}, err
		}
		fmt.Fprintf(h, "%q %v %d %d %v\n", n.Name(), info.Mode(), info.ModTime().UnixNano(), info.Size(), inode(info))
	}
	return Stamp(h.Sum(nil)), nil
}

func wrap(dir string, err error) error {
	if err != nil {
		return fmt.Errorf("key folder %s: %w", dir, err)
	}
	return nil
}

// folder is a key folder that was found to be private. Files are opened below it, so that no name leads out of it.
type folder struct {
	root *os.Root
	info fs.FileInfo
}

func open(dir string) (*folder, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	f := &folder{root: root}
	if f.info, err = root.Stat("."); err == nil {
		err = private(".", f.info, 0o700)
	}
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return f, nil
}

func (f *folder) close() { _ = f.root.Close() } // it was only read, or what was written is synced

// private refuses what others than the owner may use.
func private(name string, info fs.FileInfo, want fs.FileMode) error {
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("%s: its mode is %#o: others than its owner may use it; chmod %#o it", name, mode, want)
	}
	return nil
}

func (f *folder) manifest() (*manifest, error) {
	raw, err := f.read(manifestName, maxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrEmpty
	}
	if err != nil {
		return nil, err
	}
	return parseManifest(raw)
}

// key reads the file of an entry and compares both.
func (f *folder) key(e Entry) (Key, error) {
	raw, err := f.read(e.File, maxKeyFile)
	if err != nil {
		return Key{}, err
	}
	k, err := ParsePrivate(raw)
	if err != nil {
		return Key{}, fmt.Errorf("%s: %w", e.File, err)
	}
	algorithm, err := Algorithm(k.Public())
	if err != nil {
		return Key{}, fmt.Errorf("%s: %w", e.File, err)
	}
	id, err := ID(k.Public())
	if err != nil {
		return Key{}, fmt.Errorf("%s: %w", e.File, err)
	}
	if id != e.ID || algorithm != e.Algorithm {
		return Key{}, fmt.Errorf("%s: it holds the key %s for %s, and the manifest names %s for %s", e.File, id, algorithm, e.ID, e.Algorithm)
	}
	return Key{e, k}, nil
}

// read reads a private file. It does not wait for a named pipe in the file's place, and the mode that it looks at is that
// of the file that it opened.
func (f *folder) read(name string, limit int64) ([]byte, error) {
	file, err := f.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // the file was only read
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: it is not a regular file", name)
	}
	if err := private(name, info, 0o600); err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(raw)) > limit {
		return nil, fmt.Errorf("%s: it is longer than %d bytes", name, limit)
	}
	return raw, nil
}
