package pipeline

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

// The token service asks about the realm's own tokens: the foreign side neither hears of them nor vouches for them.
func TestDecideOwnAsksTheInternalSideOnly(t *testing.T) {
	never := stages(func(*sdk.State) error { t.Error("the external side was asked"); return nil })
	for name, tt := range map[string]struct {
		internal stages
		want     Verdict
	}{
		"ours":        {goodState(sdk.SourceInternal), Allowed},
		"not ours":    {func(*sdk.State) error { return sdk.NotMine() }, Denied},
		"ours, bad":   {func(*sdk.State) error { return sdk.Deny("signature_invalid", "") }, Denied},
		"we are down": {func(*sdk.State) error { return errors.New("down") }, Unavailable},
		"lying":       {goodState(sdk.SourceExternal), Unavailable},
	} {
		d := plan(t, ModeMixed, tt.internal, never, standing{}).DecideOwn(t.Context(), sdk.Request{Scheme: "bearer", Token: "x"})
		if d.Verdict != tt.want || (d.Credential != nil) != (tt.want == Allowed) {
			t.Errorf("%s: %v %v", name, d.Verdict, d.Credential)
		}
	}
	for name, st := range map[string]error{"revoked": sdk.Deny("token_revoked", ""), "disabled": sdk.Forbid("principal_disabled", "")} {
		if d := plan(t, ModeInternal, goodState(sdk.SourceInternal), nil, standing{st}).DecideOwn(t.Context(), sdk.Request{Scheme: "bearer"}); d.Verdict != Denied {
			t.Errorf("%s: %v", name, d.Verdict)
		}
	}
	if d := plan(t, ModeExternal, nil, never, standing{}).DecideOwn(t.Context(), sdk.Request{Scheme: "bearer"}); d.Verdict == Allowed {
		t.Error("an external realm has no tokens of its own")
	}
}

func TestCredentialIsOfOwnDecisionsOnly(t *testing.T) {
	req := sdk.Request{Scheme: "bearer"}
	own := plan(t, ModeInternal, goodState(sdk.SourceInternal), nil, standing{})
	if d := own.DecideOwn(t.Context(), req); d.Credential == nil || d.Credential.TokenID != "t1" {
		t.Errorf("%+v", d)
	}
	if d := own.Decide(t.Context(), req); d.Verdict != Allowed || d.Credential != nil {
		t.Errorf("%+v", d)
	}
	if d := plan(t, ModeExternal, nil, goodState(sdk.SourceExternal), standing{}).Decide(t.Context(), req); d.Verdict != Allowed || d.Credential != nil {
		t.Errorf("%+v", d)
	}
	if d := plan(t, ModeInternal, goodState(sdk.SourceInternal), nil, standing{sdk.Deny("token_revoked", "")}).DecideOwn(t.Context(), req); d.Credential != nil {
		t.Errorf("a denied decision carries a credential: %+v", d)
	}
}

// Verify is asked whether a token is ours, whoever it belongs to; the host's own checks of the credential hold there too.
func TestVerify(t *testing.T) {
	for name, tt := range map[string]struct {
		leg    stages
		reason string // of a denial
		fault  bool
	}{
		"ours":           {lying(sdk.SourceInternal, func(s *sdk.State) { s.Principal, s.Active = nil, nil }), "", false},
		"disabled":       {lying(sdk.SourceInternal, func(s *sdk.State) { s.Principal.Enabled = false }), "", false},
		"another realm":  {lying(sdk.SourceInternal, func(s *sdk.State) { s.Credential.Realm = "other" }), "realm_mismatch", false},
		"another issuer": {lying(sdk.SourceInternal, func(s *sdk.State) { s.Credential.Issuer = "x" }), "issuer_mismatch", false},
		"no token id":    {lying(sdk.SourceInternal, func(s *sdk.State) { s.Credential.TokenID = "" }), "", true},
		"expired":        {lying(sdk.SourceInternal, func(s *sdk.State) { s.Credential.Expires = now }), "token_expired", false},
		"not ours":       {func(*sdk.State) error { return sdk.NotMine() }, sdk.ReasonNotMine, false},
		"down":           {func(*sdk.State) error { return errors.New("down") }, "", true},
		"nothing":        {func(*sdk.State) error { return nil }, "", true},
	} {
		c, err := plan(t, ModeInternal, tt.leg, nil, standing{errors.New("not asked")}).Verify(t.Context(), sdk.Request{Scheme: "bearer", Token: "x"})
		d := sdk.AsDenial(err)
		switch {
		case tt.fault && (err == nil || d != nil), tt.reason != "" && (d == nil || d.Reason != tt.reason), !tt.fault && tt.reason == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case (err == nil) != (c.TokenID == "t1"):
			t.Errorf("%s: %+v", name, c)
		}
	}
	talkative := stages(func(s *sdk.State) error { return errors.New("cannot read " + s.Request.Token) })
	if _, err := plan(t, ModeInternal, talkative, nil, standing{}).Verify(t.Context(), sdk.Request{Scheme: "bearer", Token: "eyJ.eyJ.xyz"}); err == nil || strings.Contains(err.Error(), "eyJ") {
		t.Errorf("the error shows the token: %v", err)
	}
	never := stages(func(*sdk.State) error { t.Error("a leg ran"); return nil })
	for mode, scheme := range map[Mode]string{ModeExternal: "bearer", ModeInternal: "basic"} {
		if _, err := plan(t, mode, never, never, standing{}).Verify(context.Background(), sdk.Request{Scheme: scheme}); sdk.AsDenial(err) == nil {
			t.Errorf("%v %s: %v", mode, scheme, err)
		}
	}
}
