package lock

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Name is the name of the lock file, which stands in the folder of the configuration.
const Name = "realmgate.lock.json"

// format is the version of the file's form. A file of another one is not understood.
const format = 1

const maxFile = 16 << 20 // bytes

// File is a lock file.
type File struct {
	Format  int     `json:"format"`
	Plugins []Entry `json:"plugins"` // sorted by name, each name once
}

// Entry is a plugin as it may run.
type Entry struct {
	Name     string            `json:"name"`
	Path     string            `json:"path"`            // from where it was locked; it may run from elsewhere
	SHA256   string            `json:"sha256"`          // of what is executed, see child.Image's Digest; lower-case hex
	Files    map[string]string `json:"files,omitempty"` // checksums of the files of a script or a command; they are part of SHA256
	Version  string            `json:"version"`         // as its manifest says
	Contract int               `json:"contract"`        // version of the plugin contract
	Offers   []Offer           `json:"offers"`          // sorted by kind and type
}

// Offer is a part that a plugin offers.
type Offer struct {
	Kind      string   `json:"kind"`
	Type      string   `json:"type"`
	Abilities []string `json:"abilities,omitempty"`
	Wants     []string `json:"wants,omitempty"`
}

// String gives an offer as messages name it.
func (o Offer) String() string { return fmt.Sprintf("%s %q", o.Kind, o.Type) }

// Read reads a lock file. An error is fs.ErrNotExist where there is none, and otherwise says why it cannot be used: then
// nobody knows what may run.
func Read(path string) (*File, error) {
	raw, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("the lock file cannot be read: %w", err)
	}
	f := &File{}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	switch err = d.Decode(f); {
	case errors.Is(err, io.EOF):
		err = errors.New("it is empty")
	case err == nil && d.Decode(&struct{}{}) != io.EOF:
		err = errors.New("there is more behind the end")
	}
	if err == nil {
		err = exact(json.NewDecoder(bytes.NewReader(raw)), "")
	}
	if err == nil {
		err = f.check()
	}
	if err != nil {
		return nil, fmt.Errorf("the lock file %s cannot be used: %w", path, err)
	}
	return f, nil
}

func read(path string) ([]byte, error) {
	r, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe without a writer blocks nobody
	if errors.Is(err, fs.ErrNotExist) {
		if _, there := os.Lstat(path); there == nil {
			return nil, fmt.Errorf("%s is a link that leads nowhere", path)
		}
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }() // it was only read
	if info, err := r.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, cmp.Or(err, fmt.Errorf("%s is not a regular file", path))
	}
	raw, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err == nil && len(raw) > maxFile {
		err = fmt.Errorf("%s is larger than %d MiB", path, maxFile>>20)
	}
	return raw, err
}

var digest = regexp.MustCompile(`^[0-9a-f]{64}$`)

func (f *File) check() error {
	if f.Format != format {
		return fmt.Errorf("its format is %d, and this daemon knows %d", f.Format, format)
	}
	seen := map[string]bool{}
	for _, e := range f.Plugins {
		switch {
		case e.Name == "":
			return errors.New("a plugin has no name")
		case seen[e.Name]:
			return fmt.Errorf("plugin %s stands in it twice", e.Name)
		case !digest.MatchString(e.SHA256):
			return fmt.Errorf("plugin %s: sha256 is not 64 hexadecimal digits in lower case", e.Name)
		}
		seen[e.Name] = true
	}
	return nil
}

// Digest tells files with other entries apart.
func (f *File) Digest() string {
	text, _ := json.Marshal(f.Plugins) // texts and numbers alone
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Find gives the entry of a plugin; nil if there is none.
func (f *File) Find(name string) *Entry {
	if i := slices.IndexFunc(f.Plugins, func(e Entry) bool { return e.Name == name }); i >= 0 {
		return &f.Plugins[i]
	}
	return nil
}

// Set adds an entry, or replaces the one of its name.
func (f *File) Set(e Entry) {
	f.Remove(e.Name)
	f.Plugins = append(f.Plugins, e)
}

// Remove drops the entry of a plugin.
func (f *File) Remove(name string) {
	f.Plugins = slices.DeleteFunc(f.Plugins, func(e Entry) bool { return e.Name == name })
}

// Write replaces the file at path in one step, or makes it. The same entries make the same bytes.
func (f *File) Write(path string) (err error) {
	f.Format = format
	slices.SortFunc(f.Plugins, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	for _, e := range f.Plugins {
		slices.SortFunc(e.Offers, func(a, b Offer) int { return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Type, b.Type)) })
	}
	if err := f.check(); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	mode := fs.FileMode(0o644) // it is no secret
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	t, err := os.CreateTemp(filepath.Dir(path), "."+Name+"-*")
	if err != nil {
		return fmt.Errorf("write the lock file: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("write the lock file: %w", err), os.Remove(t.Name()))
		}
	}()
	_, werr := t.Write(append(text, '\n'))
	if err := errors.Join(werr, t.Chmod(mode), t.Sync(), t.Close()); err != nil {
		return err
	}
	return os.Rename(t.Name(), path)
}

// Differs says how what a plugin says of itself differs from its entry, as a predicate; empty if it does not.
func (e *Entry) Differs(contract int, offers []Offer) string {
	if contract != e.Contract {
		return fmt.Sprintf("speaks version %d of the contract, not %d", contract, e.Contract)
	}
	for _, o := range offers {
		i := slices.IndexFunc(e.Offers, func(l Offer) bool { return l.Kind == o.Kind && l.Type == o.Type })
		switch {
		case i < 0:
			return fmt.Sprintf("offers the %v", o)
		case !slices.Equal(o.Abilities, e.Offers[i].Abilities):
			return fmt.Sprintf("offers the %v with the abilities %s, not %s", o, quoted(o.Abilities), quoted(e.Offers[i].Abilities))
		case !slices.Equal(o.Wants, e.Offers[i].Wants):
			return fmt.Sprintf("wants %s for the %v, not %s", quoted(o.Wants), o, quoted(e.Offers[i].Wants))
		}
	}
	if len(offers) < len(e.Offers) {
		return "offers less"
	}
	return ""
}

// quoted writes a list of texts of foreign origin.
func quoted(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = strconv.Quote(s)
	}
	return strings.Join(out, ", ")
}
