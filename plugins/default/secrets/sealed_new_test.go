package secrets

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

// tree lists what is below a folder.
func tree(t *testing.T, base string) string {
	t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(base, func(path string, _ fs.DirEntry, err error) error {
		out.WriteString(strings.TrimPrefix(path, base) + "\n")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// Opening a new store, looking into it and deleting what is not there leave no trace: it is made to be written to.
func TestSealedIsMadeByTheFirstWrite(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	settings := settingsIn(filepath.Join(base, "deep", "er"))
	ctx, log := logged(t)
	s, err := NewSealed(ctx, sdk.Setup{Store: "store"}, settings)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	wantSealed(t, s, "x", "!no such secret")
	if err := s.DeleteSecret(ctx, ref(t, "x")); err != nil {
		t.Error(err)
	}
	if _, err := s.WriteSecret(ctx, ref(t, "x"), make([]byte, maxSecret+1)); err == nil {
		t.Error("a secret that is too long was written")
	}
	if got := tree(t, base); got != "\n" || log.Len() > 0 {
		t.Errorf("there is %q, logged %s", got, log)
	}
	early := openSealed(t, "store", settings)
	write(t, s, "x", "value")
	wantSealed(t, early, "x", "value") // which was opened when there was nothing
	write(t, early, "y", "value")
	wantSealed(t, s, "y", "value")
	before := tree(t, base)
	openSealed(t, "store", settings)
	if after := tree(t, base); after != before {
		t.Errorf("opening it made of %s\nthis: %s", before, after)
	}
}

// A store that nothing can be written to opens, and says so. Root can write anywhere: a child of its own does it as nobody.
func TestSealedWhereNothingCanBeMade(t *testing.T) {
	base := os.Getenv(childOf)
	if base == "" {
		t.Parallel()
		base = t.TempDir()
		if err := errors.Join(os.Chmod(base, 0o555), os.Chmod(filepath.Dir(base), 0o755)); err != nil {
			t.Fatal(err)
		}
		if os.Geteuid() == 0 {
			cmd := child(t, base)
			cmd.Path, cmd.Dir = "/proc/self/exe", "/"
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			return
		}
	}
	ctx, log := logged(t)
	s, err := NewSealed(ctx, sdk.Setup{Store: "store"}, settingsIn(filepath.Join(base, "data")))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if !strings.Contains(log.String(), "cannot be made") {
		t.Errorf("logged: %s", log)
	}
	if _, err := s.WriteSecret(ctx, ref(t, "x"), nil); err == nil {
		t.Error("written")
	}
}

// What root makes below another user's folder belongs to that user, who may go on with it.
func TestSealedByRoot(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	const user, group = 12345, 23456
	base := t.TempDir()
	if err := os.Chown(base, user, group); err != nil {
		t.Fatal(err)
	}
	s := openSealed(t, "store", settingsIn(filepath.Join(base, "data")))
	write(t, s, "x", "value")
	write(t, openSealed(t, "store", settingsIn(filepath.Join(base, "data"))), "x", "value")
	n := 0
	err := filepath.Walk(base, func(path string, info fs.FileInfo, err error) error {
		n++
		if own, ok := info.Sys().(*syscall.Stat_t); !ok || own.Uid != user || own.Gid != group {
			t.Errorf("%s belongs to %v", path, info.Sys())
		}
		return err
	})
	if err != nil || n != 7 { // base, data, the folder, its header, the lock, a value, the key
		t.Errorf("%d files, %v", n, err)
	}
}

// A key that is not that of the folder seals nothing, so that the right one opens everything when it is back.
func TestSealedWithAnotherKey(t *testing.T) {
	t.Parallel()
	settings := sealedSettings(t)
	right, wrong := newKey('a'), newKey('b')
	put(t, settings.KeyFile, right, 0o600)
	s := openSealed(t, "store", settings)
	write(t, s, "x", "1")
	write(t, s, "y", "1")
	refused := func(what string) {
		t.Helper()
		for _, path := range []string{"x", "new"} {
			if _, err := s.WriteSecret(t.Context(), ref(t, path), []byte("2")); err == nil || !strings.Contains(err.Error(), "another key") {
				t.Errorf("%s: %s: %v", what, path, err)
			}
		}
		if _, err := NewSealed(t.Context(), sdk.Setup{Store: "store"}, settings); err == nil || sdk.Problems(err)[0].Path != "/key_file" {
			t.Errorf("%s: opened: %v", what, err)
		}
	}
	put(t, settings.KeyFile, wrong, 0o600)
	refused("the wrong key")
	if err := os.Remove(filepath.Join(settings.Dir, headerFile)); err != nil {
		t.Fatal(err)
	}
	refused("the wrong key, and no header")
	put(t, settings.KeyFile, right, 0o600)
	write(t, openSealed(t, "store", settings), "x", "2")

	// With the former key the new one takes over, and then the former one alone is wrong.
	put(t, settings.KeyFile, wrong+"\n"+right, 0o600)
	write(t, s, "x", "3")
	put(t, settings.KeyFile, right, 0o600)
	refused("the former key")
	put(t, settings.KeyFile, wrong+"\n"+right, 0o600)
	wantSealed(t, s, "x", "3")
	wantSealed(t, s, "y", "1")

	// Without values there is nothing to lose.
	for _, path := range []string{"x", "y"} {
		if err := s.DeleteSecret(t.Context(), ref(t, path)); err != nil {
			t.Fatal(err)
		}
	}
	put(t, settings.KeyFile, newKey('c'), 0o600)
	write(t, openSealed(t, "store", settings), "x", "4")
	wantSealed(t, s, "x", "4")
}

// The damaged file of one secret is no fault of the store; a damaged header stops writing, not reading.
func TestSealedDamagedFiles(t *testing.T) {
	t.Parallel()
	settings := sealedSettings(t)
	s := openSealed(t, "store", settings)
	write(t, s, "x", "value")
	write(t, s, "y", "value")
	put(t, fileOf(s, "x"), "junk", 0o600)
	for _, without := range []bool{false, true} {
		if without {
			_ = os.Remove(filepath.Join(settings.Dir, headerFile))
		}
		again := openSealed(t, "store", settings)
		wantSealed(t, again, "x", "!damaged")
		wantSealed(t, again, "y", "value")
		write(t, again, "z", "value")
	}
	put(t, filepath.Join(settings.Dir, headerFile), "junk", 0o600)
	ctx, log := logged(t)
	again, err := NewSealed(ctx, sdk.Setup{Store: "store"}, settings)
	if err != nil || !strings.Contains(log.String(), headerFile) {
		t.Fatalf("%v, %s", err, log)
	}
	defer again.Close()
	wantSealed(t, again, "y", "value")
	if _, err := again.WriteSecret(ctx, ref(t, "y"), nil); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Error(err)
	}
}
