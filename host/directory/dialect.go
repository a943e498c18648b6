package directory

import (
	"strconv"
	"strings"

	"github.com/pressly/goose/v3"
)

// dialect is all in which the two stores differ, beside their migrations.
type dialect struct {
	goose      goose.Dialect
	migrations string // folder of the embedded migrations
	numbered   bool   // placeholders are $1, $2 instead of ?
	nameArray  string // aggregates r.name to a JSON array, as text
	locker     bool   // migrations run under an advisory lock: several nodes may start at once
}

// rebind gives the statement with the dialect's placeholders. No statement of this package has a question mark otherwise.
func (d dialect) rebind(query string) string {
	if !d.numbered {
		return query
	}
	var b strings.Builder
	for n := 1; ; n++ {
		before, after, more := strings.Cut(query, "?")
		b.WriteString(before)
		if !more {
			return b.String()
		}
		b.WriteString("$" + strconv.Itoa(n))
		query = after
	}
}
