package privatefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("12345"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		path  string
		limit int64
		err   string
	}{
		{write("good", 0o600), 5, ""},
		{write("read-only", 0o400), 5, ""},
		{write("group writes", 0o620), 5, "0620"},
		{write("group executes", 0o610), 5, "0610"},
		{write("world", 0o604), 5, "0604"},
		{write("writable", 0o602), 5, "0602"},
		{write("long", 0o600), 4, "longer than 4 bytes"},
		{pipe, 5, "not a regular file"},
		{filepath.Join(dir, "missing"), 5, "no such file"},
	}
	for _, tt := range tests {
		got, err := Read(tt.path, tt.limit)
		if tt.err == "" && (err != nil || string(got) != "12345") {
			t.Errorf("%s: %q, %v", tt.path, got, err)
		}
		if tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err) || !strings.Contains(err.Error(), tt.path) || got != nil) {
			t.Errorf("%s: %q, %v, want %q", tt.path, got, err, tt.err)
		}
	}
}

// The group may read what root owns, and only that.
func TestReadOfTheGroup(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		uid  int
		mode os.FileMode
		err  string
	}{
		{0, 0o440, ""},
		{0, 0o640, ""},
		{0, 0o444, "0444"},
		{0, 0o660, "chmod 0600 or 0640"},
		{os.Getuid() + 1, 0o440, "0440"},
		{os.Getuid() + 1, 0o400, ""},
	} {
		if err := errors.Join(os.Chown(path, tt.uid, -1), os.Chmod(path, tt.mode)); errors.Is(err, fs.ErrPermission) {
			t.Skip("only root may give files away")
		} else if err != nil {
			t.Fatal(err)
		}
		_, err := Read(path, 5)
		if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%#o of user %d: %v, want %q", tt.mode, tt.uid, err, tt.err)
		}
	}
}

func TestReadPublic(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "public")
	if err := os.WriteFile(path, []byte("12345"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadPublic(path, 5); err != nil || string(got) != "12345" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := ReadPublic(path, 4); err == nil {
		t.Error("a file that is too long was read")
	}
	if _, err := ReadPublic(filepath.Dir(path), 4); err == nil {
		t.Error("a directory was read")
	}
}
