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

// file is a log file that is rotated by its size. One that somebody moved away or removed is begun anew: no line goes into
// a file that nobody finds.
type file struct {
	c    Config
	w    io.WriteCloser // nil: it could not be opened again
	have fs.FileInfo    // of the file that w writes to
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
	f := &file{c: c}
	return f, f.open()
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
	f.w = r
	return nil
}

// Write appends to the file that is at the path now.
func (f *file) Write(p []byte) (int, error) {
	info, err := os.Stat(f.c.Path)
	if f.w == nil || err != nil || !os.SameFile(info, f.have) {
		if err := f.again(); err != nil {
			return 0, err
		}
		info = f.have
	}
	n, err := f.w.Write(p)
	if info.Size()+int64(len(p)) > int64(f.c.MaxSizeMB)<<20 { // it was rotated, by ourselves
		if info, err := os.Stat(f.c.Path); err == nil {
			f.have = info
		}
	}
	return n, err
}

func (f *file) again() error {
	if f.w != nil {
		f.c.Logger.Warn("the audit log was moved or removed; it goes on in a new file", "path", f.c.Path)
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
	if f.w == nil {
		return nil
	}
	return f.w.Close()
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
