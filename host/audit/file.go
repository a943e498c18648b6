package audit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/DeRuina/timberjack"
)

const defaultSizeMB = 100

// file is a log file that is rotated by its size, and has one owner. One that somebody moved away, removed or cut short is
// begun anew: no line goes into a file that nobody finds, nor behind a hole.
type file struct {
	c     Config
	owner owner
	w     io.WriteCloser // nil: it could not be opened again
	have  fs.FileInfo    // of the file that w writes to
	size  int64          // it has at least
	torn  bool           // its last line was incomplete when it was opened
}

// openFile opens a file, or a device.
func openFile(c Config) (io.WriteCloser, error) {
	if info, err := os.Stat(c.Path); err == nil && info.Mode().Type() == fs.ModeDevice|fs.ModeCharDevice {
		dev, err := os.OpenFile(c.Path, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return nil, err
		}
		return &patient{w: dev, close: dev.Close, limit: stalled}, nil
	}
	if c.MaxSizeMB == 0 {
		c.MaxSizeMB = defaultSizeMB
	}
	f := &file{c: c, owner: owner{path: c.Path + ".lock"}}
	if err := f.open(); err != nil {
		return nil, errors.Join(err, f.owner.release())
	}
	return f, nil
}

func (f *file) open() error {
	c := f.c
	info, err := os.Stat(c.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.MkdirAll(filepath.Dir(c.Path), 0o700); err != nil {
			return err
		}
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errors.New("it is neither a file nor a character device")
	case info.Mode().Perm()&0o027 != 0:
		return fmt.Errorf("its mode %04o lets others in: others may neither read nor write it, its group may read it at most", info.Mode().Perm())
	}
	if err := f.owner.take(); err != nil {
		return err
	}
	if info == nil {
		// The library would make one without O_APPEND.
		made, err := os.OpenFile(c.Path, os.O_CREATE|os.O_EXCL|os.O_APPEND|os.O_WRONLY, 0o600)
		if err == nil {
			err = made.Close()
		}
		if err != nil {
			return err
		}
	}
	f.torn = info != nil && isTorn(c.Path, info.Size())
	r := &timberjack.Logger{Filename: c.Path, MaxSize: c.MaxSizeMB, MaxBackups: c.MaxBackups, MaxAge: c.MaxAgeDays, Compression: "none", FileMode: 0o600}
	if info != nil {
		r.FileMode = info.Mode().Perm()
	}
	if c.Compress {
		r.Compression = "gzip"
	}
	_, err = r.Write(nil) // opens it
	if err == nil {
		f.have, err = os.Stat(c.Path)
	}
	if err != nil {
		return errors.Join(err, r.Close())
	}
	f.w, f.size = r, f.have.Size()
	f.torn = f.torn && f.size > 0 // it may have been rotated at once
	return nil
}

// isTorn says whether a file ends in the midst of a line, or nobody can tell.
func isTorn(path string, size int64) bool {
	if size == 0 {
		return false
	}
	r, err := os.Open(path)
	if err != nil {
		return true
	}
	defer r.Close() //nolint:errcheck // the file was only read
	var last [1]byte
	_, err = r.ReadAt(last[:], size-1)
	return err != nil || last[0] != '\n'
}

// Write appends to the file that is at the path now.
func (f *file) Write(p []byte) (int, error) {
	info, err := os.Stat(f.c.Path)
	if f.w == nil || err != nil || !os.SameFile(info, f.have) || info.Size() < f.size {
		if err := f.again(); err != nil {
			return 0, err
		}
		info = f.have
	}
	extra := 0
	if f.torn && p[0] != '\n' {
		p, extra = append([]byte{'\n'}, p...), 1
	}
	n, err := f.w.Write(p)
	f.torn = f.torn && n == 0
	f.size = info.Size() + int64(n)
	if info.Size()+int64(len(p)) > int64(f.c.MaxSizeMB)<<20 { // it was rotated, by ourselves
		if info, err := os.Stat(f.c.Path); err == nil {
			f.have, f.size = info, info.Size()
		}
	}
	return max(n-extra, 0), err
}

func (f *file) again() error {
	if f.w != nil {
		f.c.Logger.Warn("the audit log was moved, removed or cut short; it goes on in what is at its path now", "path", f.c.Path)
		_ = f.w.Close() // what it has is written
		f.w = nil
	}
	if err := f.open(); err != nil {
		return fmt.Errorf("open it again: %w", err)
	}
	return nil
}

// Close closes the file.
func (f *file) Close() error {
	var err error
	if f.w != nil {
		err = f.w.Close()
	}
	return errors.Join(err, f.owner.release())
}

// stalled is how long a write may take to what has a reader, a pipe or a terminal, before it counts as failed.
const stalled = 2 * time.Second

var errStalled = errors.New("nobody reads what is written")

// patient writes to what may stall because its reader does. A write that takes too long is given up, and those after it fail
// at once until it has ended; what was given up may still come out whole. It is for one caller at a time.
type patient struct {
	w     io.Writer
	close func() error
	limit time.Duration

	under chan written // the write that was given up and is under way
	torn  bool         // it ended in the midst of a line
}

type written struct {
	n, of int
	err   error
}

// Write writes, or gives up.
func (p *patient) Write(b []byte) (int, error) {
	if p.under != nil {
		select {
		case r := <-p.under:
			p.under, p.torn = nil, r.n > 0 && r.n < r.of
		default:
			return 0, errStalled
		}
	}
	extra := 0
	if p.torn {
		b, extra = append([]byte{'\n'}, b...), 1
	}
	done := make(chan written, 1)
	go func() {
		n, err := p.w.Write(b)
		done <- written{n, len(b), err}
	}()
	timer := time.NewTimer(p.limit)
	defer timer.Stop()
	select {
	case r := <-done:
		if r.n > 0 {
			p.torn = false
		}
		return max(r.n-extra, 0), r.err
	case <-timer.C:
		p.under = done
		return 0, errStalled
	}
}

// Close closes what is written to, if it is ours.
func (p *patient) Close() error { return p.close() }
