package directorytest

import (
	"maps"
	"slices"
	"testing"

	"github.com/realmgate/realmgate/host/directory"
)

func testRoles(t *testing.T, s *store) {
	ctx := t.Context()
	attributes := map[string]string{"owner": "x"}
	made, err := s.CreateRole(ctx, "r", "dev", attributes)
	ok(t, err)
	got, err := s.GetRole(ctx, "r", "dev")
	ok(t, err)
	for _, r := range []directory.Role{made, got} {
		if r.Realm != "r" || r.Name != "dev" || r.Version != 1 || !maps.Equal(r.Attributes, attributes) || r.Created.IsZero() || r.Updated != r.Created {
			t.Errorf("%+v", r)
		}
	}
	_, err = s.CreateRole(ctx, "r", "dev", nil)
	fails(t, err, directory.ErrExists)
	ok(t, s.DeleteRole(ctx, "r", "dev"))
	_, err = s.GetRole(ctx, "r", "dev")
	fails(t, err, directory.ErrNotFound)
	fails(t, s.DeleteRole(ctx, "r", "dev"), directory.ErrNotFound)
}

func testGrants(t *testing.T, s *store) {
	ctx := t.Context()
	s.principal(t, "r", "a")
	s.principal(t, "r", "b")
	s.role(t, "r", "x", "y")
	has := func(name string, version int64, want ...string) {
		t.Helper()
		p, err := s.GetPrincipal(ctx, "r", name)
		ok(t, err)
		if !slices.Equal(p.Roles, want) || p.Version != version {
			t.Errorf("%s: %v at version %d, want %v at %d", name, p.Roles, p.Version, want, version)
		}
	}
	ok(t, s.GrantRole(ctx, "r", "a", "y"))
	ok(t, s.GrantRole(ctx, "r", "a", "x"))
	ok(t, s.GrantRole(ctx, "r", "b", "x"))
	has("a", 3, "x", "y")
	before := s.Epoch("r")
	ok(t, s.GrantRole(ctx, "r", "a", "x"))
	ok(t, s.RevokeRole(ctx, "r", "b", "y"))
	has("a", 3, "x", "y")
	if s.Epoch("r") != before {
		t.Error("grants that change nothing moved the epoch")
	}
	ok(t, s.RevokeRole(ctx, "r", "a", "y"))
	has("a", 4, "x")
	fails(t, s.GrantRole(ctx, "r", "a", "nosuch"), directory.ErrNotFound)
	fails(t, s.GrantRole(ctx, "r", "nobody", "x"), directory.ErrNotFound)
	fails(t, s.RevokeRole(ctx, "r", "a", "nosuch"), directory.ErrNotFound)

	ok(t, s.DeleteRole(ctx, "r", "x"))
	has("a", 5)
	has("b", 3)
	s.role(t, "r", "x") // one of the same name is another role
	has("a", 5)

	ok(t, s.GrantRole(ctx, "r", "a", "x"))
	ok(t, s.DeletePrincipal(ctx, "r", "a"))
	s.principal(t, "r", "a")
	has("a", 1)
}
