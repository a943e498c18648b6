package secrets

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

func sealedSettings(t testing.TB) SealedSettings {
	t.Helper()
	base := t.TempDir()
	return SealedSettings{Dir: filepath.Join(base, "secrets"), KeyFile: filepath.Join(base, "keys", "secrets.key")}
}

func openSealed(t testing.TB, name string, s SealedSettings) *Sealed {
	t.Helper()
	x, err := NewSealed(t.Context(), sdk.Setup{Store: name}, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	return x
}

func write(t testing.TB, s *Sealed, text, value string) string {
	t.Helper()
	v, err := s.WriteSecret(t.Context(), ref(t, text), []byte(value))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// wantSealed resolves a reference; want starting with ! is a part of the error.
func wantSealed(t testing.TB, s *Sealed, text, want string) {
	t.Helper()
	v, err := s.Resolve(t.Context(), ref(t, text))
	part, fails := strings.CutPrefix(want, "!")
	switch {
	case !fails && (err != nil || string(v.Reveal()) != want):
		t.Errorf("%s: %q, %v, want %q", text, v.Reveal(), err, want)
	case fails && (err == nil || !strings.Contains(err.Error(), part)):
		t.Errorf("%s: %v, want %q", text, err, part)
	case fails && (sdk.AsDenial(err) != nil || len(v.Reveal()) > 0):
		t.Errorf("%s: %q with %v", text, v.Reveal(), err)
	}
}

func fileOf(s *Sealed, path string) string {
	return filepath.Join(s.settings.Dir, fileName(s.store, path))
}

func TestSealedVersions(t *testing.T) {
	t.Parallel()
	settings := sealedSettings(t)
	s := openSealed(t, "store", settings)
	wantSealed(t, s, "demo/x", "!no such secret")
	for n := 1; n <= 12; n++ {
		if v := write(t, s, "demo/x", fmt.Sprint("value ", n)); v != fmt.Sprint(n) {
			t.Errorf("version %s, want %d", v, n)
		}
	}
	wantSealed(t, s, "demo/x", "value 12")
	wantSealed(t, s, "demo/x?=version=12", "value 12")
	wantSealed(t, s, "demo/x?=version=3", "value 3")
	wantSealed(t, s, "demo/x?=version=2", "!versions 3 to 12 are kept")
	wantSealed(t, s, "demo/x?=version=13", "!no version 13")
	wantSealed(t, s, "demo/x?=version=03", "!no version 03")
	if v, err := s.Resolve(t.Context(), ref(t, "demo/x?=version=3")); err != nil || v.Version != "3" {
		t.Errorf("version %q, %v", v.Version, err)
	}
	again := openSealed(t, "store", settings)
	wantSealed(t, again, "demo/x", "value 12")
	for range 2 {
		if err := again.DeleteSecret(t.Context(), ref(t, "demo/x")); err != nil {
			t.Error(err)
		}
	}
	wantSealed(t, s, "demo/x", "!no such secret")
	wantSealed(t, s, "demo/x?=version=12", "!no such secret")
	if v := write(t, s, "demo/x", ""); v != "1" {
		t.Errorf("version %s after the deletion", v)
	}
	wantSealed(t, s, "demo/x", "")
}

func TestSealedBounds(t *testing.T) {
	t.Parallel()
	s := openSealed(t, "store", sealedSettings(t))
	write(t, s, "binary", "\x00\xff\n")
	long := strings.Repeat("x/", 1900) + "x"
	write(t, s, long, "deep")
	write(t, s, "A", "upper")
	write(t, s, "a", "lower")
	for text, want := range map[string]string{
		"binary": "\x00\xff\n",
		long:     "deep", "A": "upper", "a": "lower",
	} {
		wantSealed(t, s, text, want)
	}
	if _, err := s.WriteSecret(t.Context(), ref(t, "long"), make([]byte, maxSecret+1)); err == nil {
		t.Error("a secret without a bound is taken")
	}
	if _, err := s.WriteSecret(t.Context(), ref(t, "long"), bytes.Repeat([]byte{'x'}, maxSecret)); err != nil {
		t.Error(err)
	}
	other, err := sdk.ParseSecretRef("urn:realmgate-secret:other:binary")
	if err != nil {
		t.Fatal(err)
	}
	_, err1 := s.Resolve(t.Context(), other)
	_, err2 := s.WriteSecret(t.Context(), other, nil)
	for _, err := range []error{err1, err2, s.DeleteSecret(t.Context(), other)} {
		if err == nil || !strings.Contains(err.Error(), "another store") {
			t.Errorf("a reference of another store: %v", err)
		}
	}
}

// Nothing on the disk says what is sealed, and nothing there lies outside of the folder or is open to others.
func TestSealedOnDisk(t *testing.T) {
	t.Parallel()
	settings := sealedSettings(t)
	s := openSealed(t, "store", settings)
	write(t, s, "demo/x", "hunter2-hunter2-hunter2")
	write(t, s, "demo/x", "hunter2-hunter2-hunter2")
	base := filepath.Dir(settings.Dir)
	files := 0
	err := filepath.Walk(base, func(path string, info os.FileInfo, err error) error {
		if err != nil || path == base {
			return err
		}
		want := os.FileMode(0o600)
		if info.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has the mode %v", path, info.Mode())
		}
		if !info.IsDir() {
			files++
			raw, err := os.ReadFile(path)
			if err != nil || bytes.Contains(raw, []byte("hunter2")) || bytes.Contains(raw, []byte(base64.StdEncoding.EncodeToString([]byte("hunter2-hunter2-"))[:16])) {
				t.Errorf("%s holds the secret: %v", path, err)
			}
		}
		return nil
	})
	if err != nil || files != 4 { // the value, the header, the lock, the key
		t.Errorf("%d files, %v", files, err)
	}
	doc, err := s.folder.load(fileName("store", "demo/x"))
	if err != nil || bytes.Equal(doc.Versions[0].Box, doc.Versions[1].Box) {
		t.Errorf("the same value is sealed the same way twice: %v", err)
	}
}

// Two stores that share folder and key have nothing else in common.
func TestSealedStoresAreApart(t *testing.T) {
	t.Parallel()
	settings := sealedSettings(t)
	a, b := openSealed(t, "store", settings), openSealed(t, "other", settings)
	write(t, a, "demo/x", "of the first")
	inB, err := sdk.ParseSecretRef("urn:realmgate-secret:other:demo/x")
	if err != nil {
		t.Fatal(err)
	}
	if v, err := b.Resolve(t.Context(), inB); err == nil {
		t.Errorf("the other store gives %q", v.Reveal())
	}
	if _, err := b.WriteSecret(t.Context(), inB, []byte("of the second")); err != nil {
		t.Fatal(err)
	}
	wantSealed(t, a, "demo/x", "of the first")
	if err := b.DeleteSecret(t.Context(), inB); err != nil {
		t.Error(err)
	}
	wantSealed(t, a, "demo/x", "of the first")
	// Not even with the other's file in the right place.
	if _, err := b.WriteSecret(t.Context(), inB, []byte("of the second")); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(fileOf(b, "demo/x"))
	if err != nil {
		t.Fatal(err)
	}
	put(t, fileOf(a, "demo/x"), string(raw), 0o600)
	wantSealed(t, a, "demo/x", "!another secret")
	put(t, fileOf(a, "demo/x"), strings.Replace(string(raw), `"other"`, `"store"`, 1), 0o600)
	wantSealed(t, a, "demo/x", "!does not open")
}

func TestSealedTampering(t *testing.T) {
	t.Parallel()
	s := openSealed(t, "store", sealedSettings(t))
	write(t, s, "x", "old")
	write(t, s, "x", "new")
	write(t, s, "y", "other")
	at := fileOf(s, "x")
	read := func(path string) string {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	good, other := read(at), read(fileOf(s, "y"))
	doc, err := parseDocument([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	box := func(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
	first, second := box(doc.Versions[0].Box), box(doc.Versions[1].Box)
	for name, tt := range map[string]struct{ content, want string }{
		"as it was":                   {good, "new"},
		"another secret's":            {other, "!another secret"},
		"another secret's, renamed":   {strings.Replace(other, `"path": "y"`, `"path": "x"`, 1), "!does not open"},
		"the older value as the new":  {strings.Replace(good, second, first, 1), "!does not open"},
		"another key's":               {strings.ReplaceAll(good, doc.Versions[1].Key, "0123456789abcdef"), "!sealed with the key"},
		"another format":              {strings.Replace(good, `"format": 1`, `"format": 2`, 1), "!format 2"},
		"an unknown member":           {strings.Replace(good, `"format": 1`, `"format": 1, "x": 1`, 1), "!damaged"},
		"renumbered":                  {strings.NewReplacer(`"version": 1`, `"version": 2`, `"version": 2`, `"version": 3`).Replace(good), "!does not open"},
		"with a gap":                  {strings.Replace(good, `"version": 2`, `"version": 4`, 1), "!damaged"},
		"without versions":            {`{"format":1,"store":"store","path":"x","versions":[]}`, "!damaged"},
		"a box that is too short":     {strings.Replace(good, second, box(doc.Versions[1].Box[:20]), 1), "!damaged"},
		"empty":                       {"", "!damaged"},
		"with text behind it":         {good + "{}", "!damaged"},
		"longer than any document is": {good + strings.Repeat(" ", maxDocument), "!longer than"},
	} {
		put(t, at, tt.content, 0o600)
		wantSealed(t, s, "x", tt.want)
		if t.Failed() {
			t.Fatal(name)
		}
	}
	for n := 0; n < len(good); n += 7 {
		put(t, at, good[:n], 0o600)
		wantSealed(t, s, "x", "!damaged")
	}
	for n := range doc.Versions[1].Box {
		flipped := bytes.Clone(doc.Versions[1].Box)
		flipped[n] ^= 1
		put(t, at, strings.Replace(good, second, box(flipped), 1), 0o600)
		wantSealed(t, s, "x", "!does not open")
	}
	put(t, at, other, 0o600)
	if _, err := s.WriteSecret(t.Context(), ref(t, "x"), []byte("newer")); err == nil {
		t.Error("a write goes over a file that is not this secret's")
	}
	if err := s.DeleteSecret(t.Context(), ref(t, "x")); err != nil {
		t.Errorf("what is damaged cannot be deleted: %v", err)
	}
}

func TestSealedFolderIsPrivate(t *testing.T) {
	t.Parallel()
	s := openSealed(t, "store", sealedSettings(t))
	write(t, s, "x", "value")
	dir := s.settings.Dir
	for _, mode := range []os.FileMode{0o750, 0o705, 0o720, 0o701} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		wantSealed(t, s, "x", "!"+fmt.Sprintf("%#o", mode))
		if _, err := s.WriteSecret(t.Context(), ref(t, "x"), nil); err == nil {
			t.Errorf("%v: written", mode)
		}
		if err := s.DeleteSecret(t.Context(), ref(t, "x")); err == nil {
			t.Errorf("%v: deleted", mode)
		}
		if _, err := NewSealed(t.Context(), sdk.Setup{Store: "store"}, s.settings); err == nil || sdk.Problems(err)[0].Path != "/dir" {
			t.Errorf("%v: opened, %v", mode, err)
		}
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(fileOf(s, "x"), 0o644); err != nil {
		t.Fatal(err)
	}
	wantSealed(t, s, "x", "!0644")
}

func TestSealedFollowsNoLink(t *testing.T) {
	t.Parallel()
	s := openSealed(t, "store", sealedSettings(t))
	write(t, s, "x", "value")
	write(t, s, "y", "other")
	outside := filepath.Join(t.TempDir(), "outside")
	raw, err := os.ReadFile(fileOf(s, "x"))
	if err != nil {
		t.Fatal(err)
	}
	put(t, outside, string(raw), 0o600)
	for _, target := range []string{outside, fileName("store", "y"), "nowhere"} {
		if err := errors.Join(os.Remove(fileOf(s, "x")), os.Symlink(target, fileOf(s, "x"))); err != nil {
			t.Fatal(err)
		}
		wantSealed(t, s, "x", "!not a regular file")
		if _, err := s.WriteSecret(t.Context(), ref(t, "x"), []byte("new")); err == nil {
			t.Errorf("written through a link to %s", target)
		}
	}
	if now, err := os.ReadFile(outside); err != nil || !bytes.Equal(now, raw) {
		t.Errorf("the file outside was changed: %v", err)
	}
	lock := filepath.Join(s.settings.Dir, lockFile)
	if err := errors.Join(os.Remove(lock), os.Symlink(outside, lock)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.WriteSecret(t.Context(), ref(t, "z"), nil); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a link as the lock: %v", err)
	}
}

func TestSealedConcurrentWrites(t *testing.T) {
	t.Parallel()
	settings := sealedSettings(t)
	stores := []*Sealed{openSealed(t, "store", settings), openSealed(t, "store", settings)}
	write(t, stores[0], "x", "0")
	const each = 8
	var wg sync.WaitGroup
	seen := make(chan string, 2*each)
	for _, s := range stores {
		for range each {
			wg.Go(func() {
				v, err := s.WriteSecret(t.Context(), ref(t, "x"), []byte("value"))
				if err != nil {
					t.Error(err)
				}
				seen <- v
			})
			wg.Go(func() {
				if _, err := s.Resolve(t.Context(), ref(t, "x")); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	close(seen)
	versions := map[string]bool{}
	for v := range seen {
		versions[v] = true
	}
	if len(versions) != 2*each {
		t.Errorf("%d versions of %d writes", len(versions), 2*each)
	}
	ctx, cancel := context.WithCancel(t.Context())
	unlock, err := stores[0].folder.lock(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	for _, s := range stores {
		if _, err := s.WriteSecret(ctx, ref(t, "x"), nil); !errors.Is(err, context.Canceled) {
			t.Errorf("a write that waits for the lock and is given up: %v", err)
		}
	}
	unlock()
	write(t, stores[1], "x", "after")
}

// logged gives a context whose log is kept.
func logged(t testing.TB) (context.Context, *bytes.Buffer) {
	var b bytes.Buffer
	return sdk.WithLogger(t.Context(), slog.New(slog.NewTextHandler(&b, nil))), &b
}
