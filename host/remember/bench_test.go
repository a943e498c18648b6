package remember

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/maypok86/otter/v2"

	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/sdk"
)

// BenchmarkDecide is a decision that is remembered, beside one that the plan makes of legs that do nothing, which is the least
// that an uncached one can cost.
func BenchmarkDecide(b *testing.B) {
	w := newWorld()
	w.Memory = newMemory(Limits{Allowed: 8 << 20, Denied: 1 << 20}, w.epochs, clock())
	p := w.plan(b, "a", &leg{}, w.Section())
	r := bearer(string(make([]byte, 900))) // a usual length of a JWT
	for _, way := range []struct {
		name   string
		decide func(context.Context, sdk.Request) pipeline.Decision
	}{{"remembered", p.Decide}, {"anew", p.DecideAnew}} {
		b.Run(way.name, func(b *testing.B) {
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				if d := way.decide(ctx, r); d.Verdict != pipeline.Allowed {
					b.Fatal(d)
				}
			}
		})
	}
}

func BenchmarkKey(b *testing.B) {
	k := newKeys()
	for _, n := range []int{32, 900, 8 << 10} {
		r := bearer(string(make([]byte, n)))
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				k.of(1, "realm", r)
			}
		})
	}
}

// BenchmarkCaches compares the cache that is used with a plain list of the least recently used, under what a daemon sees: many
// callers, of whose tokens a few are asked about most of the time, beside tokens that come once. hits says how much it keeps of
// what comes again.
func BenchmarkCaches(b *testing.B) {
	const size, hot = 10_000, 8_000
	keys := make([]key, 1<<18)
	k := newKeys()
	for i := range keys {
		keys[i] = k.of(1, "r", bearer(fmt.Sprint(i)))
	}
	e := &entry{}
	list, err := lru.New[key, *entry](size)
	if err != nil {
		b.Fatal(err)
	}
	used := otter.Must(&otter.Options[key, *entry]{MaximumWeight: size, Weigher: func(key, *entry) uint32 { return 1 }})
	for _, c := range []struct {
		name string
		get  func(key) bool
		set  func(key)
	}{
		{"otter", func(k key) bool { _, ok := used.GetIfPresent(k); return ok }, func(k key) { used.Set(k, e) }},
		{"golang-lru", func(k key) bool { _, ok := list.Get(k); return ok }, func(k key) { list.Add(k, e) }},
	} {
		for _, once := range []int{0, 80} { // percent of tokens that come once
			b.Run(fmt.Sprintf("%s/once=%d%%", c.name, once), func(b *testing.B) {
				var hits, asked, turn atomic.Int64
				for i := range 20 * hot { // what comes again has been seen before
					if k := keys[i%hot]; !c.get(k) {
						c.set(k)
					}
				}
				b.SetParallelism(32)
				b.ResetTimer()
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					n := int(turn.Add(1)) * 7919
					got, all := int64(0), int64(0)
					for pb.Next() {
						n++
						if n%100 < once {
							k := keys[hot+n%(len(keys)-hot)]
							if !c.get(k) {
								c.set(k)
							}
							continue
						}
						all++
						if k := keys[(n*31)%hot]; c.get(k) {
							got++
						} else {
							c.set(k)
						}
					}
					hits.Add(got)
					asked.Add(all)
				})
				b.ReportMetric(100*float64(hits.Load())/float64(max(1, asked.Load())), "hits%")
			})
		}
	}
}
