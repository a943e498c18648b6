package polaris

import (
	"bytes"
	"os"
	"testing"

	"github.com/realmgate/realmgate/internal/doctest"
)

// TestManual checks that the example of the manual is what the import makes of it.
func TestManual(t *testing.T) {
	t.Parallel()
	in := doctest.Only(t, "docs/migrating-from-polaris.md", "properties")
	made := doctest.Only(t, "docs/migrating-from-polaris.md", "hcl")
	out, diags := Import([]byte(in), Options{File: "application.properties"})
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	if *update {
		const manual = "../../docs/migrating-from-polaris.md"
		text, err := os.ReadFile(manual)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(manual, bytes.Replace(text, []byte(made), out, 1), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if made != string(out) {
		t.Errorf("the import makes of the example\n%s", out)
	}
}
