package directory

import "context"

// Page asks for a part of a list, which is sorted by name, byte by byte.
type Page struct {
	After string // the name that the page begins behind; empty: from the start
	Limit int    // 0: 100; at most 1000
}

const (
	defaultLimit = 100
	maxLimit     = 1000
)

func (p Page) check() (Page, error) {
	if p.After != "" && !possible(p.After) {
		return p, &InvalidError{"after", "cannot be a name"}
	}
	switch {
	case p.Limit < 0:
		return p, &InvalidError{"limit", "is negative"}
	case p.Limit == 0:
		p.Limit = defaultLimit
	case p.Limit > maxLimit:
		p.Limit = maxLimit
	}
	return p, nil
}

// ListPrincipals gives the principals of a realm, and the After of the next page, empty behind the last one.
func (d *Directory) ListPrincipals(ctx context.Context, realm string, page Page) (_ []Principal, next string, err error) {
	defer wrap(&err, "list principals")
	all, err := list(ctx, d, principalColumns(d.dialect)+"p.name > ? ORDER BY p.name LIMIT ?", realm, page, func(row scanner) (Principal, error) {
		r, err := scanRecord(row)
		if err != nil {
			return Principal{}, err
		}
		return r.Principal, nil
	})
	if n := len(all.items); n > 0 && all.more {
		next = all.items[n-1].Name
	}
	return all.items, next, err
}

// ListRoles gives the roles of a realm, and the After of the next page, empty behind the last one.
func (d *Directory) ListRoles(ctx context.Context, realm string, page Page) (_ []Role, next string, err error) {
	defer wrap(&err, "list roles")
	all, err := list(ctx, d, roleColumns+"name > ? ORDER BY name LIMIT ?", realm, page, scanRole)
	if n := len(all.items); n > 0 && all.more {
		next = all.items[n-1].Name
	}
	return all.items, next, err
}

type scanner interface{ Scan(...any) error }

type listed[T any] struct {
	items []T
	more  bool
}

func list[T any](ctx context.Context, d *Directory, query, realm string, page Page, scan func(scanner) (T, error)) (out listed[T], err error) {
	page, err = page.check()
	if err != nil || !possible(realm) {
		return out, err
	}
	// One row more than asked for tells whether there is a next page.
	rows, err := d.read.QueryContext(ctx, d.dialect.rebind(query), realm, page.After, page.Limit+1)
	if err != nil {
		return out, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if len(out.items) == page.Limit {
			out.more = true
			break
		}
		item, err := scan(rows)
		if err != nil {
			return listed[T]{}, err
		}
		out.items = append(out.items, item)
	}
	if err := rows.Err(); err != nil {
		return listed[T]{}, err
	}
	return out, nil
}
