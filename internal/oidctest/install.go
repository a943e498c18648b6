package oidctest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/realmgate/realmgate/internal/need"
)

//go:embed provider/package.json provider/package-lock.json provider/provider.mjs
var files embed.FS

const installTimeout = 3 * time.Minute

// script puts the provider's program beside its installed modules, in a folder of the test, and gives its path.
func script(t testing.TB) string {
	t.Helper()
	npm := need.Command(t, "npm")
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatalf("oidctest: no cache folder: %v", err)
	}
	modules, err := install(npm, filepath.Join(cache, "realmgate", "oidctest"))
	if err != nil {
		need.Missing(t, "oidctest: npm cannot install oidc-provider: %v", err)
	}
	dir := t.TempDir()
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatalf("oidctest: %v", err)
	}
	program, err := files.ReadFile("provider/provider.mjs")
	if err != nil {
		t.Fatalf("oidctest: %v", err)
	}
	path := filepath.Join(dir, "provider.mjs")
	if err := os.WriteFile(path, program, 0o600); err != nil {
		t.Fatalf("oidctest: %v", err)
	}
	return path
}

// install gives the folder of the modules that the lock file names. The folder's name is the lock file's hash and it
// appears whole, by a rename: test binaries that install at the same time each do the work, and the first one's counts.
func install(npm, cache string) (modules string, err error) {
	lock, err := files.ReadFile("provider/package-lock.json")
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(lock)
	target := filepath.Join(cache, hex.EncodeToString(sum[:8]))
	modules = filepath.Join(target, "node_modules")
	if _, err := os.Stat(modules); err == nil {
		return modules, nil
	}
	if err := os.MkdirAll(cache, 0o750); err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(cache, "install-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	for _, name := range []string{"package.json", "package-lock.json"} {
		content, err := files.ReadFile("provider/" + name)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(work, name), content, 0o600); err != nil {
			return "", err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), installTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = work
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci: %w: %s", err, bytes.TrimSpace(out))
	}
	if err := os.Rename(work, target); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return modules, nil
}
