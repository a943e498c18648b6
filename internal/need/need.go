package need

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Command gives the path of a program: from PATH, or from one of the further folders. If there is none it is [Missing].
func Command(t testing.TB, name string, folders ...string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, folder := range folders {
		if path, err := exec.LookPath(filepath.Join(folder, name)); err == nil {
			return path
		}
	}
	Missing(t, "%s is not installed", name)
	return ""
}

// Missing ends the test: skipped with the reason, or failed with it where CI=true.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}
