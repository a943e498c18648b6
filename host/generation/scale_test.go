package generation_test

import (
	"os"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/host/catalog"
	"github.com/realmgate/realmgate/host/config"
	"github.com/realmgate/realmgate/host/generation"
	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/internal/manyrealms"
	"github.com/realmgate/realmgate/sdk"
)

// nowhere is a provider that nobody asks.
const nowhere = "http://127.0.0.1:1"

// BenchmarkManyRealms is about ten thousand realms of five shapes, with a real plugin process: how long it takes to read them, to
// build them from nothing, and to build them beside what serves with one realm changed. A decision in one of them is beside one
// with no other realm there, which it is to be compared with.
func BenchmarkManyRealms(b *testing.B) {
	const realms = 10000
	dir := b.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		b.Fatal(err)
	}
	if err := manyrealms.WriteKeys(dir, realms); err != nil {
		b.Fatal(err)
	}
	text := manyrealms.Head(dir) + manyrealms.Realms(realms, nowhere)
	cfg := load(b, text)
	changed := load(b, strings.Replace(text, `timeout = "5s"`, `timeout = "4s"`, 1))
	one := load(b, manyrealms.Head(dir)+manyrealms.Realm(0, nowhere))
	w := newWorld(b, nil)
	first := w.Plugins.(*catalog.Set)
	alone := build(b, w.Deps, one)
	token := w.token(b, alone, manyrealms.Name(0))
	b.Run("decision of one", decisions(alone, token))
	alone.Release(b.Context())

	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			load(b, text)
		}
	})
	b.Run("build", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			gen := build(b, w.Deps, cfg)
			b.StopTimer()
			gen.Release(b.Context())
			b.StartTimer()
		}
	})
	gen := build(b, w.Deps, cfg)
	first.Activate()
	b.Run("build with one changed", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			deps := w.Deps
			set := first.Again(b.Context())
			deps.Plugins, deps.Former = set, gen
			next := build(b, deps, changed)
			if got := config.Diff(cfg, changed, nil); len(got) != 1 {
				b.Fatalf("%d blocks differ", len(got))
			}
			b.StopTimer()
			next.Release(b.Context())
			set.Close(b.Context())
			b.StartTimer()
		}
	})
	b.Run("decision of ten thousand", decisions(gen, token))
}

func build(b *testing.B, deps generation.Deps, cfg *config.Config) *generation.Generation {
	b.Helper()
	gen, diags := generation.Build(b.Context(), cfg, deps)
	if len(diags) > 0 {
		b.Fatal(diags[0])
	}
	return gen
}

// decisions makes decisions on a token of the first realm, one after the other.
func decisions(gen *generation.Generation, token string) func(*testing.B) {
	return func(b *testing.B) {
		p, err := gen.Plan(manyrealms.Name(0))
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if d := p.Decide(b.Context(), sdk.Request{Scheme: "bearer", Token: token}); d.Verdict != pipeline.Allowed {
				b.Fatal(d.Verdict, d.Denial, d.Err)
			}
		}
	}
}
