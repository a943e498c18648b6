package child

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// What docs/plugins/protocol.md says in numbers, beside what test/protocol tries.
func TestPage(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/plugins/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		fmt.Sprintf("of at most %d KiB", maxHandshake>>10),
		fmt.Sprintf("Lines longer than %d KiB are cut, and beyond %d at once more than %d a second are dropped.", maxLine>>10, burstLines, lineRate),
		fmt.Sprintf("After %.0f s the process is killed.", StopGrace.Seconds()),
	} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}
