package audit

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func read(t *testing.T, path string) int {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return len(lines(t, text, 0))
}

// A file that somebody moves away, as logrotate does, or removes is begun anew at once: no line is lost.
func TestFileIsMovedOrRemoved(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "log")
	path := filepath.Join(dir, "audit.log")
	l := open(t, Config{Path: path, Refuse: true})
	record := func() error { return l.Record(t.Context(), Event{Name: RoleGrant}) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(record())
	must(os.Rename(path, path+".1"))
	must(record())
	must(record())
	if a, b := read(t, path+".1"), read(t, path); a != 1 || b != 2 {
		t.Errorf("%d lines before it was moved, %d after", a, b)
	}
	// Moved, with a new one in its place.
	must(os.Rename(path, path+".2"))
	must(os.WriteFile(path, nil, 0o640))
	must(record())
	if a, b := read(t, path+".2"), read(t, path); a != 2 || b != 1 {
		t.Errorf("%d lines before it was replaced, %d after", a, b)
	}
	must(os.RemoveAll(dir))
	must(record())
	if n := read(t, path); n != 1 {
		t.Errorf("%d lines after all was removed", n)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	// Nor does it go on in one that others may write.
	must(os.Remove(path))
	must(os.WriteFile(path, nil, 0o600))
	must(os.Chmod(path, 0o666))
	for range 2 {
		if err := record(); !errors.Is(err, ErrUnwritten) {
			t.Errorf("%v", err)
		}
	}
	must(os.Chmod(path, 0o600))
	must(record())
}

// Two daemons that write one file would lose each other's lines, above all when they rotate it.
func TestFileHasOneOwner(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "log")
	c := Config{Path: filepath.Join(dir, "audit.log"), Refuse: true}
	second := func() error {
		l, err := Open(c)
		if err == nil {
			err = l.Close()
		}
		return err
	}
	l := open(t, c)
	if err := second(); !errors.Is(err, errOwned) || !strings.Contains(err.Error(), c.Path+": another daemon writes to it: give each daemon an audit { path } of its own") {
		t.Errorf("%v", err)
	}
	// Whoever removes all of it may have another daemon take over, which the first one notices.
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	other := open(t, c)
	if err := l.Record(t.Context(), Event{Name: RoleGrant}); !errors.Is(err, ErrUnwritten) {
		t.Errorf("it writes to another's file: %v", err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Record(t.Context(), Event{Name: RoleGrant}); err != nil {
		t.Error(err)
	}
	if err := second(); !errors.Is(err, errOwned) {
		t.Errorf("%v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := second(); err != nil {
		t.Errorf("after it was closed: %v", err)
	}
}

// A file that is cut short in place, as logrotate's copytruncate does, has no hole; nor if a line comes at the same moment.
func TestFileIsCutShort(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.log")
	l := open(t, Config{Path: path, Refuse: true})
	record := func() {
		t.Helper()
		if err := l.Record(t.Context(), Event{Name: RoleGrant}); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		record()
		if err := os.Truncate(path, 0); err != nil {
			t.Fatal(err)
		}
		l.w.(*file).size = 0 // it was not seen
		record()
		if n := read(t, path); n != 1 {
			t.Errorf("%d lines", n)
		}
	}
	// Nor where the library made the file: after it was rotated.
	l = open(t, Config{Path: filepath.Join(t.TempDir(), "audit.log"), Refuse: true, MaxSizeMB: 1})
	path = l.c.Path
	for info, was := os.FileInfo(nil), l.w.(*file).have; info == nil || os.SameFile(info, was); {
		if err := l.Record(t.Context(), Event{Name: RoleGrant, Scope: strings.Repeat("x", maxScope)}); err != nil {
			t.Fatal(err)
		}
		var err error
		if info, err = os.Stat(path); err != nil {
			t.Fatal(err)
		}
	}
	record()
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	record()
	if n := read(t, path); n != 1 {
		t.Errorf("%d lines after the rotation", n)
	}
}

// A daemon that died in the midst of a line leaves the first one of the next start whole.
func TestLastLineIsIncomplete(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.log")
	if err := os.WriteFile(path, []byte("{\"event\":\"role.grant\"}\n{\"event\":\"ro"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		l := open(t, Config{Path: path, Refuse: true})
		for range 2 {
			if err := l.Record(t.Context(), Event{Name: RoleGrant}); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := lines(t, text, 1); len(got) != 5 || strings.Contains(string(text), "\n\n") {
		t.Errorf("%d lines:\n%s", len(got), text)
	}
}

// A reader that has stopped reading holds nobody up for long, and a log that refuses does so.
func TestReaderStalls(t *testing.T) {
	t.Parallel()
	for _, refuse := range []bool{true, false} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		defer w.Close()
		l := open(t, Config{Path: Stdout, Stdout: w, Refuse: refuse})
		l.w.(*patient).limit = time.Second
		written, failed := 0, 0
		for failed < 100 {
			if l.put(t.Context(), Event{Name: RoleGrant}) != nil {
				failed++
			} else if written++; failed > 0 || written > 1<<20 {
				t.Fatalf("%d lines were written to a pipe that nobody reads, and %d not", written, failed)
			}
		}
		if err := l.Record(t.Context(), Event{Name: RoleGrant}); errors.Is(err, ErrUnwritten) != refuse {
			t.Errorf("refuse %v: %v", refuse, err)
		}
		// It is read again: what was given up comes whole, and new lines behind it.
		text := make(chan []byte)
		go func() {
			all, _ := io.ReadAll(r)
			text <- all
		}()
		for end := time.Now().Add(10 * time.Second); l.put(t.Context(), Event{Name: RoleCreate}) != nil; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the log does not recover")
			}
		}
		w.Close()
		got := lines(t, <-text, 0)
		if len(got) != written+2 || got[len(got)-1]["event"] != RoleCreate {
			t.Errorf("%d lines of %d, the last one %v", len(got), written+2, got[len(got)-1])
		}
	}
}
