package directory_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/host/directory"
)

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		cfg  directory.Config
		text string
	}{
		{directory.Config{}, `type is neither "sqlite" nor "postgres"`},
		{directory.Config{Type: "oracle"}, `type is neither "sqlite" nor "postgres"`},
		{directory.Config{Type: directory.TypeSQLite}, "path must not be empty"},
		{directory.Config{Type: directory.TypePostgres}, "dsn must not be empty"},
	} {
		_, err := directory.Open(t.Context(), tt.cfg)
		if !errors.Is(err, directory.ErrInvalid) || !strings.HasSuffix(err.Error(), tt.text) || strings.Count(err.Error(), "directory: ") != 1 {
			t.Errorf("%+v: %v", tt.cfg, err)
		}
	}
}

func TestSQLiteNewerDatabase(t *testing.T) {
	t.Parallel()
	cfg := directory.Config{Type: directory.TypeSQLite, Path: filepath.Join(t.TempDir(), "directory.db")}
	refusesNewer(t, cfg, "sqlite", func(c directory.Config) string { return c.Path })
}

func TestSQLiteOpenedTogether(t *testing.T) {
	t.Parallel()
	openTogether(t, sqliteConfig(t))
}

// refusesNewer opens a store that a later version has migrated.
func refusesNewer(t *testing.T, cfg directory.Config, driver string, name func(directory.Config) string) {
	t.Helper()
	d, err := directory.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open(driver, name(cfg))
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, true)")
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	_, err = directory.Open(t.Context(), cfg)
	if !errors.Is(err, directory.ErrNewerDatabase) || !strings.Contains(err.Error(), "version 99, this binary knows up to 2") {
		t.Errorf("%v", err)
	}
}

// openTogether opens an empty store from several sides at once: one migrates, the others wait for it.
func openTogether(t *testing.T, cfg directory.Config) {
	t.Helper()
	const n = 6
	errs := make(chan error, n)
	for range n {
		go func() {
			d, err := directory.Open(t.Context(), cfg)
			if err == nil {
				err = d.Close()
			}
			errs <- err
		}()
	}
	for range n {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}
