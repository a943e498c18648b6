package pace

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// lowHeap is how large a heap may become before garbage is collected, whatever lives in it.
	lowHeap = 32 << 20
	// usualPercent is Go's own: as much garbage as what lives.
	usualPercent = 100
	// leastHeap is what Go takes a heap to have at least: at GOGC=100 it never collects before there are 4 MiB, and at n times
	// that not before n times as much.
	leastHeap = 4 << 20
)

// Follow keeps the collector of a process that has little from running all the time: by Go's own measure one with 3 MB to
// keep collects after 3 MB of garbage, which is some hundred decisions. A larger heap is collected as ever, and so is one that
// comes near its memory limit. Who sets GOGC decides instead. It is called once in a process, by what serves in it.
func Follow() {
	if os.Getenv("GOGC") != "" {
		return
	}
	p := &pace{percent: usualPercent, live: []metrics.Sample{{Name: "/gc/heap/live:bytes"}}}
	p.adjust()
}

// pace is adjusted after each collection.
type pace struct {
	percent int
	live    []metrics.Sample
}

// mark is garbage whose collection tells of a collection.
type mark struct{ p *pace }

func (p *pace) adjust() {
	metrics.Read(p.live)
	if want := percentFor(p.live[0].Value.Uint64()); want != p.percent {
		p.percent = want
		debug.SetGCPercent(want)
	}
	runtime.SetFinalizer(&mark{p}, func(m *mark) { m.p.adjust() })
}

// percentFor gives the percentage (GOGC) with which a heap of which so much lives grows to lowHeap, in steps of ten.
func percentFor(live uint64) int {
	live = max(live, leastHeap)
	if live >= lowHeap/2 {
		return usualPercent
	}
	return int(lowHeap-live) * 10 / int(live) * 10
}
