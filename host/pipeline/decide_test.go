package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// stages is a leg that sets what the test wants, as a plugin would.
type stages func(s *sdk.State) error

func (f stages) Run(_ context.Context, s *sdk.State) error { return f(s) }

type standing struct{ err error }

func (s standing) CheckStanding(context.Context, sdk.Credential, sdk.Principal) error { return s.err }

var now = time.Unix(1_800_000_000, 0)

func goodState(src sdk.Source) func(*sdk.State) error {
	return func(s *sdk.State) error {
		s.Credential = &sdk.Credential{
			Realm: "r", Source: src, Issuer: "https://gate/r", Audience: []string{"other", "aud"}, TokenID: "t1",
			Principal: sdk.PrincipalRef{ID: "1"}, RequestedRoles: []string{"PRINCIPAL_ROLE:dev"}, Expires: now.Add(time.Hour),
		}
		s.Principal = &sdk.Principal{Realm: "r", ID: "1", Name: "alice", Enabled: true, Roles: []string{"dev", "ops"}}
		s.Active = []string{"dev"}
		return nil
	}
}

// lying gives the good answer with one thing changed.
func lying(src sdk.Source, change func(*sdk.State)) stages {
	return func(s *sdk.State) error {
		_ = goodState(src)(s)
		change(s)
		return nil
	}
}

func plan(t *testing.T, mode Mode, internal, external stages, st Standing) *Plan {
	t.Helper()
	p, err := NewPlan(Config{
		Realm: "r", Tenant: "idp", Issuer: "https://gate/r", Audience: []string{"aud"}, Mode: mode, Timeout: time.Second, MaxCache: time.Minute, MaxDenied: 2 * time.Second,
		Internal: Route{Schemes: []string{"bearer"}, Legs: []Leg{internal}},
		External: Route{Schemes: []string{"bearer"}, Legs: []Leg{external}},
		Admit:    []Leg{internal}, Verify: []Leg{internal}, Standing: st, Now: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestHostChecksWhatPluginsAnswer(t *testing.T) {
	const both, internal = sdk.SourceExternal, sdk.SourceInternal // of an internal credential only, or of both
	tests := []struct {
		name   string
		change func(*sdk.State)
		of     sdk.Source
		deny   string // reason, or
		fault  string // text of the error
	}{
		{"honest", func(*sdk.State) {}, both, "", ""},
		{"another realm's credential", func(s *sdk.State) { s.Credential.Realm = "other" }, both, "realm_mismatch", ""},
		{"another issuer", func(s *sdk.State) { s.Credential.Issuer = "https://gate/r/" }, internal, "issuer_mismatch", ""},
		{"another audience", func(s *sdk.State) { s.Credential.Audience = []string{"AUD", "au"} }, internal, "audience_mismatch", ""},
		{"no audience", func(s *sdk.State) { s.Credential.Audience = nil }, internal, "audience_mismatch", ""},
		{"expired", func(s *sdk.State) { s.Credential.Expires = now }, both, "token_expired", ""},
		{"never expires", func(s *sdk.State) { s.Credential.Expires = time.Time{} }, internal, "", "never expires"},
		{"the token as its id", func(s *sdk.State) { s.Credential.TokenID = "x" }, both, "", "the token itself"},
		{"an expiry that cannot be written", func(s *sdk.State) { s.Credential.Expires = now.AddDate(300000, 0, 0) }, both, "", "year 9999"},
		{"no token id", func(s *sdk.State) { s.Credential.TokenID = "" }, internal, "", "no token id"},
		{"the other route's credential", func(s *sdk.State) { s.Credential.Source ^= 3 }, both, "", "with a credential of source"},
		{"principal of another realm", func(s *sdk.State) { s.Principal.Realm = "other" }, both, "", "principal of another realm"},
		{"nameless principal", func(s *sdk.State) { s.Principal.ID, s.Principal.Name = "", "" }, both, "", "neither id nor name"},
		{"disabled principal", func(s *sdk.State) { s.Principal.Enabled = false }, both, "principal_disabled", ""},
		{"role that was not granted", func(s *sdk.State) { s.Active = []string{"dev", "admin"} }, both, "", `activated "admin"`},
		{"no credential", func(s *sdk.State) { s.Credential = nil }, both, "", "without a credential"},
		{"no principal", func(s *sdk.State) { s.Principal = nil }, both, "", "without a principal"},
		{"no active roles", func(s *sdk.State) { s.Active = nil }, both, "", "without active roles"},
		{"a flood of roles", func(s *sdk.State) { s.Active = make([]string, maxRoles+1) }, both, "", "more than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := plan(t, ModeInternal, lying(sdk.SourceInternal, tt.change), nil, standing{})
			ways := map[string]Decision{
				"decide": in.Decide(t.Context(), sdk.Request{Scheme: "bearer", Token: "x"}),
			}
			if tt.name != "the token as its id" { // there is no token to admit
				ways["admit"] = in.Admit(t.Context(), sdk.Credential{})
			}
			if tt.of == both {
				ex := plan(t, ModeExternal, nil, lying(sdk.SourceExternal, tt.change), standing{})
				ways["external"] = ex.Decide(t.Context(), sdk.Request{Scheme: "bearer", Token: "x"})
			}
			for way, d := range ways {
				switch {
				case tt.deny != "":
					if d.Verdict != Denied || d.Denial.Reason != tt.deny {
						t.Errorf("%s: %v %v %v, want denied %s", way, d.Verdict, d.Denial, d.Err, tt.deny)
					}
				case tt.fault != "":
					if d.Verdict != Unavailable || d.Err == nil || !strings.Contains(d.Err.Error(), tt.fault) {
						t.Errorf("%s: %v %v, want unavailable: %s", way, d.Verdict, d.Err, tt.fault)
					}
				case d.Verdict != Allowed || d.Principal.Name != "alice" || len(d.Roles) != 1:
					t.Errorf("%s: %+v", way, d)
				}
			}
		})
	}
}

// What a plugin says about a token does not give the token away.
func TestTokenIsNotRepeated(t *testing.T) {
	const token = "opaque-secret-token"
	for _, err := range []error{sdk.Deny("bad", "no such token: %s", token), errors.New("cannot look up " + token)} {
		p := plan(t, ModeInternal, func(*sdk.State) error { return err }, nil, standing{})
		d := p.Decide(t.Context(), sdk.Request{Scheme: "bearer", Token: token})
		if d.Verdict == Allowed || strings.Contains(fmt.Sprint(d.Denial, d.Err), token) {
			t.Errorf("%v %v %v", d.Verdict, d.Denial, d.Err)
		}
	}
}

// The realm, the tenant and the original request reach the legs as the plan says, not as the caller or a plugin does.
func TestWhatLegsAreGiven(t *testing.T) {
	first := stages(func(s *sdk.State) error {
		if s.Request.Realm != "r" || s.Request.HTTP != nil {
			t.Errorf("the first leg is given realm %q and the request %v", s.Request.Realm, s.Request.HTTP)
		}
		s.Identity = &sdk.Identity{Tenant: "another"}
		return nil
	})
	second := stages(func(s *sdk.State) error {
		if s.Identity.Tenant != "idp" {
			t.Errorf("the second leg is given tenant %q", s.Identity.Tenant)
		}
		return goodState(sdk.SourceExternal)(s)
	})
	p := plan(t, ModeExternal, nil, first, standing{})
	p.c.External.Legs = []Leg{first, second}
	if d := p.Decide(t.Context(), sdk.Request{Realm: "forged", Scheme: "bearer", HTTP: &sdk.HTTPMessage{}}); d.Verdict != Allowed {
		t.Errorf("%v %v", d.Verdict, d.Err)
	}
}

// An internal side that hangs leaves the external side time to say yes, and its no does not count.
func TestMixedModeWithAHangingSide(t *testing.T) {
	for _, tt := range []struct {
		external stages
		want     Verdict
	}{{goodState(sdk.SourceExternal), Allowed}, {func(*sdk.State) error { return sdk.Deny("signature_invalid", "") }, Unavailable}} {
		p := plan(t, ModeMixed, nil, tt.external, standing{})
		p.c.Timeout = 100 * time.Millisecond
		p.c.Internal.Legs = []Leg{waiting{}}
		p.c.External.Legs = []Leg{alive{tt.external}}
		if d := p.Decide(t.Context(), sdk.Request{Scheme: "bearer"}); d.Verdict != tt.want {
			t.Errorf("%v %v, want %v", d.Verdict, d.Err, tt.want)
		}
	}
}

// Of a time that is less than the plan's the internal side has half, too.
func TestMixedModeWithLittleTime(t *testing.T) {
	var ends []time.Time
	p := plan(t, ModeMixed, nil, goodState(sdk.SourceExternal), standing{})
	p.c.Timeout = time.Hour
	p.c.Internal.Legs = []Leg{noting{&ends}, stages(func(*sdk.State) error { return sdk.NotMine() })}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if d := p.Decide(ctx, sdk.Request{Scheme: "bearer"}); d.Verdict != Allowed || len(ends) != 1 || time.Until(ends[0]) > time.Minute/2 {
		t.Errorf("%v %v", d.Verdict, ends)
	}
}

// alive is a leg that heeds its context, as a real one does.
type alive struct{ Leg }

func (a alive) Run(ctx context.Context, s *sdk.State) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return a.Leg.Run(ctx, s)
}

func TestStandingHasTheLastWord(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want Verdict
	}{{nil, Allowed}, {sdk.Deny("token_revoked", ""), Denied}, {errors.New("database is down"), Unavailable}} {
		p := plan(t, ModeInternal, goodState(sdk.SourceInternal), nil, standing{tt.err})
		if d := p.Decide(t.Context(), sdk.Request{Scheme: "bearer"}); d.Verdict != tt.want {
			t.Errorf("%v: %v", tt.err, d.Verdict)
		}
	}
}

func TestMixedMode(t *testing.T) {
	yes := func(src sdk.Source) stages { return goodState(src) }
	say := func(err error) stages { return func(*sdk.State) error { return err } }
	bad, fault := sdk.Deny("signature_invalid", ""), errors.New("plugin is down")
	tests := []struct {
		name               string
		internal, external stages
		want               Verdict
		reason             string
		source             sdk.Source
	}{
		{"ours", yes(sdk.SourceInternal), say(fault), Allowed, "", sdk.SourceInternal},
		{"ours but bad is final", say(bad), yes(sdk.SourceExternal), Denied, "signature_invalid", 0},
		{"not ours, theirs", say(sdk.NotMine()), yes(sdk.SourceExternal), Allowed, "", sdk.SourceExternal},
		{"not ours, theirs and bad", say(sdk.NotMine()), say(bad), Denied, "signature_invalid", 0},
		{"nobody's", say(sdk.NotMine()), say(sdk.NotMine()), Denied, "token_not_recognised", 0},
		{"not ours, they are down", say(sdk.NotMine()), say(fault), Unavailable, "", 0},
		{"we are down, theirs", say(fault), yes(sdk.SourceExternal), Allowed, "", sdk.SourceExternal},
		{"we are down, their no does not count", say(fault), say(bad), Unavailable, "", 0},
		{"both down", say(fault), say(fault), Unavailable, "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := plan(t, ModeMixed, tt.internal, tt.external, standing{}).Decide(t.Context(), sdk.Request{Scheme: "bearer"})
			if d.Verdict != tt.want || tt.reason != "" && d.Denial.Reason != tt.reason || tt.want == Allowed && d.Source != tt.source {
				t.Errorf("%v %v %v", d.Verdict, d.Denial, d.Source)
			}
		})
	}
}

func TestSchemeThatNobodyTakesReachesNoLeg(t *testing.T) {
	never := stages(func(*sdk.State) error { t.Error("a leg ran"); return nil })
	d := plan(t, ModeMixed, never, never, standing{}).Decide(t.Context(), sdk.Request{Scheme: "basic"})
	if d.Verdict != Denied || d.Denial.Reason != "token_not_recognised" {
		t.Errorf("%+v", d)
	}
}

func TestExternalRealmAdmitsNobody(t *testing.T) {
	p := plan(t, ModeExternal, nil, goodState(sdk.SourceExternal), standing{})
	if d := p.Admit(t.Context(), sdk.Credential{}); d.Verdict != Unavailable {
		t.Errorf("%v", d.Verdict)
	}
	if d := p.Decide(t.Context(), sdk.Request{Scheme: "bearer"}); d.Verdict != Allowed || d.Tenant != "idp" {
		t.Errorf("%+v", d)
	}
}

func TestOneDeadline(t *testing.T) {
	p := plan(t, ModeInternal, goodState(sdk.SourceInternal), nil, standing{})
	p.c.Timeout = time.Millisecond
	p.c.Internal.Legs = []Leg{waiting{}}
	if d := p.Decide(t.Context(), sdk.Request{Scheme: "bearer"}); d.Verdict != Unavailable || !errors.Is(d.Err, context.DeadlineExceeded) {
		t.Errorf("%v %v", d.Verdict, d.Err)
	}
	// All legs share it: none starts a time of its own.
	var deadlines []time.Time
	note := noting{&deadlines}
	p.c.Timeout = time.Minute
	p.c.Internal.Legs = []Leg{note, note, stages(goodState(sdk.SourceInternal))}
	if d := p.Decide(t.Context(), sdk.Request{Scheme: "bearer"}); d.Verdict != Allowed || len(deadlines) != 2 || !deadlines[0].Equal(deadlines[1]) {
		t.Errorf("%v %v", d.Verdict, deadlines)
	}
}

type noting struct{ deadlines *[]time.Time }

func (n noting) Run(ctx context.Context, _ *sdk.State) error {
	end, _ := ctx.Deadline()
	*n.deadlines = append(*n.deadlines, end)
	return nil
}

type waiting struct{}

func (waiting) Run(ctx context.Context, _ *sdk.State) error { <-ctx.Done(); return ctx.Err() }
