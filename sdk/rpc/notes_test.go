package rpc

import (
	"context"
	"slices"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

// Notes travel with the result of a leg, or of each unary call, that asks for them, also where it ends with a no; otherwise stages know of none.
func TestNotesTravel(t *testing.T) {
	t.Parallel()
	f := &fake{
		identify: func(ctx context.Context, r sdk.Request) (sdk.Identity, error) {
			n := sdk.NotesOf(ctx)
			if (n != nil) != (r.Token == "explained") {
				t.Errorf("%s: notes %v", r.Token, n)
			}
			n.Add("the issuer is %s", "idp")
			return sdk.Identity{Subject: "s"}, nil
		},
		mapPrincipal: func(ctx context.Context, _ sdk.Identity) (sdk.PrincipalRef, error) {
			sdk.NotesOf(ctx).Add("no claim \xff")
			return sdk.PrincipalRef{}, sdk.Deny("claim_missing", "")
		},
	}
	legs, unary := startFake(t, f, &fakeHost{}, false), startFake(t, f, &fakeHost{}, true)
	for _, p := range []*Process{legs, unary} {
		testNotes(t, p)
	}
}

func testNotes(t *testing.T, p *Process) {
	t.Helper()
	for _, explained := range []bool{false, true} {
		st := request("ordinary")
		var want []string
		if explained {
			st = request("explained")
			st.Notes, want = &sdk.Notes{}, []string{"the issuer is idp", "no claim "}
		}
		err := p.Run(t.Context(), "r", external, st)
		if d := sdk.AsDenial(err); d == nil || d.Reason != "claim_missing" {
			t.Errorf("explained %v: %v", explained, err)
		}
		if got := st.Notes.List(); !slices.Equal(got, want) {
			t.Errorf("explained %v: notes %q, want %q", explained, got, want)
		}
	}
}
