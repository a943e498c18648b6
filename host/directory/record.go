package directory

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Principal is a principal as it is kept.
type Principal struct {
	Realm, ID, Name  string
	ClientID         string // the public half of its client credentials
	Enabled          bool
	Roles            []string // granted, sorted
	Attributes       map[string]string
	SecretVersions   []string // of the client secrets that are valid, oldest first; at most two
	Created, Updated time.Time
	Version          int64 // moves with every change of the principal, its grants and its secrets
}

// record is a row of principals together with what belongs to it.
type record struct {
	Principal
	pk      int64
	secrets []storedSecret
}

// principalColumns reads a whole principal at once: a look-up is in the path of every decision.
func principalColumns(d dialect) string {
	return `SELECT p.pk, p.realm, p.id, p.name, p.client_id, p.enabled, p.attributes, p.secrets, p.created, p.updated, p.version,
		(SELECT ` + d.nameArray + ` FROM grants g JOIN roles r ON r.pk = g.role WHERE g.principal = p.pk)
		FROM principals p WHERE p.realm = ? AND `
}

// scanRecord reads a row of principalColumns.
func scanRecord(row interface{ Scan(...any) error }) (*record, error) {
	var r record
	var attributes, secrets, roles string
	var created, updated int64
	err := row.Scan(&r.pk, &r.Realm, &r.ID, &r.Name, &r.ClientID, &r.Enabled, &attributes, &secrets, &created, &updated, &r.Version, &roles)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	for _, part := range []struct {
		name, text string
		into       any
	}{{"attributes", attributes, &r.Attributes}, {"secrets", secrets, &r.secrets}, {"roles", roles, &r.Roles}} {
		if err := json.Unmarshal([]byte(part.text), part.into); err != nil {
			return nil, fmt.Errorf("the stored %s of principal %q cannot be read: %w", part.name, r.Name, err)
		}
	}
	slices.Sort(r.Roles)
	for _, s := range r.secrets {
		r.SecretVersions = append(r.SecretVersions, strconv.FormatInt(s.Version, 10))
	}
	r.Created, r.Updated = fromStored(created), fromStored(updated)
	return &r, nil
}

// principal finds a principal within a change.
func (c *change) principal(ctx context.Context, name string) (*record, error) {
	if !possible(name) {
		return nil, ErrNotFound
	}
	return scanRecord(c.row(ctx, principalColumns(c.dialect)+"p.name = ?", c.realm, name))
}

// touch notes that a principal, its grants or its secrets were changed.
func (c *change) touch(ctx context.Context, r *record) error {
	return c.one(ctx, "UPDATE principals SET updated = ?, version = version + 1 WHERE pk = ?", toStored(c.now), r.pk)
}

// statements are the queries of the decision path and of a client's login, prepared once.
type statements struct{ byID, byName, byPK, byClient, revoked, accessKey *sql.Stmt }

func prepare(ctx context.Context, db *sql.DB, d dialect) (s statements, err error) {
	for _, q := range []struct {
		into  **sql.Stmt
		query string
	}{
		{&s.byID, principalColumns(d) + "p.id = ?"},
		{&s.byName, principalColumns(d) + "p.name = ?"},
		{&s.byPK, principalColumns(d) + "p.pk = ?"},
		{&s.byClient, "SELECT pk, enabled, secrets FROM principals WHERE realm = ? AND client_id = ?"},
		{&s.revoked, "SELECT COUNT(*) FROM revoked_tokens WHERE realm = ? AND token = ?"},
		{&s.accessKey, accessKeyColumns + "k.realm = ? AND k.id = ?"},
	} {
		if *q.into, err = db.PrepareContext(ctx, d.rebind(q.query)); err != nil {
			return s, errors.Join(err, s.close())
		}
	}
	return s, nil
}

func (s statements) close() error {
	var errs []error
	for _, st := range []*sql.Stmt{s.byID, s.byName, s.byPK, s.byClient, s.revoked, s.accessKey} {
		if st != nil {
			errs = append(errs, st.Close())
		}
	}
	return errors.Join(errs...)
}

// encode gives attributes as they are kept; nil is an empty object.
func encode(m map[string]string) (string, error) {
	if m == nil {
		return "{}", nil
	}
	b, err := json.Marshal(m)
	return string(b), err
}
