package directory

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

var sqliteDialect = dialect{
	goose:      goose.DialectSQLite3,
	migrations: "migrations/sqlite",
	nameArray:  "json_group_array(r.name)",
}

// openSQLite gives a pool of readers, and a pool of the one writer that SQLite allows: waiting for a connection in Go is
// fair, waiting for the file's lock is not.
func openSQLite(path string) (read, write *sql.DB, err error) {
	if path == "" {
		return nil, nil, &InvalidError{"path", "must not be empty"}
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, nil, err
	}
	// SQLite gives its journal files the mode of the database, and the database the mode that the umask leaves.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, nil, err
	}
	if err := f.Close(); err != nil {
		return nil, nil, err
	}
	if write, err = sql.Open("sqlite", sqliteDSN(path, "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)")); err != nil {
		return nil, nil, err
	}
	write.SetMaxOpenConns(1)
	if read, err = sql.Open("sqlite", sqliteDSN(path, "query_only(1)")); err != nil {
		return nil, nil, errors.Join(err, write.Close())
	}
	read.SetMaxOpenConns(max(4, runtime.GOMAXPROCS(0)))
	read.SetMaxIdleConns(max(4, runtime.GOMAXPROCS(0)))
	return read, write, nil
}

// sqliteDSN asks for transactions that lock for writing when they begin: one that upgrades later may fail at once.
func sqliteDSN(path string, pragmas ...string) string {
	q := url.Values{"_txlock": {"immediate"}, "_pragma": append([]string{fmt.Sprintf("busy_timeout(%d)", 10_000)}, pragmas...)}
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: q.Encode()}
	return u.String()
}
