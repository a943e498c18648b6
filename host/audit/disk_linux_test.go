package audit

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
)

func TestDeviceIsNotRotated(t *testing.T) {
	t.Parallel()
	for _, refuse := range []bool{true, false} {
		l := open(t, Config{Path: "/dev/full", Refuse: refuse, MaxSizeMB: 1})
		if err := l.Record(t.Context(), Event{Name: RoleGrant}); errors.Is(err, ErrUnwritten) != refuse {
			t.Errorf("refuse %v: %v", refuse, err)
		}
	}
	info, err := os.Stat("/dev/full")
	if err != nil || info.Mode().Type() != os.ModeDevice|os.ModeCharDevice {
		t.Fatalf("the device was replaced: %v %v", info, err)
	}
}

// fileLimit is what a file of the child may hold, in bytes.
const fileLimit = 4096

// TestFullDisk runs in a child whose files may not grow beyond a limit, so that a real write breaks off in the midst of a
// line. Lines are refused until there is room again, and then begin on a line of their own.
func TestFullDisk(t *testing.T) {
	if path := os.Getenv("AUDIT_FULL_DISK"); path != "" {
		fullDisk(t, path)
		return
	}
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.log")
	cmd := exec.Command(os.Args[0], "-test.run=^TestFullDisk$", "-test.v")
	cmd.Env = append(os.Environ(), "AUDIT_FULL_DISK="+path)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got := lines(t, text, 1)
	if len(text) <= fileLimit || len(got) < 3 || got[len(got)-1]["detail"] != "room again" {
		t.Errorf("%d bytes, %v", len(text), got)
	}
}

func fullDisk(t *testing.T, path string) {
	signal.Ignore(syscall.SIGXFSZ)
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: fileLimit, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	l := open(t, Config{Path: path, Refuse: true})
	written := 0
	for err := error(nil); err == nil; written++ {
		if written > fileLimit {
			t.Fatal("the disk is never full")
		}
		err = l.Record(t.Context(), Event{Name: TokenIssue, Outcome: Done})
	}
	if err := l.Record(t.Context(), Event{Name: TokenIssue}); !errors.Is(err, ErrUnwritten) {
		t.Errorf("a full disk: %v", err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if err := l.Record(t.Context(), Event{Name: TokenIssue, Outcome: Done, Detail: "room again"}); err != nil {
		t.Error(err)
	}
}
