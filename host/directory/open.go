package directory

import (
	"context"
	"crypto/subtle"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// The types of store.
const (
	TypeSQLite   = "sqlite"
	TypePostgres = "postgres"
)

// Config says where the directory is kept.
type Config struct {
	Type string           // TypeSQLite or TypePostgres
	Path string           // the SQLite file; made with mode 0600 if missing, its folder with 0700
	DSN  string           // the PostgreSQL connection string or URL
	Now  func() time.Time // time.Now without it
}

// Directory is an open directory. It is safe for concurrent use.
type Directory struct {
	read, write *sql.DB // the same pool with PostgreSQL
	dialect     dialect
	now         func() time.Time
	stmt        statements
	epochs      epochs
	loading     sync.Mutex                // held while the epochs are read
	loaded      atomic.Pointer[time.Time] // when the epochs were last read
	followed    atomic.Bool               // Refresh was called
	cache       cache
	equal       func(x, y []byte) int // constant time; a test counts its calls
}

// Open opens the store, brings its tables up to date and loads the epochs. A database that a newer binary has migrated
// is refused with [ErrNewerDatabase]. No error repeats a password of the DSN.
func Open(ctx context.Context, cfg Config) (_ *Directory, err error) {
	defer wrap(&err, "open the %s store", cfg.Type)
	d := &Directory{now: cfg.Now, cache: newCache(), equal: subtle.ConstantTimeCompare}
	if d.now == nil {
		d.now = time.Now
	}
	defer func() {
		if err != nil {
			_ = d.Close()
		}
	}()
	switch cfg.Type {
	case TypeSQLite:
		d.dialect = sqliteDialect
		d.read, d.write, err = openSQLite(cfg.Path)
	case TypePostgres:
		d.dialect = postgresDialect
		d.read, err = openPostgres(cfg.DSN)
		d.write = d.read
	default:
		err = &InvalidError{"type", fmt.Sprintf("is neither %q nor %q", TypeSQLite, TypePostgres)}
	}
	if err != nil {
		return nil, err
	}
	if err := d.write.PingContext(ctx); err != nil {
		return nil, err
	}
	if err := d.dialect.migrate(ctx, d.write); err != nil {
		return nil, err
	}
	if d.stmt, err = prepare(ctx, d.read, d.dialect); err != nil {
		return nil, err
	}
	if err := d.loadEpochs(ctx); err != nil {
		return nil, err
	}
	return d, nil
}

// Close closes the store; calls that are under way fail.
func (d *Directory) Close() error {
	errs := []error{d.stmt.close()}
	for _, db := range []*sql.DB{d.read, d.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	err := errors.Join(errs...)
	wrap(&err, "close")
	return err
}

// Ping says whether the store answers.
func (d *Directory) Ping(ctx context.Context) (err error) {
	defer wrap(&err, "ping")
	var one int
	return d.read.QueryRowContext(ctx, "SELECT 1").Scan(&one)
}

// clock gives the present as it is kept: UTC, in whole microseconds.
func (d *Directory) clock() time.Time { return fromStored(toStored(d.now())) }

func toStored(t time.Time) int64 { return t.UnixMicro() }

func fromStored(us int64) time.Time { return time.UnixMicro(us).UTC() }
