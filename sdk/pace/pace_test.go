package pace

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

func TestPercentFor(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int{
		0: 700, 1 << 20: 700, 4 << 20: 700, 8 << 20: 300, 12 << 20: 160, 16 << 20: 100, 32 << 20: 100, 1 << 30: 100,
	} {
		if got := percentFor(live); got != want {
			t.Errorf("%d MiB: %d%%, want %d%%", live>>20, got, want)
		}
		if goal := max(live+live*uint64(want)/100, leastHeap*uint64(want)/100); live < lowHeap/2 && goal > lowHeap {
			t.Errorf("%d MiB: collected at %d only", live>>20, goal)
		}
	}
}

var ballast []byte

// The pace follows the heap: a small one is collected seldom, a large one as usual.
func TestPaceFollows(t *testing.T) {
	t.Setenv("GOGC", "")
	defer debug.SetGCPercent(debug.SetGCPercent(usualPercent))
	Follow()
	set := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	percent := func() int {
		metrics.Read(set)
		return int(set[0].Value.Uint64())
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
