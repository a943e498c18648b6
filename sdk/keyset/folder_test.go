package keyset

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC)

func generated(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "realm", "keys")
	if _, err := Generate(dir, NewKeySpec{Algorithm: ES256}, start); err != nil {
		t.Fatal(err)
	}
	return dir
}

func rotated(t *testing.T, dir string, r Rotation, now time.Time) Entry {
	t.Helper()
	e, err := Rotate(dir, r, now)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func states(t *testing.T, dir string, now time.Time) []State {
	t.Helper()
	entries, err := List(dir)
	if err != nil {
		t.Fatal(err)
	}
	return States(entries, now)
}

func TestGenerate(t *testing.T) {
	t.Parallel()
	dir := generated(t)
	keys, err := Load(dir, start)
	if err != nil || len(keys) != 1 || keys[0].Algorithm != ES256 || keys[0].Private == nil {
		t.Fatalf("%+v, %v", keys, err)
	}
	if s := states(t, dir, start); !slices.Equal(s, []State{Signing}) {
		t.Errorf("the first key is %v", s)
	}
	for name, want := range map[string]os.FileMode{".": 0o700, manifestName: 0o600, keys[0].File: 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if _, err := Generate(dir, NewKeySpec{Algorithm: ES256}, start); err == nil || !strings.Contains(err.Error(), "keys already") {
		t.Errorf("a second first key: %v", err)
	}
	if _, err := Rotate(t.TempDir(), Rotation{}, start); err == nil {
		t.Error("an empty folder was rotated")
	}
}

// What each key does over the time of a rotation, and of one that comes while another is under way.
func TestRotate(t *testing.T) {
	t.Parallel()
	dir := generated(t)
	second := rotated(t, dir, Rotation{Wait: 10 * time.Minute, Overlap: time.Hour}, start)
	at := func(d time.Duration) time.Time { return start.Truncate(time.Second).Add(d) }
	if second.Algorithm != ES256 || !second.SignFrom.Equal(at(10*time.Minute)) || !second.RetireAt.IsZero() {
		t.Errorf("%+v", second)
	}
	check := func(d time.Duration, want ...State) {
		t.Helper()
		if got := states(t, dir, at(d)); !slices.Equal(got, want) {
			t.Errorf("after %v: %v, want %v", d, got, want)
		}
	}
	check(0, Signing, Published)
	check(10*time.Minute-1, Signing, Published)
	check(10*time.Minute, Verifying, Signing)
	check(70*time.Minute-1, Verifying, Signing)
	check(70*time.Minute, Retired, Signing)

	// A third comes before the second has signed, and overtakes it.
	rotated(t, dir, Rotation{Overlap: 30 * time.Minute, NewKeySpec: NewKeySpec{Algorithm: EdDSA}}, at(5*time.Minute))
	check(5*time.Minute, Verifying, Published, Signing)
	check(10*time.Minute, Verifying, Verifying, Signing)
	check(35*time.Minute, Retired, Retired, Signing)
	keys, err := Load(dir, at(35*time.Minute))
	if err != nil || len(keys) != 1 || keys[0].Algorithm != EdDSA {
		t.Errorf("%+v, %v", keys, err)
	}
}

func TestStatesWhereNoneSigns(t *testing.T) {
	t.Parallel()
	entries := []Entry{{SignFrom: start, RetireAt: start.Add(time.Minute)}, {SignFrom: start.Add(time.Hour)}}
	if got := States(entries, start.Add(2*time.Minute)); !slices.Equal(got, []State{Retired, Published}) {
		t.Errorf("%v", got)
	}
}

func TestRotateKeepsKindAndSize(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "keys")
	if _, err := Generate(dir, NewKeySpec{RS256, 2056}, start); err != nil {
		t.Fatal(err)
	}
	rotated(t, dir, Rotation{}, start)
	keys, err := Load(dir, start.Add(-time.Hour)) // both are there
	if err != nil || len(keys) != 2 {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	for _, k := range keys {
		if size := k.Private.Public().(interface{ Size() int }).Size(); size != 2056/8 {
			t.Errorf("a key of %d bytes", size)
		}
	}
}

func TestPrune(t *testing.T) {
	t.Parallel()
	dir := generated(t)
	rotated(t, dir, Rotation{Overlap: time.Hour}, start)
	if err := os.WriteFile(filepath.Join(dir, "key-stray.pem"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if gone, err := Prune(dir, start.Add(time.Hour)); err != nil || len(gone) != 0 {
		t.Errorf("pruned %v, %v within the minute", gone, err)
	}
	gone, err := Prune(dir, start.Add(2*time.Hour))
	if err != nil || len(gone) != 1 {
		t.Fatalf("%v, %v", gone, err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 2 {
		t.Errorf("%v are left", files)
	}
	if keys, err := Load(dir, start.Add(2*time.Hour)); err != nil || len(keys) != 1 {
		t.Errorf("%v, %v", keys, err)
	}
	// A rotation removes what is retired too; the last key stays, whatever its time.
	rotated(t, dir, Rotation{Overlap: time.Minute}, start)
	rotated(t, dir, Rotation{Overlap: time.Minute}, start.Add(time.Hour))
	if n := len(states(t, dir, start)); n != 2 {
		t.Errorf("%d keys after a rotation, want the two that are not retired", n)
	}
}

func TestRefusesWhatOthersMayUse(t *testing.T) {
	t.Parallel()
	for _, name := range []string{".", manifestName, "key"} {
		for _, mode := range []os.FileMode{0o040, 0o004, 0o020, 0o001} {
			dir := generated(t)
			at := name
			if at == "key" {
				entries, err := List(dir)
				if err != nil {
					t.Fatal(err)
				}
				at = entries[0].File
			}
			if err := os.Chmod(filepath.Join(dir, at), 0o700|mode); err != nil {
				t.Fatal(err)
			}
			if keys, err := Load(dir, start); err == nil || keys != nil || !strings.Contains(err.Error(), "others than its owner") {
				t.Errorf("%s with %#o: %v, %v", name, mode, keys, err)
			}
			if _, err := Rotate(dir, Rotation{}, start); name != "key" && err == nil {
				t.Errorf("%s with %#o was rotated", name, mode)
			}
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	const other = `"algorithm":"ES256","created":"2026-01-02T03:04:05Z","sign_from":"2026-01-02T03:04:05Z"`
	tests := map[string]struct {
		spoil func(t *testing.T, dir string, m *manifest)
		raw   string
		want  string
	}{
		"no JSON":           {raw: `x`, want: "invalid character"},
		"a tail":            {raw: `{"version":1,"keys":[{"kid":"a","file":"a",` + other + `}]} x`, want: "behind the JSON"},
		"an unknown key":    {raw: `{"version":1,"keys":[],"sign_with":"x"}`, want: "unknown field"},
		"another version":   {raw: `{"version":2,"keys":[{"kid":"a","file":"a",` + other + `}]}`, want: "version is 2"},
		"no keys":           {raw: `{"version":1,"keys":[]}`, want: "0 keys"},
		"out of the folder": {raw: `{"version":1,"keys":[{"kid":"a","file":"../a",` + other + `}]}`, want: "not the name of a file"},
		"no kid":            {raw: `{"version":1,"keys":[{"file":"a",` + other + `}]}`, want: "kid or sign_from"},
		"two of a kid":      {raw: `{"version":1,"keys":[{"kid":"a","file":"a",` + other + `},{"kid":"a","file":"b",` + other + `}]}`, want: "two keys"},
		"an algorithm":      {spoil: func(_ *testing.T, _ string, m *manifest) { m.Keys[0].Algorithm = "HS256" }, want: "HS256"},
		"another algorithm": {spoil: func(_ *testing.T, _ string, m *manifest) { m.Keys[0].Algorithm = EdDSA }, want: "the manifest names"},
		"another kid":       {spoil: func(_ *testing.T, _ string, m *manifest) { m.Keys[0].ID = "x" }, want: "the manifest names"},
		"no file":           {spoil: func(_ *testing.T, _ string, m *manifest) { m.Keys[0].File = "key-x.pem" }, want: "no such file"},
		"a link out of it": {spoil: func(t *testing.T, dir string, m *manifest) {
			t.Helper()
			from, to := filepath.Join(dir, m.Keys[0].File), filepath.Join(t.TempDir(), "key")
			if err := errors.Join(os.Rename(from, to), os.Symlink(to, from)); err != nil {
				t.Fatal(err)
			}
		}, want: "escapes"},
		"a named pipe": {spoil: func(t *testing.T, dir string, m *manifest) {
			t.Helper()
			at := filepath.Join(dir, m.Keys[0].File)
			if err := errors.Join(os.Remove(at), syscall.Mkfifo(at, 0o600)); err != nil {
				t.Fatal(err)
			}
		}, want: "not a regular file"},
		"a long manifest": {raw: strings.Repeat(" ", maxManifest+1), want: "longer than"},
	}
	for name, tt := range tests {
		dir := generated(t)
		raw := []byte(tt.raw)
		if tt.spoil != nil {
			entries, err := List(dir)
			if err != nil {
				t.Fatal(err)
			}
			m := &manifest{Version: format, Keys: entries}
			tt.spoil(t, dir, m)
			if raw, err = json.Marshal(m); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, manifestName), raw, 0o600); err != nil {
			t.Fatal(err)
		}
		if keys, err := Load(dir, start); err == nil || keys != nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v, %v, want %q", name, keys, err, tt.want)
		}
	}
	if _, err := Load(filepath.Join(t.TempDir(), "x"), start); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}

func TestStamp(t *testing.T) {
	t.Parallel()
	dir := generated(t)
	stamp := func() Stamp {
		t.Helper()
		s, err := StampOf(dir)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := stamp()
	if stamp() != first {
		t.Error("a folder that nobody changed has another stamp")
	}
	entries, err := List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]os.FileMode{"": 0o700, manifestName: 0o600, entries[0].File: 0o600} {
		path = filepath.Join(dir, path)
		for _, m := range []os.FileMode{mode | 0o044, mode} {
			if err := os.Chmod(path, m); err != nil {
				t.Fatal(err)
			}
			if (stamp() == first) != (m == mode) {
				t.Errorf("%s: the mode %#o is not seen, or seen where it is gone", path, m)
			}
		}
	}
	rotated(t, dir, Rotation{}, start)
	if stamp() == first {
		t.Error("a rotation leaves the stamp as it was")
	}
}

// Several operators at once: every rotation counts, and readers see whole folders only.
func TestConcurrentRotations(t *testing.T) {
	t.Parallel()
	dir := generated(t)
	var writers, readers sync.WaitGroup
	done := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, err := Load(dir, start); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 8 {
		writers.Go(func() {
			if _, err := Rotate(dir, Rotation{Wait: time.Minute, Overlap: time.Hour}, start); err != nil {
				t.Error(err)
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
	if n := len(states(t, dir, start)); n != 9 {
		t.Errorf("%d keys, want 9", n)
	}
}

// What an interrupted change left behind is in nobody's way.
func TestAfterACrash(t *testing.T) {
	t.Parallel()
	dir := generated(t)
	if err := os.WriteFile(filepath.Join(dir, manifestName+".new"), []byte(`{`), 0o600); err != nil {
		t.Fatal(err)
	}
	rotated(t, dir, Rotation{}, start)
	if _, err := Load(dir, start); err != nil {
		t.Error(err)
	}
}

func TestFolderIsBounded(t *testing.T) {
	t.Parallel()
	dir := generated(t)
	for range maxKeys - 1 {
		rotated(t, dir, Rotation{Overlap: time.Hour}, start)
	}
	if _, err := Rotate(dir, Rotation{Overlap: time.Hour}, start); err == nil {
		t.Errorf("more than %d keys", maxKeys)
	}
	if _, err := Load(dir, start); err != nil {
		t.Error(err)
	}
}

// Root rotates for a daemon of another user: the files belong to that user.
func TestFilesBelongToTheFoldersOwner(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	dir := generated(t)
	if err := os.Chown(dir, 1234, 1234); err != nil {
		t.Fatal(err)
	}
	e := rotated(t, dir, Rotation{}, start)
	for _, name := range []string{e.File, manifestName} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Sys().(*syscall.Stat_t).Uid != 1234 {
			t.Errorf("%s: %+v, %v", name, info.Sys(), err)
		}
	}
}
