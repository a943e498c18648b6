package reload

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWatcher(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, folder, absent := filepath.Join(dir, "file"), filepath.Join(dir, "folder"), filepath.Join(dir, "absent")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, file, "one")
	put(t, filepath.Join(folder, "a.hcl"), "one")
	var w watcher
	var turns uint64
	paths := []string{file, folder, absent, "", file}
	look := func(step string, want ...string) {
		t.Helper()
		if got := w.look(paths, turns); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", step, got, want)
		}
	}
	look("at first")
	look("nothing has changed")
	put(t, file, "two")
	look("it is being written")
	put(t, file, "three")
	look("it is still being written")
	look("it rests", file)
	look("once")
	put(t, filepath.Join(folder, "b.hcl"), "x")
	look("a file more")
	look("a file more rests", folder)
	put(t, filepath.Join(folder, "notes.txt"), "x")
	look("another kind of file")
	look("another kind of file, again")
	put(t, absent, "x")
	look("it comes to be")
	look("it has come to be", absent)
	if err := os.Remove(absent); err != nil {
		t.Fatal(err)
	}
	look("it goes")
	look("it is gone", absent)
	put(t, file, "four")
	put(t, file, "three")
	look("touched")
	look("touched, with the same content")
	turns += 2
	look("somebody has reloaded")
	put(t, file, "four")
	turns++
	put(t, file, "three")
	look("touched, while somebody reloads: what was there between may have been taken")
	turns++
	look("touched, while somebody reloaded, and rests", file)
	look("touched, while somebody reloaded, once")
	put(t, file, "four")
	look("written")
	put(t, file, "three")
	turns += 2
	look("as before, but somebody has reloaded meanwhile")
	look("as before, and rests", file)
	paths = append(paths, filepath.Join(dir, "more"))
	put(t, paths[len(paths)-1], "x")
	look("a path that is watched from now on")
	look("a path that is watched, again")

	// A link that is moved to a file of the same size and time, as a secret of an orchestrator is.
	other := filepath.Join(dir, "other")
	put(t, other, "THREE")
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(other, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(other, file); err != nil {
		t.Fatal(err)
	}
	look("swapped")
	look("swapped, and rests", file)
}
