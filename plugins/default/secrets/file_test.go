package secrets

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

func openStore(t testing.TB, dir string) *File {
	t.Helper()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := NewFile(t.Context(), sdk.Setup{}, FileSettings{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func put(t testing.TB, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func TestFileResolve(t *testing.T) {
	t.Parallel()
	outside, dir := t.TempDir(), t.TempDir()
	put(t, filepath.Join(outside, "stolen"), "stolen", 0o600)
	put(t, filepath.Join(dir, "plain"), "hunter2", 0o600)
	put(t, filepath.Join(dir, "a/b"), "nested\n", 0o400)
	put(t, filepath.Join(dir, "lines"), "x\n\n", 0o600)
	put(t, filepath.Join(dir, "json"), `{"user":"alice"}`+"\n", 0o600)
	put(t, filepath.Join(dir, "open"), "hunter2", 0o644)
	put(t, filepath.Join(dir, "group"), "hunter2", 0o660)
	put(t, filepath.Join(dir, "full"), strings.Repeat("x", maxSecret)+"\n", 0o600)
	put(t, filepath.Join(dir, "long"), strings.Repeat("x", maxSecret+1), 0o600)
	put(t, filepath.Join(dir, "longer"), strings.Repeat("x", maxSecret+2), 0o600)
	for link, to := range map[string]string{
		"inside": "plain", "absolute": filepath.Join(outside, "stolen"),
		"relative": filepath.Join("..", filepath.Base(outside), "stolen"), "linked": outside,
	} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := openStore(t, dir)
	tests := map[string]struct{ want, err string }{
		"plain":            {want: "hunter2"},
		"a/b":              {want: "nested"},
		"lines":            {want: "x\n"},
		"json":             {want: `{"user":"alice"}`},
		"inside":           {want: "hunter2"},
		"full":             {want: strings.Repeat("x", maxSecret)},
		"plain?=version=1": {err: "keeps no versions"},
		"missing":          {err: "no such file"},
		"open":             {err: "0644"},
		"group":            {err: "0640"},
		"long":             {err: "longer than"},
		"longer":           {err: "longer than"},
		"absolute":         {err: "escapes"},
		"relative":         {err: "escapes"},
		"linked/stolen":    {err: "escapes"},
		"a":                {err: "not a regular file"},
		"pipe":             {err: "not a regular file"},
	}
	for text, tt := range tests {
		s, err := f.Resolve(t.Context(), ref(t, text))
		if tt.err == "" && (err != nil || string(s.Reveal()) != tt.want || s.CacheUntil.IsZero() || s.CacheUntil.After(time.Now().Add(fileKept))) {
			t.Errorf("%s: %q until %v, %v", text, s.Reveal(), s.CacheUntil, err)
		}
		if tt.err == "" {
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tt.err) || sdk.AsDenial(err) != nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %q, %v, want %q", text, s.Reveal(), err, tt.err)
		}
	}
}

func TestFileSettings(t *testing.T) {
	t.Parallel()
	open := t.TempDir()
	if err := os.Chmod(open, 0o770); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	put(t, file, "x", 0o600)
	for dir, want := range map[string]string{open: "0770", filepath.Join(open, "missing"): "no such file", file: "not a directory"} {
		_, err := NewFile(t.Context(), sdk.Setup{}, FileSettings{Dir: dir})
		ps := sdk.Problems(err)
		if len(ps) != 1 || ps[0].Path != "/dir" || !strings.Contains(ps[0].Summary, want) {
			t.Errorf("%s: %v, want one fault at /dir with %q", dir, err, want)
		}
	}
}

func TestFileWriteAndDelete(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := openStore(t, dir)
	for _, value := range []string{"hunter2", "", "ends with a newline\n", "\r\n", "\x00\xff"} {
		if _, err := f.WriteSecret(t.Context(), ref(t, "realm/one/key"), []byte(value)); err != nil {
			t.Fatal(err)
		}
		s, err := f.Resolve(t.Context(), ref(t, "realm/one/key"))
		if err != nil || string(s.Reveal()) != value {
			t.Errorf("wrote %q, read %q, %v", value, s.Reveal(), err)
		}
	}
	for path, mode := range map[string]os.FileMode{"realm": 0o700, "realm/one": 0o700, "realm/one/key": 0o600} {
		if info, err := os.Stat(filepath.Join(dir, path)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v, want mode %#o", path, info.Mode(), err, mode)
		}
	}
	if left, err := os.ReadDir(filepath.Join(dir, "realm/one")); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	for range 2 { // the second time there is nothing to delete
		if err := f.DeleteSecret(t.Context(), ref(t, "realm/one/key")); err != nil {
			t.Error(err)
		}
	}
	if _, err := f.Resolve(t.Context(), ref(t, "realm/one/key")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after deletion: %v", err)
	}
}

func TestFileWriteRefuses(t *testing.T) {
	t.Parallel()
	outside, dir := t.TempDir(), t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "linked")); err != nil {
		t.Fatal(err)
	}
	f := openStore(t, dir)
	for text, value := range map[string][]byte{
		"linked/x": nil, "x": bytes.Repeat([]byte("x"), maxSecret+1),
	} {
		if _, err := f.WriteSecret(t.Context(), ref(t, text), value); err == nil {
			t.Errorf("%s was written", text)
		}
	}
	put(t, filepath.Join(dir, "x"), "kept", 0o600)
	if s, err := f.Resolve(t.Context(), ref(t, "x")); err != nil || string(s.Reveal()) != "kept" {
		t.Errorf("%q, %v", s.Reveal(), err)
	}
	if left, _ := os.ReadDir(outside); len(left) != 0 {
		t.Errorf("written outside: %v", left)
	}
}

// A reader sees one of the values as a whole, never a part of one.
func TestFileWriteIsAtomic(t *testing.T) {
	t.Parallel()
	f := openStore(t, t.TempDir())
	values := [][]byte{bytes.Repeat([]byte("a"), 40000), bytes.Repeat([]byte("b"), 40000)}
	if _, err := f.WriteSecret(t.Context(), ref(t, "x"), values[0]); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, v := range values {
		wg.Go(func() {
			for range 10 {
				if _, err := f.WriteSecret(t.Context(), ref(t, "x"), v); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 100 {
		s, err := f.Resolve(t.Context(), ref(t, "x"))
		if err != nil || !bytes.Equal(s.Reveal(), values[0]) && !bytes.Equal(s.Reveal(), values[1]) {
			t.Fatalf("%d bytes, %v", len(s.Reveal()), err)
		}
	}
	wg.Wait()
}
