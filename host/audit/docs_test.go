package audit

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/internal/doctest"
)

// The lines of the page are such as are written: no key that there is not, each in its place.
func TestPage(t *testing.T) {
	t.Parallel()
	for text := range strings.Lines(doctest.Only(t, "docs/audit.md", "json")) {
		var l line
		d := json.NewDecoder(strings.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(&l); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var again bytes.Buffer
		if err := json.NewEncoder(&again).Encode(l); err != nil || again.String() != text {
			t.Errorf("%v\nthe page: %swritten: %s", err, text, &again)
		}
	}
}
