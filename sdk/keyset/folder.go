package keyset

import (
	"crypto"
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

// Stamp tells one content of a folder from another. Two are compared with ==.
type Stamp struct {
	modified time.Time
	size     int64
	file     any // which file it is, where the system can tell
}

// StampOf looks at a folder without reading it. It is cheap: one call of the system.
func StampOf(dir string) (Stamp, error) {
	info, err := os.Stat(filepath.Join(dir, manifestName))
	if err != nil {
		return Stamp{}, err
	}
	return Stamp{info.ModTime(), info.Size(), inode(info)}, nil
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
