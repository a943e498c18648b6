package pipeline

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// apart are the stages of a route, each by itself: a verifier that does as it is told, and one for the rest.
func apart(src sdk.Source, verify error) []Stage {
	kind := sdk.KindTokenBroker
	if src == sdk.SourceExternal {
		kind = sdk.KindIdentityProvider
	}
	return []Stage{
		{kind, stages(func(s *sdk.State) error {
			s.Cache = s.Cache.Least(sdk.CacheHint{MaxAge: 30 * time.Second})
			s.Notes.Add("the %v verifier", src)
			return verify
		})},
		{sdk.KindAuthenticator, stages(func(s *sdk.State) error {
			s.Cache = s.Cache.Least(sdk.CacheHint{MaxAge: 10 * time.Second})
			return goodState(src)(s)
		})},
	}
}

// fused is a route as ordinary decisions have it.
func fused(all []Stage) stages {
	return func(s *sdk.State) error {
		for _, x := range all {
			if err := x.Leg.(stages)(s); err != nil {
				return err
			}
		}
		return nil
	}
}

// An explanation comes to what a decision comes to, and tells of each stage that was asked.
func TestExplainDecidesAlike(t *testing.T) {
	broken := errors.New("it hangs")
	tests := []struct {
		name     string
		mode     Mode
		in, ex   error
		standing error
		scheme   string
		want     string
	}{
		{"internal", ModeInternal, nil, nil, nil, "bearer", "internal allowed 2 stages, checked"},
		{"external", ModeExternal, nil, nil, nil, "bearer", "external allowed 2 stages, checked"},
		{"the first stage denies", ModeInternal, sdk.Deny("token_expired", ""), nil, nil, "bearer", "internal denied 1 stages"},
		{"the host denies", ModeInternal, nil, nil, sdk.Deny("token_revoked", ""), "bearer", "internal denied 2 stages, checked"},
		{"mixed, ours", ModeMixed, nil, nil, nil, "bearer", "internal allowed 2 stages, checked; external not asked"},
		{"mixed, theirs", ModeMixed, sdk.NotMine(), nil, nil, "bearer", "internal denied 1 stages; external allowed 2 stages, checked"},
		{"mixed, one cannot tell", ModeMixed, broken, sdk.Deny("token_expired", ""), nil, "bearer", "internal unavailable 1 stages; external denied 1 stages"},
		{"another scheme", ModeMixed, nil, nil, nil, "basic", "internal denied 0 stages; external denied 0 stages"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			all := Stages{apart(sdk.SourceInternal, tt.in), apart(sdk.SourceExternal, tt.ex)}
			p := plan(t, tt.mode, fused(all.Internal), fused(all.External), standing{tt.standing})
			req := sdk.Request{Scheme: tt.scheme, Token: "abcdefgh"}
			want := p.DecideAnew(t.Context(), req)
			got, walks := p.Explain(t.Context(), req, all)
			if fmt.Sprintf("%+v", got.Denial) != fmt.Sprintf("%+v", want.Denial) || got.Verdict != want.Verdict || got.CacheFor != want.CacheFor || got.Principal.ID != want.Principal.ID {
				t.Errorf("explained as %+v, decided as %+v", got, want)
			}
			var told []string
			for _, w := range walks {
				of := all.External
				if w.Source == sdk.SourceInternal {
					of = all.Internal
				}
				s := fmt.Sprintf("%v %v %d stages", w.Source, w.Decision.Verdict, len(w.Ran))
				switch {
				case !w.Asked:
					s = fmt.Sprintf("%v not asked", w.Source)
				case w.Checked(of):
					s += ", checked"
				}
				told = append(told, s)
			}
			if s := strings.Join(told, "; "); s != tt.want {
				t.Errorf("told %q, want %q", s, tt.want)
			}
		})
	}
}

// Each stage is told of by itself: what it says about remembering, and its notes; nobody sees those of another one.
func TestExplainKeepsStagesApart(t *testing.T) {
	all := Stages{Internal: apart(sdk.SourceInternal, nil)}
	p := plan(t, ModeInternal, fused(all.Internal), nil, standing{})
	d, walks := p.Explain(t.Context(), sdk.Request{Scheme: "bearer", Token: "x"}, all)
	ran := walks[0].Ran
	if ran[0].After.Cache.MaxAge != 30*time.Second || ran[1].After.Cache.MaxAge != 10*time.Second || d.CacheFor != 10*time.Second {
		t.Errorf("%v, %v, all %v", ran[0].After.Cache, ran[1].After.Cache, d.CacheFor)
	}
	if n := ran[0].After.Notes.List(); len(n) != 1 || n[0] != "the internal verifier" || len(ran[1].After.Notes.List()) != 0 {
		t.Errorf("notes %q and %q", n, ran[1].After.Notes.List())
	}
	if ran[0].After.Principal != nil || ran[1].After.Principal == nil {
		t.Error("a stage is told of as if it had made what another one made")
	}
}
