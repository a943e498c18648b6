package ascii_test

import (
	"strings"
	"testing"

	"github.com/realmgate/realmgate/plugins/aws/internal/ascii"
)

func TestConsists(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"azAZ09-_": true, "": false, "a.": false, "é": false, "a\xff": false, "a\ufffd": false, "a\n": false, " ": false, "[": false, "`": false, "{": false, "@": false, "/": false, ":": false,
		strings.Repeat("a", 8): true, strings.Repeat("a", 9): false,
	} {
		if got := ascii.Consists(s, 8, "-_"); got != want {
			t.Errorf("%q: %v", s, got)
		}
	}
	for s, want := range map[string]bool{"X-Amz-Date": true, "a b": false, "a:": false, "!#$%&'*+-.^_`|~": true, "(": false} {
		if got := ascii.HeaderName(s, 64); got != want {
			t.Errorf("header %q: %v", s, got)
		}
	}
	for s, want := range map[string]bool{
		strings.Repeat("a0", 32): true, strings.Repeat("A0", 32): false, strings.Repeat("g0", 32): false, strings.Repeat("a0", 31): false, strings.Repeat("a", 65): false,
	} {
		if got := ascii.Hash(s); got != want {
			t.Errorf("hash %q: %v", s, got)
		}
	}
}
