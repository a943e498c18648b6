package directorytest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/sdk"
)

func testFindPrincipal(t *testing.T, s *store) {
	ctx := t.Context()
	s.role(t, "r", "x", "a")
	p, _, err := s.CreatePrincipal(ctx, "r", directory.NewPrincipal{ID: "7", Name: "a", Roles: []string{"x", "a"}, Attributes: map[string]string{"k": "v"}})
	ok(t, err)
	s.principal(t, "r", "b")
	s.principal(t, "r", "7") // the name of one is the id of another
	for range 2 {            // from the store, then from memory
		for _, ref := range []sdk.PrincipalRef{{ID: "7"}, {Name: "a"}, {ID: "7", Name: "a"}} {
			got, err := s.FindPrincipal(ctx, "r", ref)
			ok(t, err)
			want := sdk.Principal{Realm: "r", ID: "7", Name: "a", Enabled: true, Roles: []string{"a", "x"}, Attributes: p.Attributes}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%v: %+v", ref, got)
			}
		}
		for ref, reason := range map[sdk.PrincipalRef]string{
			{}:                      "principal_unknown",
			{ID: "8"}:               "principal_unknown",
			{Name: "A"}:             "principal_unknown",
			{ID: "a"}:               "principal_unknown",
			{ID: "8", Name: "a"}:    "principal_unknown",
			{ID: "7", Name: "b"}:    "principal_mismatch",
			{ID: "7", Name: "none"}: "principal_mismatch",
		} {
			_, err := s.FindPrincipal(ctx, "r", ref)
			denies(t, err, reason, true)
		}
	}
	s.set(t, "r", "a", false)
	got, err := s.FindPrincipal(ctx, "r", sdk.PrincipalRef{ID: "7"})
	if err != nil || got.Enabled {
		t.Errorf("a disabled principal: %+v %v", got, err)
	}
}

func testAnswersAreCopies(t *testing.T, s *store) {
	s.role(t, "r", "x")
	_, _, err := s.CreatePrincipal(t.Context(), "r", directory.NewPrincipal{ID: "7", Name: "a", Roles: []string{"x"}, Attributes: map[string]string{"k": "v"}})
	ok(t, err)
	for range 3 {
		p, err := s.FindPrincipal(t.Context(), "r", sdk.PrincipalRef{ID: "7"})
		ok(t, err)
		if p.Roles[0] != "x" || p.Attributes["k"] != "v" {
			t.Fatalf("a caller changed what others are told: %+v", p)
		}
		p.Roles[0], p.Attributes["k"] = "admin", "w"
	}
}

func testChangesAreSeenAtOnce(t *testing.T, s *store) {
	ctx := t.Context()
	s.role(t, "r", "x")
	find := func(name string) (sdk.Principal, error) {
		return s.FindPrincipal(ctx, "r", sdk.PrincipalRef{Name: name})
	}
	for i := range 5 {
		name := fmt.Sprint("p", i)
		_, err := find(name)
		denies(t, err, "principal_unknown", true)
		p, first := s.principal(t, "r", name)
		standing := func(version string) error { return s.CheckStanding(ctx, token(p, version), found(p)) }
		got, err := find(name)
		if err != nil || len(got.Roles) != 0 {
			t.Fatalf("created: %+v %v", got, err)
		}
		ok(t, standing(first.Version))
		ok(t, s.GrantRole(ctx, "r", name, "x"))
		if got, err := find(name); err != nil || !slices.Equal(got.Roles, []string{"x"}) {
			t.Fatalf("granted: %+v %v", got, err)
		}
		ok(t, s.RevokeRole(ctx, "r", name, "x"))
		if got, err := find(name); err != nil || len(got.Roles) != 0 {
			t.Fatalf("revoked: %+v %v", got, err)
		}
		second, err := s.RotateSecret(ctx, "r", name)
		ok(t, err)
		ok(t, standing(first.Version))
		ok(t, standing(second.Version))
		third, err := s.ResetSecret(ctx, "r", name)
		ok(t, err)
		denies(t, standing(first.Version), "token_revoked", false)
		denies(t, standing(second.Version), "token_revoked", false)
		ok(t, standing(third.Version))
		s.set(t, "r", name, false)
		denies(t, standing(third.Version), "principal_disabled", true)
		s.set(t, "r", name, true)
		denies(t, standing(third.Version), "token_revoked", false) // not even now
		ok(t, s.DeletePrincipal(ctx, "r", name))
		denies(t, standing(third.Version), "principal_unknown", true)
		_, err = find(name)
		denies(t, err, "principal_unknown", true)
	}
}

func testStandingInternal(t *testing.T, s *store) {
	p, secret := s.principal(t, "r", "a")
	q, _ := s.principal(t, "r", "b")
	off, offSecret := s.principal(t, "r", "off")
	s.set(t, "r", "off", false)
	elsewhere, elsewhereSecret := s.principal(t, "other", "a")
	type change func(*sdk.Credential, *sdk.Principal)
	for _, tt := range []struct {
		name      string
		change    change
		reason    string
		forbidden bool
	}{
		{"good", func(*sdk.Credential, *sdk.Principal) {}, "", false},
		{"id only", func(c *sdk.Credential, _ *sdk.Principal) { c.Principal.Name = "" }, "", false},
		{"no token id", func(c *sdk.Credential, _ *sdk.Principal) { c.TokenID = "" }, "", false},
		{"name only", func(c *sdk.Credential, _ *sdk.Principal) { c.Principal.ID = "" }, "principal_unknown", true},
		{"no principal", func(c *sdk.Credential, _ *sdk.Principal) { c.Principal = sdk.PrincipalRef{} }, "principal_unknown", true},
		{"unknown id", func(c *sdk.Credential, p *sdk.Principal) { c.Principal.ID, p.ID = "x", "x" }, "principal_unknown", true},
		{"another's name in the token", func(c *sdk.Credential, _ *sdk.Principal) { c.Principal.Name = q.Name }, "principal_mismatch", true},
		{"another's id found", func(_ *sdk.Credential, p *sdk.Principal) { p.ID = q.ID }, "principal_mismatch", true},
		{"another's name found", func(_ *sdk.Credential, p *sdk.Principal) { p.Name = q.Name }, "principal_mismatch", true},
		{"another found", func(_ *sdk.Credential, p *sdk.Principal) { *p = found(q) }, "principal_mismatch", true},
		{"nobody found", func(_ *sdk.Credential, p *sdk.Principal) { *p = sdk.Principal{} }, "principal_mismatch", true},
		{"disabled", func(c *sdk.Credential, p *sdk.Principal) { *c, *p = token(off, offSecret.Version), found(off) }, "principal_disabled", true},
		{"no secret version", func(c *sdk.Credential, _ *sdk.Principal) { c.SecretVersion = "" }, "token_revoked", false},
		{"version of another", func(c *sdk.Credential, _ *sdk.Principal) { c.SecretVersion = offSecret.Version }, "token_revoked", false},
		{"another realm", func(c *sdk.Credential, _ *sdk.Principal) { c.Realm = "other" }, "principal_unknown", true},
		{"unknown realm", func(c *sdk.Credential, _ *sdk.Principal) { c.Realm = "nosuch" }, "principal_unknown", true},
		{"other realm's own", func(c *sdk.Credential, p *sdk.Principal) {
			*c, *p = token(elsewhere, elsewhereSecret.Version), found(elsewhere)
		}, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, fp := token(p, secret.Version), found(p)
			tt.change(&c, &fp)
			denies(t, s.CheckStanding(t.Context(), c, fp), tt.reason, tt.forbidden)
		})
	}
	c := token(p, secret.Version)
	c.Source = 0
	if err := s.CheckStanding(t.Context(), c, found(p)); err == nil || sdk.AsDenial(err) != nil {
		t.Errorf("a credential without a source: %v", err)
	}
}

// testLyingAuthenticator: a role that the directory did not grant is no reason for a denial; somebody lies.
func testLyingAuthenticator(t *testing.T, s *store) {
	s.role(t, "r", "dev", "ops", "admin")
	p, secret := s.principal(t, "r", "a", "dev", "ops")
	s.principal(t, "r", "b", "admin")
	for name, tt := range map[string]struct {
		roles []string
		lie   bool
	}{
		"none":                  {nil, false},
		"some":                  {[]string{"ops"}, false},
		"all, in another order": {[]string{"ops", "dev"}, false},
		"another's":             {[]string{"dev", "admin"}, true},
		"unknown":               {[]string{"root"}, true},
		"in another case":       {[]string{"DEV"}, true},
		"with a prefix":         {[]string{"PRINCIPAL_ROLE:dev"}, true},
	} {
		fp := found(p)
		fp.Roles = tt.roles
		if err := s.CheckStanding(t.Context(), token(p, secret.Version), fp); (err != nil) != tt.lie || sdk.AsDenial(err) != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	c, fp := foreign("r", "9", "x")
	fp.Roles = []string{"mapped"} // the roles of a foreign identity are not the directory's
	ok(t, s.CheckStanding(t.Context(), c, fp))
}

// foreign is an external credential, and the principal that a part which trusts it gives.
func foreign(realm, id, name string) (sdk.Credential, sdk.Principal) {
	ref := sdk.PrincipalRef{ID: id, Name: name}
	return sdk.Credential{Realm: realm, Source: sdk.SourceExternal, Issuer: "https://idp", TokenID: "t1", Principal: ref},
		sdk.Principal{Realm: realm, ID: id, Name: name, Enabled: true}
}

func testStandingExternal(t *testing.T, s *store) {
	for _, n := range []directory.NewPrincipal{{ID: "1", Name: "on"}, {ID: "2", Name: "off"}} {
		_, _, err := s.CreatePrincipal(t.Context(), "r", n)
		ok(t, err)
	}
	s.set(t, "r", "off", false)
	for _, tt := range []struct{ realm, id, name, reason string }{
		{"r", "1", "on", ""},
		{"r", "9", "stranger", ""},
		{"r", "", "", ""},
		{"r", "9", "off", "principal_disabled"},
		{"r", "2", "on", "principal_disabled"},
		{"r", "9", "on", ""},
		{"r", "1", "stranger", ""},
		{"other", "2", "off", ""},
		{"r", "2", "off", "principal_disabled"},
		{"r", "2", "", "principal_disabled"},
		{"r", "", "off", "principal_disabled"},
	} {
		c, p := foreign(tt.realm, tt.id, tt.name)
		denies(t, s.CheckStanding(t.Context(), c, p), tt.reason, true)
	}
}

func testRevocations(t *testing.T, s *store) {
	ctx := t.Context()
	p, secret := s.principal(t, "r", "a")
	until := s.clock.Now().Add(time.Hour)
	internal := func(id string) error {
		c := token(p, secret.Version)
		c.TokenID = id
		return s.CheckStanding(ctx, c, found(p))
	}
	external := func(issuer, id string) error {
		c, fp := foreign("r", "9", "x")
		c.Issuer, c.TokenID = issuer, id
		return s.CheckStanding(ctx, c, fp)
	}
	ok(t, internal("t1"))
	ok(t, external("https://idp", "t1"))
	ok(t, s.RevokeToken(ctx, "r", "https://gate/r", "t1", until))
	denies(t, internal("t1"), "token_revoked", false)
	ok(t, internal("t2"))
	ok(t, external("https://idp", "t1"))
	ok(t, s.RevokeToken(ctx, "r", "https://idp", "t1", until))
	denies(t, external("https://idp", "t1"), "token_revoked", false)
	ok(t, external("https://idpt", "1")) // the two must not run together
	ok(t, external("https://id", "pt1"))
	// All tokens of a session end with it; only the realm's own have one.
	const one, two = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
	ok(t, s.RevokeToken(ctx, "r", "https://gate/r", directory.SessionOf(one+"."+two), until))
	ok(t, s.RevokeToken(ctx, "r", "https://idp", one, until))
	denies(t, internal(one), "token_revoked", false)
	denies(t, internal(one+"."+two), "token_revoked", false)
	ok(t, internal(two+"."+one))
	ok(t, internal("x."+one))
	ok(t, internal(one+".x"))
	ok(t, external("https://idp", one+"."+two))
	for id, want := range map[string]bool{one: true, two: false, one + "." + two: false} {
		if got, err := s.IsRevoked(ctx, "r", "https://gate/r", id); err != nil || got != want {
			t.Errorf("%s is revoked: %v %v", id, got, err)
		}
	}
	before := s.Epoch("r")
	ok(t, s.RevokeToken(ctx, "r", "https://idp", "t1", until))
	if s.Epoch("r") != before {
		t.Error("a token that was revoked already moved the epoch")
	}
	junk := "\x00\xff" + string(make([]byte, 1<<16))
	ok(t, external(junk, junk))
	ok(t, s.RevokeToken(ctx, "r", junk, junk, until))
	denies(t, external(junk, junk), "token_revoked", false)
	fails(t, s.RevokeToken(ctx, "r", "https://idp", "", until), directory.ErrInvalid)
}

func testRevocationsEnd(t *testing.T, s *store) {
	ctx := t.Context()
	const day = 24 * time.Hour
	check := func(id string) error {
		c, p := foreign("r", "9", "x")
		c.TokenID = id
		return s.CheckStanding(ctx, c, p)
	}
	revoke := func(id string, until time.Time) {
		t.Helper()
		ok(t, s.RevokeToken(ctx, "r", "https://idp", id, until))
	}
	now := s.clock.Now()
	revoke("short", now.Add(time.Minute))
	revoke("long", now.Add(time.Minute))
	revoke("long", now.Add(3*day))
	revoke("long", now.Add(time.Minute)) // never shortens
	revoke("forever", time.Time{})
	s.clock.pass(2 * time.Minute)
	revoke("x", now.Add(time.Hour))
	denies(t, check("short"), "token_revoked", false) // it may still be accepted somewhere for a clock that is late
	s.clock.pass(2 * day)
	revoke("y", now.Add(4*day))
	ok(t, check("short"))
	denies(t, check("long"), "token_revoked", false)
	before := s.Epoch("r")
	revoke("ancient", now)
	if s.Epoch("r") != before {
		t.Error("a token that expired days ago was kept")
	}
	s.clock.pass(100 * 365 * day)
	revoke("z", s.clock.Now().Add(day))
	ok(t, check("long"))
	denies(t, check("forever"), "token_revoked", false)
}

// testStoreThatIsGone: no answer is not a no.
func testStoreThatIsGone(t *testing.T, s *store) {
	d := open(t, s.cfg)
	p, secret := s.principal(t, "r", "a")
	ok(t, d.Ping(t.Context()))
	ok(t, d.Close())
	ctx := t.Context()
	c, fp := foreign("r", "9", "x")
	_, _, login := d.Authenticate(ctx, "r", secret.ClientID, string(secret.Secret.Reveal()))
	_, find := d.FindPrincipal(ctx, "r", sdk.PrincipalRef{ID: p.ID})
	_, get := d.GetPrincipal(ctx, "r", "a")
	_, _, list := d.ListPrincipals(ctx, "r", directory.Page{})
	for what, err := range map[string]error{
		"ping": d.Ping(ctx), "authenticate": login, "find": find, "get": get, "list": list, "refresh": d.Refresh(ctx),
		"internal": d.CheckStanding(ctx, token(p, secret.Version), found(p)), "external": d.CheckStanding(ctx, c, fp),
		"revoke": d.RevokeToken(ctx, "r", "i", "t", time.Time{}), "delete": d.DeletePrincipal(ctx, "r", "a"),
	} {
		if err == nil || sdk.AsDenial(err) != nil || errors.Is(err, directory.ErrNotFound) || errors.Is(err, directory.ErrBadCredentials) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func testCancelledContext(t *testing.T, s *store) {
	p, secret := s.principal(t, "r", "a")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	before := s.Epoch("r")
	_, err := s.RotateSecret(ctx, "r", "a")
	fails(t, err, context.Canceled)
	fails(t, s.login(ctx, "r", secret), context.Canceled)
	fails(t, s.CheckStanding(ctx, token(p, secret.Version), found(p)), context.Canceled)
	if s.Epoch("r") != before {
		t.Error("a cancelled change moved the epoch")
	}
	ok(t, s.login(t.Context(), "r", secret))
}
