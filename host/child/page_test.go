package child

import (
	"fmt"
	"testing"

	"github.com/realmgate/realmgate/internal/doctest"
)

// What docs/plugins/protocol.md says in numbers, beside what test/protocol tries.
func TestPage(t *testing.T) {
	t.Parallel()
	doctest.Says(t, "docs/plugins/protocol.md",
		fmt.Sprintf("of at most %d KiB", maxHandshake>>10),
		fmt.Sprintf("Lines longer than %d KiB are cut, and beyond %d at once more than %d a second are dropped.", maxLine>>10, burstLines, lineRate),
		fmt.Sprintf("After %.0f s the process is killed.", StopGrace.Seconds()),
	)
}
