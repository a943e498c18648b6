package sdk

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

type noting struct{ seen bool }

func (n *noting) MapRoles(ctx context.Context, id Identity) ([]string, error) {
	notes := NotesOf(ctx)
	n.seen = notes != nil
	notes.Add("%d roles\nand a line", len(id.Roles))
	return id.Roles, nil
}

func TestNotesAreTakenWhereADecisionIsExplained(t *testing.T) {
	for _, explained := range []bool{false, true} {
		s, n := State{Identity: &Identity{Roles: []string{"a"}}}, &noting{}
		if explained {
			s.Notes = &Notes{}
		}
		if err := Step(t.Context(), KindPrincipalRolesMapper, n, &s); err != nil {
			t.Fatal(err)
		}
		got := strings.Join(s.Notes.List(), "|")
		if n.seen != explained || explained && got != "1 roles and a line" || !explained && got != "" {
			t.Errorf("explained %v: seen %v, %q", explained, n.seen, got)
		}
	}
	if NotesOf(t.Context()) != nil {
		t.Error("there are notes outside of a stage")
	}
}

func TestNotesAreBounded(t *testing.T) {
	var n Notes
	for i := range 2 * maxNotes {
		n.Add("%s", fmt.Sprint(i, strings.Repeat("ü", maxNote)))
	}
	got := n.List()
	if len(got) != maxNotes {
		t.Errorf("%d notes", len(got))
	}
	for _, s := range got {
		if len(s) > maxNote || strings.ToValidUTF8(s, "") != s {
			t.Fatalf("a note of %d bytes: %q", len(s), s)
		}
	}
}
