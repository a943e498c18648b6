package directorytest

import (
	"context"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/sdk"
)

func testEpochs(t *testing.T, s *store) {
	ctx := t.Context()
	var off = false
	attributes := map[string]string{"k": "v"}
	until := s.clock.Now().Add(time.Hour)
	if e := s.Epoch("r"); e != 1 {
		t.Errorf("the epoch of a realm in which nothing was changed is %d", e)
	}
	s.principal(t, "bystander", "a")
	for i, step := range []struct {
		name string
		do   func() error
	}{
		{"create role", func() error { _, err := s.CreateRole(ctx, "r", "x", nil); return err }},
		{"create principal", func() error { _, _, err := s.CreatePrincipal(ctx, "r", directory.NewPrincipal{Name: "a"}); return err }},
		{"grant", func() error { return s.GrantRole(ctx, "r", "a", "x") }},
		{"revoke role", func() error { return s.RevokeRole(ctx, "r", "a", "x") }},
		{"rotate", func() error { _, err := s.RotateSecret(ctx, "r", "a"); return err }},
		{"reset", func() error { _, err := s.ResetSecret(ctx, "r", "a"); return err }},
		{"disable", func() error {
			_, err := s.UpdatePrincipal(ctx, "r", "a", directory.Update{Enabled: &off})
			return err
		}},
		{"describe", func() error {
			_, err := s.UpdatePrincipal(ctx, "r", "a", directory.Update{Attributes: &attributes})
			return err
		}},
		{"revoke token", func() error { return s.RevokeToken(ctx, "r", "i", "t", until) }},
		{"move", func() error { return s.MoveEpoch(ctx, "r") }},
		{"delete role", func() error { return s.DeleteRole(ctx, "r", "x") }},
		{"delete principal", func() error { return s.DeletePrincipal(ctx, "r", "a") }},
		{"bootstrap", func() error {
			_, err := s.bootstrap(ctx, "r", shown)
			return err
		}},
	} {
		ok(t, step.do())
		if e := s.Epoch("r"); e != uint64(i+2) {
			t.Errorf("after %s the epoch is %d, want %d", step.name, e, i+2)
		}
	}
	before := s.Epoch("r")
	for _, err := range []error{
		s.DeletePrincipal(ctx, "r", "nobody"), s.DeleteRole(ctx, "r", "nosuch"), s.GrantRole(ctx, "r", "root", "nosuch"),
	} {
		fails(t, err, directory.ErrNotFound)
	}
	fails(t, s.DeletePrincipal(ctx, "never", "nobody"), directory.ErrNotFound)
	if e, b, n := s.Epoch("r"), s.Epoch("bystander"), s.Epoch("never"); e != before || b != 2 || n != 1 {
		t.Errorf("failures moved an epoch: %d %d %d", e, b, n)
	}
	s.Forget()
	if e, b, n := s.Epoch("r"), s.Epoch("bystander"), s.Epoch("never"); e != before+1 || b != 3 || n != 2 {
		t.Errorf("all were to be forgotten: %d %d %d", e, b, n)
	}
}

// testTwoNodes: what another node changed counts from the next Refresh on.
func testTwoNodes(t *testing.T, s *store) {
	ctx := t.Context()
	other := open(t, s.cfg)
	p, secret := s.principal(t, "r", "a")
	check := func() error { return other.CheckStanding(ctx, token(p, secret.Version), found(p)) }
	ok(t, other.Refresh(ctx))
	ok(t, check())
	s.set(t, "r", "a", false)
	ok(t, s.RevokeToken(ctx, "r", "https://idp", "t1", s.clock.Now().Add(time.Hour)))
	ok(t, other.Refresh(ctx))
	denies(t, check(), "principal_disabled", true)
	c, fp := foreign("r", "9", "x")
	denies(t, other.CheckStanding(ctx, c, fp), "token_revoked", false)
	// A change of its own shows a node all that the others did before.
	ok(t, s.DeletePrincipal(ctx, "r", "a"))
	ok(t, other.MoveEpoch(ctx, "r"))
	denies(t, check(), "principal_unknown", true)
	// What nobody changed moves nothing.
	ok(t, s.Refresh(ctx))
	before := s.Epoch("r")
	ok(t, s.Refresh(ctx))
	if e := s.Epoch("r"); e != before {
		t.Errorf("the epoch moved from %d to %d although nothing was changed", before, e)
	}
}

// testRefreshThatFails: a node that cannot learn what others changed asks the store each time, after a while; one that
// never tries is alone.
func testRefreshThatFails(t *testing.T, s *store) {
	ctx := t.Context()
	follower, loner := open(t, s.cfg), open(t, s.cfg)
	p, secret := s.principal(t, "r", "a")
	standing := func(d *directory.Directory) error { return d.CheckStanding(ctx, token(p, secret.Version), found(p)) }
	ok(t, follower.Refresh(ctx))
	ok(t, loner.CheckStanding(ctx, token(p, secret.Version), found(p)))
	ok(t, standing(follower))
	s.set(t, "r", "a", false)
	failing, cancel := context.WithCancel(ctx)
	cancel()
	for range 5 {
		if err := follower.Refresh(failing); err == nil {
			t.Fatal("a cancelled refresh succeeded")
		}
		ok(t, standing(follower))
		s.clock.pass(time.Second)
	}
	s.clock.pass(time.Second)
	denies(t, standing(follower), "principal_disabled", true)
	ok(t, s.RevokeToken(ctx, "r", "https://idp", "t1", s.clock.Now().Add(time.Hour)))
	c, fp := foreign("r", "9", "x")
	denies(t, follower.CheckStanding(ctx, c, fp), "token_revoked", false)
	ok(t, standing(loner))
	ok(t, follower.Refresh(ctx))
	denies(t, standing(follower), "principal_disabled", true)
	s.set(t, "r", "a", true)
	denies(t, standing(follower), "principal_disabled", true) // from memory again
}

func testReopen(t *testing.T, s *store) {
	ctx := t.Context()
	p, secret := s.principal(t, "r", "a")
	ok(t, s.RevokeToken(ctx, "r", "https://idp", "t1", s.clock.Now().Add(time.Hour)))
	d := open(t, s.cfg)
	ok(t, d.CheckStanding(ctx, token(p, secret.Version), found(p)))
	if _, err := d.FindPrincipal(ctx, "r", sdk.PrincipalRef{Name: "a"}); err != nil {
		t.Error(err)
	}
	c, fp := foreign("r", "9", "x")
	denies(t, d.CheckStanding(ctx, c, fp), "token_revoked", false)
	next, err := d.RotateSecret(ctx, "r", "a")
	ok(t, err)
	if next.Version == secret.Version {
		t.Error("a secret version was used twice")
	}
}
