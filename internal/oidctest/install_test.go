package oidctest

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/realmgate/realmgate/internal/need"
)

func TestInstallTwiceAtOnce(t *testing.T) {
	t.Parallel()
	script(t) // skips where npm cannot install
	npm, cache := need.Command(t, "npm"), t.TempDir()
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			modules, err := install(npm, cache)
			if err != nil {
				t.Errorf("install: %v", err)
				return
			}
			if _, err := os.Stat(filepath.Join(modules, "oidc-provider", "package.json")); err != nil {
				t.Errorf("install: %v", err)
			}
		})
	}
	wg.Wait()
	left, err := os.ReadDir(cache)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 1 {
		t.Errorf("got %v in the cache, want one folder", left)
	}
}
