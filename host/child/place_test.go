package child

import (
	"io/fs"
	"os"
	"strings"
	"testing"
)

// TestPlaceIsRemoved: what clears the system's directory for temporary files keeps no plugin from being started, and the
// place is known again as that of a host that lives.
func TestPlaceIsRemoved(t *testing.T) {
	t.Parallel()
	n := newNursery(t)
	i := load(t, program(t, "good"))
	before := n.start(t, i)
	if err := os.RemoveAll(n.place.path); err != nil {
		t.Fatal(err)
	}
	answers(t, before)
	for range 2 {
		answers(t, n.start(t, i))
	}
	if info, err := os.Stat(n.place.path); err != nil || info.Mode() != fs.ModeDir|0o700 {
		t.Errorf("%v %v", info, err)
	}
	if got := stale(n.base); len(got) != 0 {
		t.Errorf("the place is taken for one that a host left: %v", got)
	}
	if log := n.log.String(); strings.Count(log, "is made again") != 1 {
		t.Error("the log does not say once that it was removed")
	}
}

// TestPlaceIsTaken: a place that is somebody else's now is not used.
func TestPlaceIsTaken(t *testing.T) {
	t.Parallel()
	for name, target := range map[string]string{"nowhere": "/nonexistent", "elsewhere": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNursery(t)
			if err := os.RemoveAll(n.place.path); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(target, n.place.path); err != nil {
				t.Fatal(err)
			}
			if _, err := n.try(t, load(t, program(t, "good"))); err == nil || !strings.Contains(err.Error(), "no longer the daemon's own") {
				t.Errorf("%v", err)
			}
		})
	}
}
