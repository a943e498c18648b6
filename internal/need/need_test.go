package need

import (
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
)

// recorder is a testing.TB that notes how a test ended.
type recorder struct {
	testing.TB
	end string
}

func (r *recorder) Helper() {}

func (r *recorder) Fatalf(format string, args ...any) {
	r.end = "failed: " + fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Skipf(format string, args ...any) {
	r.end = "skipped: " + fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestCommand(t *testing.T) {
	for _, c := range []struct{ name, ci, command, want string }{
		{"there", "", "go", ""},
		{"there in CI", "true", "go", ""},
		{"missing", "", "no-such-program", "skipped: no-such-program is not installed"},
		{"missing in CI", "true", "no-such-program", "failed: no-such-program is not installed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("CI", c.ci)
			r := &recorder{TB: t}
			done := make(chan struct{})
			go func() {
				defer close(done)
				Command(r, c.command)
			}()
			<-done
			if r.end != c.want {
				t.Errorf("got %q, want %q", r.end, c.want)
			}
		})
	}
}

func TestCommandInFurtherFolder(t *testing.T) {
	path := Command(t, "go")
	t.Setenv("PATH", t.TempDir())
	if got := Command(t, "go", filepath.Dir(path)); got != path {
		t.Errorf("got %q, want %q", got, path)
	}
}
