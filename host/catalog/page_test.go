package catalog

import (
	"fmt"
	"testing"

	"github.com/realmgate/realmgate/internal/doctest"
)

// What docs/plugins/protocol.md says in numbers, beside what test/protocol tries.
func TestPage(t *testing.T) {
	t.Parallel()
	c, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(t.Context()) })
	o, probes := c.opts, map[int]string{2: "two"}
	doctest.Says(t, "docs/plugins/protocol.md",
		fmt.Sprintf("within %.0f s. Nothing else may ever stand there", o.StartTimeout.Seconds()),
		fmt.Sprintf("`Describe`, and the opening of the session, have %.0f s.", o.DescribeTimeout.Seconds()),
		fmt.Sprintf("instances, and %.0f s.", o.ConfigureTimeout.Seconds()),
		fmt.Sprintf("`Check` changes nothing; it has %.0f s.", o.CheckTimeout.Seconds()),
		fmt.Sprintf("The host asks every %.0f s; a process that leaves %s probes in a row unanswered for %.0f s each is killed.",
			o.ProbeInterval.Seconds(), probes[maxMisses], o.DescribeTimeout.Seconds()),
	)
}
