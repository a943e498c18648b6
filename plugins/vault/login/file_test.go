package login

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What is in place of a file with a token is a fault of the login, and holds up neither that nor the end of the session.
func TestFilesOfLogins(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil { // whatever the umask is
			t.Fatal(err)
		}
		return path
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	open := write("open", "t", 0o604)
	for _, x := range []struct{ key, file, want string }{
		{"token_file", pipe, "pipe: it is not a regular file"},
		{"token_file", dir, "it is not a regular file"},
		{"token_file", filepath.Join(dir, "none"), "no such file"},
		{"token_file", write("long", strings.Repeat("x", maxFile+1), 0o600), "longer than 65536 bytes"},
		{"token_file", write("blank", " \n", 0o600), "blank is empty"},
		{"token_file", open, "open is accessible to others (mode 0604)"},
		{"token_file", write("words", "not a token", 0o600), "is none"},
		{"token_file", write("fine", " t\n", 0o640), ""},
		{"jwt", pipe, "it is not a regular file"},
		{"jwt", open, ""}, // who may read it is for its issuer to say
		{"kubernetes", pipe, "it is not a regular file"},
		{"kubernetes", open, ""},
	} {
		t.Run(x.key+" "+filepath.Base(x.file), func(t *testing.T) {
			t.Parallel()
			settings := map[string]any{"token_file": x.file}
			if x.key != "token_file" {
				settings = map[string]any{x.key: map[string]any{"role": "r", "token_file": x.file}}
			}
			s := newFake(t).open(t, settings)
			asked := make(chan error, 1)
			go func() { asked <- ask1(t.Context(), s) }()
			select {
			case err := <-asked:
				if x.want == "" && err != nil || x.want != "" && (err == nil || !strings.Contains(err.Error(), x.want)) {
					t.Errorf("%v, want %q", err, x.want)
				}
			case <-time.After(20 * time.Second):
				if w, err := os.OpenFile(pipe, os.O_WRONLY, 0); err == nil { // lets who reads go, and with it the test end
					_ = w.Close()
				}
				t.Error("it hangs")
			}
		})
	}
}
