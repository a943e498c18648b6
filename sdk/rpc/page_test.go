package rpc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
)

// What docs/plugins/protocol.md says in numbers, beside what test/protocol tries.
func TestPage(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/plugins/protocol.md")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the module stands alone: the page is not here")
	}
	if err != nil {
		t.Fatal(err)
	}
	depths := map[int]string{4: "four"}
	for _, want := range []string{
		fmt.Sprintf("An item is at most %d MiB, a batch %d MiB.", maxItem>>20, maxBatch>>20),
		fmt.Sprintf("One request has up to %d instances, and %.0f s.", maxInstances, defaultTimeout.Seconds()),
		fmt.Sprintf("without it, %.0f s.", defaultTimeout.Seconds()),
		fmt.Sprintf("%d questions are answered at a time, and %d wait; further ones fail.", maxHostCalls, maxWaitingCalls),
		fmt.Sprintf("%s deep, and no deeper", depths[maxDepth]),
		fmt.Sprintf("(the SDK: %.0f s)", arrivalPatience.Seconds()),
		fmt.Sprintf("Up to %d legs are under way, %d of one realm.", maxLegs, maxShare),
	} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}
