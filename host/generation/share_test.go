package generation_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/host/catalog"
	"github.com/realmgate/realmgate/host/generation"
	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/internal/buildtest"
)

// next builds a configuration beside what there is, on a set of the same plugins.
func (w *world) next(t *testing.T, hcl string) (*generation.Generation, *catalog.Set) {
	t.Helper()
	sources, err := catalog.Bundled(buildtest.Plugin(t))
	if err != nil {
		t.Fatal(err)
	}
	set := w.catalog.Prepare(t.Context(), sources)
	deps := w.Deps
	deps.Plugins = set
	gen, diags := generation.Build(t.Context(), load(t, hcl), deps)
	if err := diags.Err(); err != nil {
		t.Fatal(err)
	}
	return gen, set
}

// A configuration that is built beside another one makes the parts only that are not the same, and those whose secrets come
// from a store that is another one.
func TestSharedParts(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	for d, key := range map[string]string{dir: "k", other: "l"} {
		if err := os.Chmod(d, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(d, "key"), []byte(strings.Repeat(key, 40)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const hcl = `
secret_store "files" {
  type = "file"
  dir  = "DIR"
}
secret_store "aside" {
  type = "file"
  dir  = "DIR"
}
realm "a" {
  authentication {
    token_broker {
      type   = "symmetric-key"
      secret = "urn:realmgate-secret:files:key"
    }
  }
}
realm "b" {
  authentication {
    token_broker {
      type                 = "symmetric-key"
      secret               = "urn:realmgate-secret:aside:key"
      max_token_generation = "PT1H"
    }
  }
}
`
	first := strings.ReplaceAll(hcl, "DIR", dir)
	w := newWorld(t, nil)
	gen := w.build(t, first)
	instances := func() int { return w.catalog.Plugins()[0].Instances }
	before := instances()
	for name, tt := range map[string]struct {
		change func(string) string
		fresh  int
	}{
		"nothing":              {func(s string) string { return s }, 0},
		"settings":             {func(s string) string { return strings.Replace(s, "PT1H", "PT2H", 1) }, 1},
		"another realm":        {func(s string) string { return s + "realm \"c\" {}\n" }, 2},
		"a store and its part": {func(s string) string { return strings.Replace(s, dir, other, 1) }, 2},
		"a setting of all":     {func(s string) string { return "role_prefix = \"R:\"\n" + s }, before},
	} {
		g, set := w.next(t, tt.change(first))
		if n := instances() - before; n != tt.fresh {
			t.Errorf("%s: %d new instances, want %d", name, n, tt.fresh)
		}
		if len(set.Fresh()) != 0 || len(w.catalog.Plugins()) != 1 {
			t.Errorf("%s: a plugin was started: %v", name, set.Fresh())
		}
		g.Release(t.Context())
		set.Close(t.Context())
		if n := instances(); n != before {
			t.Errorf("%s: %d instances, had %d", name, n, before)
		}
	}
	token := w.token(t, gen, "a")
	changed, set := w.next(t, strings.Replace(first, dir, other, 1))
	if d := decide(t, changed, "a", token); d.Verdict != pipeline.Denied {
		t.Errorf("the old key counts in the new store: %v %v", d.Verdict, d.Err)
	}
	same, sameSet := w.next(t, first)
	changed.Release(t.Context())
	set.Close(t.Context())
	gen.Release(t.Context())
	w.Plugins.(*catalog.Set).Close(t.Context())
	if d := decide(t, same, "a", token); d.Verdict != pipeline.Allowed {
		t.Errorf("after the end of the one before: %v %v %v", d.Verdict, d.Denial, d.Err)
	}
	sameSet.Close(t.Context())
}
