package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/realmgate/realmgate/sdk"
)

// connectTimeout bounds a connection to a server that does not answer at all.
const connectTimeout = 5 * time.Second

type settings struct {
	URL            string        `json:"url" doc:"address of the database, postgres://user@host:port/database, without a password; sslmode is verify-full unless it says otherwise"`
	Password       sdk.SecretRef `json:"password" doc:"reference to the user's password in a secret store"`
	Query          string        `json:"query" doc:"one SELECT of id (text), name (text), enabled (boolean), roles (text[]); $1 is the principal's id, $2 its name, $3 the realm, as text, empty where not known"`
	MaxConnections int32         `json:"max_connections" default:"4" doc:"most connections of one realm, 1 to 100"`
	CacheFor       sdk.Duration  `json:"cache_for" default:"PT5S" doc:"how long an answer may be remembered; PT0S: not at all"`
}

type authenticator struct {
	pool     *pgxpool.Pool
	query    string
	cacheFor time.Duration
}

// newAuthenticator opens no connection and asks for no secret: Check does, and then each call that needs a connection.
func newAuthenticator(ctx context.Context, _ sdk.Setup, s settings) (*authenticator, error) {
	config, err := parse(s.URL)
	if err != nil {
		return nil, sdk.At(err, "url")
	}
	if s.MaxConnections < 1 || s.MaxConnections > 100 {
		return nil, sdk.At(errors.New("must be between 1 and 100"), "max_connections")
	}
	if s.Password.IsZero() {
		return nil, sdk.At(errors.New("a reference to a secret is wanted"), "password")
	}
	config.BeforeConnect = func(ctx context.Context, c *pgx.ConnConfig) error { // of a call: a password may be another by then
		password, err := s.Password.Value(ctx)
		if err != nil {
			return fmt.Errorf("the password: %w", err)
		}
		c.Password = string(password.Reveal())
		return nil
	}
	config.ConnConfig.ConnectTimeout = connectTimeout
	config.MaxConns = s.MaxConnections
	pool, err := pgxpool.NewWithConfig(context.WithoutCancel(ctx), config)
	if err != nil {
		return nil, err
	}
	return &authenticator{pool: pool, query: s.Query, cacheFor: time.Duration(s.CacheFor)}, nil
}

// parse never repeats the address: it may hold a password by mistake.
func parse(address string) (*pgxpool.Config, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "postgres" || u.User.Username() == "" || u.Hostname() == "" || len(u.Path) < 2 {
		return nil, errors.New("must be like postgres://user@host:port/database")
	}
	q := u.Query()
	if _, ok := u.User.Password(); ok || q.Has("password") {
		return nil, errors.New(`must not hold the password: give a reference to it in "password"`)
	}
	switch q.Get("sslmode") {
	case "":
		q.Set("sslmode", "verify-full")
	case "allow", "prefer": // they go on in plain text where the server has no TLS
		return nil, errors.New("sslmode must be verify-full, verify-ca, require or disable")
	}
	u.RawQuery = q.Encode()
	config, err := pgxpool.ParseConfig(u.String())
	if err != nil {
		return nil, errors.New("a parameter of the address is not one of PostgreSQL's, or a file that it names cannot be read")
	}
	return config, nil
}

// Authenticate denies only what the database answered: an error of the database is no denial.
func (a *authenticator) Authenticate(ctx context.Context, c sdk.Credential) (sdk.Principal, error) {
	want := c.Principal
	if want == (sdk.PrincipalRef{}) {
		return sdk.Principal{}, errors.New("the credential names no principal")
	}
	sdk.CacheFor(ctx, a.cacheFor)
	if strings.ContainsRune(want.ID+want.Name, 0) { // no text of PostgreSQL has one: an error of the database would be the caller's making
		return sdk.Principal{}, unknown()
	}
	rows, err := a.pool.Query(ctx, a.query, want.ID, want.Name, c.Realm)
	if err != nil {
		return sdk.Principal{}, fmt.Errorf("the database of principals: %w", err)
	}
	p, err := pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (p sdk.Principal, err error) {
		err = row.Scan(&p.ID, &p.Name, &p.Enabled, &p.Roles)
		return p, err
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return sdk.Principal{}, unknown()
	case err != nil:
		return sdk.Principal{}, fmt.Errorf("the database of principals: %w", err)
	case want.ID != "" && want.ID != p.ID, want.Name != "" && want.Name != p.Name:
		return sdk.Principal{}, errors.New("the query answers another principal than was asked for")
	case !p.Enabled:
		return sdk.Principal{}, sdk.Forbid("principal_disabled", "the principal is not enabled")
	}
	return p, nil
}

func unknown() error { return sdk.Forbid("principal_unknown", "there is no such principal") }

// Check lets the server look at the query, so that a mistake in it is seen before a caller comes.
func (a *authenticator) Check(ctx context.Context) error {
	conn, err := a.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("the database of principals: %w", err)
	}
	defer conn.Release()
	statement, err := conn.Conn().Prepare(ctx, "check", a.query)
	if err != nil {
		return fmt.Errorf("the query: %w", err)
	}
	if n := len(statement.ParamOIDs); n != 3 {
		return fmt.Errorf("the query has %d parameters, and not $1 (the principal's id), $2 (its name) and $3 (the realm)", n)
	}
	if n := len(statement.Fields); n != 4 {
		return fmt.Errorf("the query has %d columns, and not id, name, enabled, roles", n)
	}
	return nil
}

// Close ends the connections.
func (a *authenticator) Close() error {
	a.pool.Close()
	return nil
}
