package directory

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations
var migrations embed.FS

// migrate brings the tables up to the newest version that the binary knows, one transaction per step.
//
// SQLite has no lock that spans steps. Of two processes that open an empty file at the same time one fails because the
// other was faster, and finds the work done, or less to do, when it looks again.
func (d dialect) migrate(ctx context.Context, db *sql.DB) (err error) {
	for range 3 {
		if err = d.migrateOnce(ctx, db); err == nil || d.locker || errors.Is(err, ErrNewerDatabase) {
			return err
		}
	}
	return err
}

func (d dialect) migrateOnce(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(migrations, d.migrations)
	if err != nil {
		return err
	}
	opts := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	if d.locker {
		l, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return err
		}
		opts = append(opts, goose.WithSessionLocker(l))
	}
	p, err := goose.NewProvider(d.goose, db, files, opts...)
	if err != nil {
		return err
	}
	has, knows, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the database's version: %w", err)
	}
	if has > knows {
		return fmt.Errorf("%w: it is at version %d, this binary knows up to %d", ErrNewerDatabase, has, knows)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}
