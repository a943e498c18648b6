package polaris

import (
	"os"
	"regexp"
	"testing"
)

// TestManual checks that the example of the manual is what the import makes of it.
func TestManual(t *testing.T) {
	t.Parallel()
	const manual = "../../docs/migrating-from-polaris.md"
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	in := regexp.MustCompile("(?s)```properties\n(.*?)```").FindSubmatch(text)
	made := regexp.MustCompile("(?s)```hcl\n(.*?)```").FindSubmatchIndex(text)
	if in == nil || made == nil {
		t.Fatal("there is no example")
	}
	out, diags := Import(in[1], Options{File: "application.properties"})
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	if *update {
		if err := os.WriteFile(manual, append(append(append([]byte{}, text[:made[2]]...), out...), text[made[3]:]...), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got := string(text[made[2]:made[3]]); got != string(out) {
		t.Errorf("the import makes of the example\n%s", out)
	}
}
