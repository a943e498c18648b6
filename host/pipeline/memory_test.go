package pipeline

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

func TestCacheForIsTheLeastOfAllLives(t *testing.T) {
	yes, no := goodState(sdk.SourceInternal), func(s *sdk.State) error { return sdk.Deny("signature_invalid", "") }
	hint := func(then func(*sdk.State) error, h sdk.CacheHint) stages {
		return func(s *sdk.State) error { s.Cache = h; return then(s) }
	}
	tests := []struct {
		name string
		leg  stages
		want time.Duration
	}{
		{"the maximum", yes, time.Minute},
		{"the credential", lying(sdk.SourceInternal, func(s *sdk.State) { s.Credential.Expires = now.Add(5 * time.Second) }), 5 * time.Second},
		{"a stage", hint(yes, sdk.CacheHint{MaxAge: time.Second}), time.Second},
		{"never", hint(yes, sdk.CacheHint{NoStore: true}), 0},
		{"a no", no, 2 * time.Second},
		{"a no of a stage", hint(no, sdk.CacheHint{MaxAge: time.Second}), time.Second},
		{"a no that a stage wants for long", hint(no, sdk.CacheHint{MaxAge: time.Hour}), 2 * time.Second},
		{"a no, never", hint(no, sdk.CacheHint{NoStore: true}), 0},
		{"a no to nobody's", func(*sdk.State) error { return sdk.NotMine() }, 2 * time.Second},
		{"a no with a nonce", func(*sdk.State) error {
			return &sdk.Denial{Reason: "use_dpop_nonce", Challenge: []sdk.Header{{Name: "dpop-nonce", Value: "1"}}}
		}, 0},
		{"a fault", func(*sdk.State) error { return errors.New("down") }, 0},
		{"a fault that a stage wants kept", hint(func(*sdk.State) error { return errors.New("down") }, sdk.CacheHint{MaxAge: time.Second}), 0},
	}
	for _, tt := range tests {
		d := plan(t, ModeInternal, tt.leg, nil, standing{}).Decide(t.Context(), sdk.Request{Scheme: "bearer"})
		if d.CacheFor != tt.want {
			t.Errorf("%s: %v", tt.name, d.CacheFor)
		}
	}
	if d := plan(t, ModeInternal, yes, nil, standing{sdk.Deny("token_revoked", "")}).Decide(t.Context(), sdk.Request{Scheme: "bearer"}); d.CacheFor != 2*time.Second {
		t.Errorf("the directory's no: %v", d.CacheFor)
	}
}

// In mixed mode both sides have a say about what is remembered, and what holds only for as long as the internal side cannot
// tell is not.
func TestCacheForInMixedMode(t *testing.T) {
	say := func(err error, h sdk.CacheHint) stages { return func(s *sdk.State) error { s.Cache = h; return err } }
	yes, hint := stages(goodState(sdk.SourceExternal)), sdk.CacheHint{MaxAge: time.Second}
	for name, tt := range map[string]struct {
		internal, external stages
		verdict            Verdict
		want               time.Duration
	}{
		"not ours, theirs":                     {say(sdk.NotMine(), sdk.CacheHint{}), yes, Allowed, time.Minute},
		"not ours for a second, theirs":        {say(sdk.NotMine(), hint), yes, Allowed, time.Second},
		"not ours at the moment, theirs":       {say(sdk.NotMine(), sdk.CacheHint{NoStore: true}), yes, Allowed, 0},
		"not ours for a second, nobody's":      {say(sdk.NotMine(), hint), say(sdk.NotMine(), sdk.CacheHint{}), Denied, time.Second},
		"ours, bad":                            {say(sdk.Deny("token_expired", ""), hint), yes, Denied, time.Second},
		"we are down, theirs":                  {say(errors.New("down"), sdk.CacheHint{}), yes, Allowed, 0},
		"we are down, their no does not count": {say(errors.New("down"), sdk.CacheHint{}), say(sdk.Deny("token_expired", ""), hint), Unavailable, 0},
	} {
		d := plan(t, ModeMixed, tt.internal, tt.external, standing{}).Decide(t.Context(), sdk.Request{Scheme: "bearer"})
		if d.Verdict != tt.verdict || d.CacheFor != tt.want {
			t.Errorf("%s: %v for %v", name, d.Verdict, d.CacheFor)
		}
	}
}

// asked is a memory that knows nothing, and says so.
type asked struct{ n *int }

func (a asked) Decide(ctx context.Context, p *Plan, req sdk.Request) Decision {
	*a.n++
	return p.DecideAnew(ctx, req)
}

func TestWhenAMemoryIsAsked(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*Config)
		want   int
	}{
		"a plan that may be remembered":  {func(*Config) {}, 1},
		"a stage that reads the request": {func(c *Config) { c.Internal.NeedsHTTP = true }, 0},
		"nothing is to be remembered":    {func(c *Config) { c.MaxCache, c.MaxDenied = 0, 0 }, 0},
		"denials only":                   {func(c *Config) { c.MaxCache = 0 }, 1},
		"what is allowed only":           {func(c *Config) { c.MaxDenied = 0 }, 1},
	} {
		n, p := 0, plan(t, ModeInternal, goodState(sdk.SourceInternal), nil, standing{})
		p.c.Memory = asked{&n}
		tt.change(&p.c)
		ctx, req := t.Context(), sdk.Request{Scheme: "bearer", Token: "x"}
		if d := p.Decide(ctx, req); d.Verdict != Allowed || n != tt.want {
			t.Errorf("%s: %v, asked %d times", name, d.Verdict, n)
		}
		// The token service, and whoever decides anew, gets what is true now.
		_, _, _ = p.DecideAnew(ctx, req), p.DecideOwn(ctx, req), p.Admit(ctx, sdk.Credential{})
		if n != tt.want {
			t.Errorf("%s: the memory was asked on other ways", name)
		}
	}
}

// What a stage says for one request only is so marked, whatever it is, on either side of a mixed realm; what the host itself does
// not remember is not.
func TestAlone(t *testing.T) {
	say := func(err error, h sdk.CacheHint) stages { return func(s *sdk.State) error { s.Cache = h; return err } }
	only, down := sdk.CacheHint{NoStore: true}, errors.New("down")
	yes := stages(goodState(sdk.SourceExternal))
	for name, tt := range map[string]struct {
		internal, external stages
		want               bool
	}{
		"nobody says so":                  {say(sdk.NotMine(), sdk.CacheHint{MaxAge: 1}), yes, false},
		"the internal side":               {say(sdk.NotMine(), only), yes, true},
		"the internal side, with a no":    {say(sdk.Deny("token_expired", ""), only), yes, true},
		"the internal side, with a fault": {say(down, only), yes, true},
		"the external side, with a fault": {say(sdk.NotMine(), sdk.CacheHint{}), say(down, only), true},
		"a no that does not count":        {say(down, sdk.CacheHint{}), say(sdk.Deny("token_expired", ""), only), true},
		"a fault":                         {say(down, sdk.CacheHint{}), yes, false},
	} {
		if d := plan(t, ModeMixed, tt.internal, tt.external, standing{}).Decide(t.Context(), sdk.Request{Scheme: "bearer"}); d.Alone != tt.want {
			t.Errorf("%s: %+v", name, d)
		}
	}
}
