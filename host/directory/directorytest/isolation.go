package directorytest

import (
	"fmt"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/sdk"
)

// testIsolation calls every method in a realm, with the names, ids and secrets of another one.
func testIsolation(t *testing.T, s *store) {
	ctx := t.Context()
	s.role(t, "mine", "dev")
	p, secret, err := s.CreatePrincipal(ctx, "mine", directory.NewPrincipal{ID: "1", Name: "a", Roles: []string{"dev"}})
	ok(t, err)
	ok(t, s.RevokeToken(ctx, "mine", "https://idp", "t1", s.clock.Now().Add(time.Hour)))
	before := fmt.Sprint(p, s.Epoch("mine"))
	on := true
	for _, realm := range []string{"other", "Mine", "mine2", "m%"} {
		for what, err := range map[string]error{
			"get":       second(s.GetPrincipal(ctx, realm, "a")),
			"get by id": second(s.GetPrincipalByID(ctx, realm, "1")),
			"get role":  second(s.GetRole(ctx, realm, "dev")),
			"update":    second(s.UpdatePrincipal(ctx, realm, "a", directory.Update{Enabled: &on})),
			"rotate":    second(s.RotateSecret(ctx, realm, "a")),
			"reset":     second(s.ResetSecret(ctx, realm, "a")),
			"grant":     s.GrantRole(ctx, realm, "a", "dev"),
			"revoke":    s.RevokeRole(ctx, realm, "a", "dev"),
			"drop role": s.DeleteRole(ctx, realm, "dev"),
			"drop":      s.DeletePrincipal(ctx, realm, "a"),
		} {
			t.Run(realm+" "+what, func(t *testing.T) { fails(t, err, directory.ErrNotFound) })
		}
		fails(t, s.login(ctx, realm, secret), directory.ErrBadCredentials)
		for _, ref := range []sdk.PrincipalRef{{ID: "1"}, {Name: "a"}, {ID: "1", Name: "a"}} {
			_, err := s.FindPrincipal(ctx, realm, ref)
			denies(t, err, "principal_unknown", true)
		}
		c := token(p, secret.Version)
		c.Realm = realm
		denies(t, s.CheckStanding(ctx, c, found(p)), "principal_unknown", true)
		ext, fp := foreign(realm, "1", "a")
		denies(t, s.CheckStanding(ctx, ext, fp), "", false)
		_, _, err = s.CreatePrincipal(ctx, realm, directory.NewPrincipal{Name: "b", Roles: []string{"dev"}})
		fails(t, err, directory.ErrInvalid)
		if ps, _, err := s.ListPrincipals(ctx, realm, directory.Page{}); err != nil || len(ps) > 0 {
			t.Errorf("%v %v", ps, err)
		}
		if rs, _, err := s.ListRoles(ctx, realm, directory.Page{}); err != nil || len(rs) > 0 {
			t.Errorf("%v %v", rs, err)
		}
	}
	// The same names in another realm are others, and what happens to them leaves the first alone.
	s.role(t, "other", "dev")
	q, qSecret, err := s.CreatePrincipal(ctx, "other", directory.NewPrincipal{ID: "1", Name: "a", Roles: []string{"dev"}})
	ok(t, err)
	if q.ClientID == p.ClientID {
		t.Error("two principals share a client id")
	}
	fails(t, s.login(ctx, "mine", qSecret), directory.ErrBadCredentials)
	s.set(t, "other", "a", false)
	ok(t, second(s.ResetSecret(ctx, "other", "a")))
	ok(t, s.RevokeRole(ctx, "other", "a", "dev"))
	ok(t, s.RevokeToken(ctx, "other", "https://gate/mine", "t1", s.clock.Now().Add(time.Hour)))
	ok(t, s.DeleteRole(ctx, "other", "dev"))
	ok(t, s.DeletePrincipal(ctx, "other", "a"))
	ok(t, second(s.bootstrap(ctx, "other", shown)))
	after, err := s.GetPrincipal(ctx, "mine", "a")
	ok(t, err)
	if got := fmt.Sprint(after, s.Epoch("mine")); got != before {
		t.Errorf("%s, before %s", got, before)
	}
	ok(t, s.login(ctx, "mine", secret))
	ok(t, s.CheckStanding(ctx, token(p, secret.Version), found(p)))
}

func second[T any](_ T, err error) error { return err }
