package directory_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/host/directory/directorytest"
)

func sqliteConfig(tb testing.TB) directory.Config {
	return directory.Config{Type: directory.TypeSQLite, Path: filepath.Join(tb.TempDir(), "a", "b? #%41", "directory.db")}
}

func TestSQLite(t *testing.T) {
	t.Parallel()
	directorytest.Run(t, sqliteConfig)
}

func TestSQLiteFilesAreTheOwners(t *testing.T) {
	t.Parallel()
	cfg := sqliteConfig(t)
	d, err := directory.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	if err := d.MoveEpoch(t.Context(), "r"); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(filepath.Dir(cfg.Path), "*"))
	if err != nil || len(files) != 3 {
		t.Fatal(files, err) // the database, its journal and the journal's index
	}
	for _, f := range append(files, filepath.Dir(cfg.Path), filepath.Dir(filepath.Dir(cfg.Path))) {
		fi, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		if fi.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", f, fi.Mode())
		}
	}
}
