package roles

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// Mappers share what they have in common, for as long as one of them has it.
func TestExpressionsAreShared(t *testing.T) {
	var e Expressions
	mapper := func(filter string) *Mapper {
		t.Helper()
		m, err := e.NewMapper(context.Background(), sdk.Setup{}, Settings{Filter: filter, Mappings: []Mapping{{Regex: "^app-(.*)$", Replacement: "$1"}}})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	func() { // what it makes is out of reach when it has ended
		a, b, other := mapper("^(?!admin$).*"), mapper("^(?!admin$).*"), mapper("^app-.*")
		if a.filter != b.filter || a.filter == other.filter || a.mappings[0].search != other.mappings[0].search {
			t.Error("equal expressions are compiled twice, or others once")
		}
		for _, m := range []*Mapper{a, b, other} {
			if got, err := m.MapRoles(context.Background(), sdk.Identity{Roles: []string{"admin", "app-x"}}); err != nil || len(got) != 1 || got[0] != "x" {
				t.Errorf("%v %v", got, err)
			}
		}
	}()
	left := func() int {
		e.mu.Lock()
		defer e.mu.Unlock()
		return len(e.all)
	}
	for end := time.Now().Add(10 * time.Second); left() > 0; runtime.GC() {
		if time.Now().After(end) {
			t.Fatalf("%d expressions are kept that nobody has", left())
		}
		time.Sleep(time.Millisecond)
	}
}
