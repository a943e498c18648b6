package main

import (
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

func TestMapper(t *testing.T) {
	m := &mapper{Claim: "badge", Prefix: "emp-"}
	ref, err := m.MapPrincipal(t.Context(), sdk.Identity{Claims: sdk.NewClaims([]byte(`{"badge":"7"}`))})
	if err != nil || ref.Name != "emp-7" {
		t.Errorf("%+v %v", ref, err)
	}
	for _, claims := range []string{`{"badge":7}`, `{"badge":""}`, `{}`} {
		ref, err := m.MapPrincipal(t.Context(), sdk.Identity{Claims: sdk.NewClaims([]byte(claims))})
		if d := sdk.AsDenial(err); d == nil || d.Reason != "claim_missing" {
			t.Errorf("%s: %+v %v", claims, ref, err)
		}
	}
}
