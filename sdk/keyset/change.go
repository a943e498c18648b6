package keyset

import (
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
)

// NewKeySpec says what kind of key is wanted.
type NewKeySpec struct {
	Algorithm string // ES256, RS256 or EdDSA; when a key is rotated, empty is the kind and size of the newest one
	Bits      int    // of an RSA key; zero: 2048
}

// Rotation says how a new key takes over.
type Rotation struct {
	NewKeySpec
	// Wait is for how long the new key is published before it signs. It must be longer than anybody keeps published keys.
	Wait time.Duration
	// Overlap is for how long the former keys verify once the new one signs: at least the life of a token, or tokens are
	// refused before they expire.
	Overlap time.Duration
}

// Check says what is wrong with a spec, whatever key it may follow.
func (s NewKeySpec) Check() error {
	switch {
	case s.Bits == 0:
		return nil
	case s.Algorithm != "" && s.Algorithm != RS256:
		return errBits
	}
	return checkBits(s.Bits)
}

// keyPrefix and keySuffix surround the id in the name of a key's file.
const (
	keyPrefix = "key-"
	keySuffix = ".pem"
)

// Generate makes the first key of a folder, and the folder if there is none. The key signs at once. A folder that has keys
// already is left as it is.
func Generate(dir string, spec NewKeySpec, now time.Time) (made Entry, err error) {
	defer func() { err = wrap(dir, err) }()
	k, err := NewKey(spec.Algorithm, spec.Bits) // before anything is touched
	if err != nil {
		return Entry{}, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Entry{}, err
	}
	err = change(dir, func(f *folder) error {
		_, err := f.manifest()
		if err == nil {
			return errors.New("it has keys already; rotate adds one")
		}
		if !errors.Is(err, ErrEmpty) {
			return err
		}
		now = now.UTC().Truncate(time.Second)
		made, err = f.add(&manifest{Version: format}, k, now, now)
		return err
	})
	return made, err
}

// Rotate adds a key that signs once r.Wait is over, sets when the former ones retire, and removes those that are retired.
func Rotate(dir string, r Rotation, now time.Time) (made Entry, err error) {
	defer func() { err = wrap(dir, err) }()
	if r.Wait < 0 || r.Overlap < 0 {
		return Entry{}, errors.New("a key waits for no negative time, and overlaps with none")
	}
	err = change(dir, func(f *folder) error {
		m, err := f.manifest()
		if err != nil {
			return err
		}
		spec, err := f.like(m.Keys[len(m.Keys)-1], r.NewKeySpec)
		if err != nil {
			return err
		}
		k, err := NewKey(spec.Algorithm, spec.Bits)
		if err != nil {
			return err
		}
		created := now.UTC().Truncate(time.Second)
		from := created.Add(r.Wait)
		retire := from.Add(r.Overlap)
		// From then on none of the others signs, whatever its own time was: the new one is behind them all.
		for i := range m.Keys {
			if e := &m.Keys[i]; e.RetireAt.IsZero() || retire.Before(e.RetireAt) {
				e.RetireAt = retire
			}
		}
		gone := m.prune(now)
		if made, err = f.add(m, k, created, from); err != nil {
			return err // also if the change is not known to be durable: then the former keys' files are needed still
		}
		return f.remove(gone)
	})
	return made, err
}

// KeepRetired is for how long a retired key's file stays: a node whose clock is behind may still want to read it.
const KeepRetired = time.Minute

// Prune removes keys that have been retired for [KeepRetired], with their files, and files of keys that never came into the manifest. It answers what it
// removed from the manifest.
func Prune(dir string, now time.Time) (gone []Entry, err error) {
	defer func() { err = wrap(dir, err) }()
	err = change(dir, func(f *folder) error {
		m, err := f.manifest()
		if err != nil {
			return err
		}
		if gone = m.prune(now); len(gone) > 0 {
			if len(m.Keys) == 0 {
				return errors.New("all of its keys are retired, and one must stay; rotate adds one")
			}
			if err := errors.Join(f.write(m), f.sync()); err != nil {
				return err
			}
		}
		strays, err := f.strays(m)
		return errors.Join(err, f.remove(gone), f.remove(strays))
	})
	if err != nil {
		return nil, err
	}
	return gone, nil
}

// like completes what a new key is to be by an existing one.
func (f *folder) like(e Entry, spec NewKeySpec) (NewKeySpec, error) {
	if spec.Algorithm == "" {
		spec.Algorithm = e.Algorithm
	}
	if spec.Algorithm != RS256 || e.Algorithm != RS256 || spec.Bits != 0 {
		return spec, nil
	}
	k, err := f.key(e)
	if err != nil {
		return spec, err
	}
	if public, ok := k.Private.Public().(*rsa.PublicKey); ok {
		spec.Bits = public.N.BitLen()
	}
	return spec, nil
}

// prune takes retired keys out of the manifest, but for those of the last [KeepRetired].
func (m *manifest) prune(now time.Time) []Entry {
	var gone []Entry
	m.Keys = slices.DeleteFunc(m.Keys, func(e Entry) bool {
		if e.Retired(now.Add(-KeepRetired)) {
			gone = append(gone, e)
			return true
		}
		return false
	})
	return gone
}

// add appends a key. Its file is there before the manifest names it, and stays once it does, whatever goes wrong later.
func (f *folder) add(m *manifest, k crypto.Signer, created, from time.Time) (Entry, error) {
	if len(m.Keys) >= maxKeys {
		return Entry{}, fmt.Errorf("it has %d keys already, and no more are possible until some retire", len(m.Keys))
	}
	e, err := f.store(k)
	if err != nil {
		return Entry{}, err
	}
	e.Created, e.SignFrom = created, from
	m.Keys = append(m.Keys, e)
	if err := f.write(m); err != nil {
		return Entry{}, errors.Join(err, f.remove([]Entry{e}))
	}
	return e, f.sync()
}

func (f *folder) store(k crypto.Signer) (Entry, error) {
	id, err := ID(k.Public())
	if err != nil {
		return Entry{}, err
	}
	raw, err := encodePrivate(k)
	if err != nil {
		return Entry{}, err
	}
	algorithm, err := Algorithm(k.Public())
	if err != nil {
		return Entry{}, err
	}
	e := Entry{ID: id, Algorithm: algorithm, File: keyPrefix + id + keySuffix}
	return e, f.create(e.File, raw)
}

// write replaces the manifest in one step. Where it fails, the former one is there.
func (f *folder) write(m *manifest) error {
	raw, err := m.encode()
	if err != nil {
		return err
	}
	const next = manifestName + ".new"
	if err := f.root.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) { // of a change that was interrupted
		return err
	}
	if err := f.create(next, raw); err != nil {
		return err
	}
	return f.root.Rename(next, manifestName)
}

// create writes a new file that belongs to whom the folder belongs to, even if it is root who makes it for a daemon.
func (f *folder) create(name string, content []byte) error {
	file, err := f.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, giveTo(file, f.info), file.Sync(), file.Close()); err != nil {
		return errors.Join(err, f.root.Remove(name))
	}
	return nil
}

// syncNames makes the names in the folder durable.
func (f *folder) syncNames() error {
	dir, err := f.root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func (f *folder) remove(entries []Entry) error {
	var faults []error
	for _, e := range entries {
		if err := f.root.Remove(e.File); err != nil && !errors.Is(err, fs.ErrNotExist) {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

// strays are files of keys that the manifest does not name.
func (f *folder) strays(m *manifest) ([]Entry, error) {
	names, err := fs.Glob(f.root.FS(), keyPrefix+"*"+keySuffix)
	var out []Entry
	for _, n := range names {
		named := slices.ContainsFunc(m.Keys, func(e Entry) bool { return e.File == n })
		if !named && strings.Count(n, ".") == 1 {
			out = append(out, Entry{File: n})
		}
	}
	return out, err
}

// change calls do on a folder that nobody else changes meanwhile.
func change(dir string, do func(*folder) error) error {
	f, err := open(dir)
	if err != nil {
		return err
	}
	defer f.close()
	unlock, err := f.lock()
	if err != nil {
		return err
	}
	defer unlock()
	return do(f)
}
