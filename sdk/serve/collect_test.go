package serve

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestPercentFor(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int{
		0: 3100, 1 << 20: 3100, 4 << 20: 700, 8 << 20: 300, 12 << 20: 160, 16 << 20: 100, 32 << 20: 100, 1 << 30: 100,
	} {
		if got := percentFor(live); got != want {
			t.Errorf("%d MiB: %d%%, want %d%%", live>>20, got, want)
		}
	}
}

var ballast []byte

// The pace follows the heap: a small one is collected seldom, a large one as usual.
func TestPaceFollows(t *testing.T) {
	t.Setenv("GOGC", "")
	defer debug.SetGCPercent(debug.SetGCPercent(usualPercent))
	collectLess()
	percent := func() int {
		p := debug.SetGCPercent(usualPercent) // there is no other way to read it
		debug.SetGCPercent(p)
		return p
	}
	reaches := func(what string, good func(int) bool) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); !good(percent()); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %d%%", what, percent())
			}
			runtime.GC()
		}
	}
	reaches("a small heap", func(p int) bool { return p > usualPercent })
	ballast = make([]byte, 2*lowHeap)
	reaches("a large heap", func(p int) bool { return p == usualPercent })
	ballast = nil
	reaches("a small heap again", func(p int) bool { return p > usualPercent })
}
