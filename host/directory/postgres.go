package directory

import (
	"database/sql"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

var postgresDialect = dialect{
	goose:      goose.DialectPostgres,
	migrations: "migrations/postgres",
	numbered:   true,
	nameArray:  "coalesce(json_agg(r.name)::text, '[]')",
	locker:     true,
}

func openPostgres(dsn string) (*sql.DB, error) {
	if dsn == "" {
		return nil, &InvalidError{"dsn", "must not be empty"}
	}
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, &InvalidError{"dsn", "is not a PostgreSQL connection string"} // pgx's own words may show parts of it
	}
	db := stdlib.OpenDB(*cfg)
	db.SetMaxOpenConns(16)
	db.SetMaxIdleConns(16)
	db.SetConnMaxLifetime(30 * time.Minute) // follows a change of the address behind a name
	return db, nil
}
