package generation

import (
	"strings"
	"testing"

	"github.com/realmgate/realmgate/host/catalog"
)

// A stage that is of no part is an error of who asks.
func TestStageOfNoPart(t *testing.T) {
	if got, err := (&Generation{}).partsOf("a", make([]catalog.Handle, 1)); err == nil || got != nil || !strings.Contains(err.Error(), `realm "a": stage 1`) {
		t.Errorf("%v, %v", got, err)
	}
}
