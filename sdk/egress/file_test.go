package egress

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestReadFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plain, pipe := filepath.Join(dir, "plain"), filepath.Join(dir, "pipe")
	if err := os.WriteFile(plain, []byte("12345"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if raw, info, err := ReadFile(plain, 5); string(raw) != "12345" || err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%q %v %v", raw, info, err)
	}
	for file, want := range map[string]string{
		filepath.Join(dir, "none"): "no such file", dir: "not a regular file", pipe: "not a regular file", plain: "longer than 4 bytes",
	} {
		if raw, _, err := ReadFile(file, 4); raw != nil || err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v, want %q", file, err, want)
		}
	}
}
