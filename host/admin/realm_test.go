package admin

import (
	"strings"
	"testing"
)

// TestNoRealm: the realms that there are are named, the first of many.
func TestNoRealm(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		known []string
		want  string
	}{
		{nil, `there is no such realm: "x"`},
		{[]string{"a"}, `there is no such realm: "x"; there is a`},
		{[]string{"a", "b"}, `there is no such realm: "x"; there are a, b`},
		{strings.Fields("a b c d e f g h i j k l"), `there is no such realm: "x"; there are a, b, c, d, e, f, g, h, i, j and 2 more`},
	} {
		if e := NoRealm("x", c.known); e.Message != c.want || e.Status != 404 || e.Field != "realm" {
			t.Errorf("%q: %+v", c.known, e)
		}
	}
}
