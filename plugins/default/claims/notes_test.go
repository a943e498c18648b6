package claims

import (
	"slices"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

func TestNotesTellWhatPathsFind(t *testing.T) {
	t.Parallel()
	m := build(t, `{"id_claim_path":"a/id","name_claim_path":"name"}`)
	for claims, want := range map[string][]string{
		`{"a":{"id":7},"name":"eve"}`: {`the id: the claim a/id is "7"`, `the name: the claim name is "eve"`},
		`{"a":{"id":7},"name":null}`:  {`the id: the claim a/id is "7"`, `the name: the claim name is null`},
		`{"a":{"id":[]}}`:             {`the id: the claim a/id is an object or a list`},
		`{"a":"x"}`:                   {`the id: the claim a/id is not there`},
	} {
		s := sdk.State{Identity: &sdk.Identity{Claims: sdk.NewClaims([]byte(claims))}, Notes: &sdk.Notes{}}
		_ = sdk.Step(t.Context(), sdk.KindPrincipalMapper, m, &s)
		if got := s.Notes.List(); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", claims, got, want)
		}
	}
}
