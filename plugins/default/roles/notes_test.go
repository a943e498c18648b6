package roles

import (
	"slices"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

func TestNotesTellOfFilterAndMappings(t *testing.T) {
	t.Parallel()
	m, err := build(`{"filter":"a.*","mapping":[{"regex":"a","replacement":"b"},{"regex":"z","replacement":"y"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	s := sdk.State{Identity: &sdk.Identity{Roles: []string{"ax", "other"}}, Notes: &sdk.Notes{}}
	if err := sdk.Step(t.Context(), sdk.KindPrincipalRolesMapper, m, &s); err != nil {
		t.Fatal(err)
	}
	want := []string{`"ax": kept`, `"ax": mapping 1 makes it "bx"`, `"bx": mapping 2 makes it "bx"`, `"other": left out by the filter`}
	if got := s.Notes.List(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
