package audit

import (
	"errors"
	"io"
	"os"
	"path/filepath"
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
