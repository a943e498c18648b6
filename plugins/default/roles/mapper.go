package roles

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

const (
	// maxRoles bounds the roles of one identity.
	maxRoles = 512
	// maxRole bounds a role in bytes, before and after each mapping.
	maxRole = 1024
	// budget bounds the time for one identity's roles: each search has its own time-out, but there may be many.
	budget = 500 * time.Millisecond
)

// Settings of the mapper.
type Settings struct {
	Filter   string    `json:"filter,omitempty" doc:"regular expression that a whole role must match to be kept; every role without it"`
	Mappings []Mapping `json:"mapping,omitempty" doc:"replacements, applied in turn to every role that is kept"`
}

// Mapping replaces every match of a regular expression in a role.
type Mapping struct {
	Regex       string `json:"regex" doc:"regular expression; a role without a match stays as it is"`
	Replacement string `json:"replacement" doc:"what each match becomes; $0, $1 and $${name} refer to groups, a backslash takes the next character as it is"`
}

// Mapper filters and maps roles.
type Mapper struct {
	filter   engine // nil: every role
	mappings []mapping
}

type mapping struct {
	search  engine
	replace replacement
}

// NewMapper compiles the settings and blames each expression or replacement that is wrong.
func (e *Expressions) NewMapper(_ context.Context, _ sdk.Setup, s Settings) (*Mapper, error) {
	m := &Mapper{}
	var faults []error
	if s.Filter != "" {
		f, err := e.compile(s.Filter)
		faults = append(faults, sdk.At(err, "filter"))
		m.filter = f
	}
	for i, x := range s.Mappings {
		search, err := e.compile(x.Regex)
		if err != nil {
			faults = append(faults, sdk.At(err, "mapping", i, "regex"))
			continue
		}
		r, err := parseReplacement(x.Replacement, search)
		faults = append(faults, sdk.At(err, "mapping", i, "replacement"))
		m.mappings = append(m.mappings, mapping{search: search, replace: r})
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return m, nil
}

// MapRoles keeps the roles that the filter matches as a whole and applies all mappings to each, the output of one being
// the input of the next. The order stays; a role that came out twice is given once, an empty one not at all.
//
// Too many or too long roles are denied (role_limit_exceeded): they come from the caller's token. Running out of time is an
// error, not a denial: it may be the load or the expressions as well, and which roles the caller has is not known then.
func (m *Mapper) MapRoles(ctx context.Context, id sdk.Identity) ([]string, error) {
	if len(id.Roles) > maxRoles {
		return nil, sdk.Deny("role_limit_exceeded", "the token has more than %d roles", maxRoles)
	}
	end, notes := time.Now().Add(budget), sdk.NotesOf(ctx)
	out := make([]string, 0, len(id.Roles))
	for _, role := range id.Roles {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		mapped, keep, err := m.one(role, notes)
		switch {
		case errors.Is(err, errTimeout), err == nil && time.Now().After(end):
			return nil, errors.New("principal-roles-mapper(default): the roles take too long to map; a regular expression that backtracks is the usual reason")
		case err != nil:
			return nil, err
		case keep && mapped != "" && !slices.Contains(out, mapped):
			out = append(out, mapped)
		}
	}
	return out, nil
}

// one maps one role, and tells of each step if its decision is explained.
func (m *Mapper) one(role string, notes *sdk.Notes) (mapped string, keep bool, err error) {
	if len(role) > maxRole {
		return "", false, errTooLong()
	}
	if m.filter != nil {
		if keep, err = m.filter.full(role); err != nil || !keep {
			if notes != nil && err == nil {
				notes.Add("%q: left out by the filter", role)
			}
			return "", false, err
		}
	}
	if notes != nil {
		notes.Add("%q: kept", role)
	}
	for n, x := range m.mappings {
		before := role
		if role, err = x.apply(role); err != nil {
			return "", false, err
		}
		if notes != nil {
			notes.Add("%q: mapping %d makes it %q", before, n+1, role)
		}
	}
	return role, true, nil
}

func (x mapping) apply(role string) (string, error) {
	var out []byte
	end, matched := 0, false
	err := x.search.all(role, func(m match) bool {
		out = append(out, role[end:m[0]]...)
		out = x.replace.append(out, role, m)
		end, matched = m[1], true
		return len(out) <= maxRole
	})
	if err != nil || !matched {
		return role, err
	}
	out = append(out, role[end:]...)
	if len(out) > maxRole {
		return "", errTooLong()
	}
	return string(out), nil
}

func errTooLong() error {
	return sdk.Deny("role_limit_exceeded", "a role of the token is, or becomes, longer than %d bytes", maxRole)
}
