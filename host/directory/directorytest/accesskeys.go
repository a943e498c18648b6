package directorytest

import (
	"fmt"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/sdk"
)

// accessKey plans a secret and creates a key with it.
func (s *store) accessKey(t *testing.T, realm, principal, id string) directory.AccessKey {
	t.Helper()
	ref := secretRef(t, "keys/"+id)
	ok(t, s.PlanSecrets(t.Context(), realm, directory.AccessKeyOwner(id), []sdk.SecretRef{ref}))
	k, err := s.CreateAccessKey(t.Context(), realm, directory.NewAccessKey{ID: id, Principal: principal, Secret: ref})
	ok(t, err)
	return k
}

func testAccessKeys(t *testing.T, s *store) {
	ctx := t.Context()
	p, _ := s.principal(t, "r", "a")
	s.principal(t, "r", "b")
	s.principal(t, "other", "a")
	before := s.Epoch("r")
	k := s.accessKey(t, "r", "a", "K1")
	if s.Epoch("r") <= before {
		t.Error("a new key did not move the epoch")
	}
	want := sdk.AccessKey{ID: "K1", Principal: sdk.PrincipalRef{ID: p.ID, Name: "a"}, Enabled: true, Secret: secretRef(t, "keys/K1")}
	if k.AccessKey != want || k.Realm != "r" || k.Created.IsZero() {
		t.Errorf("%+v\nwant\n%+v", k, want)
	}
	found, err := s.FindAccessKey(ctx, "r", "K1")
	ok(t, err)
	if found != want {
		t.Errorf("%+v\nwant\n%+v", found, want)
	}
	for realm, ids := range map[string][]string{"r": {"", "k1", "K2", "\x00", "\xff"}, "other": {"K1"}, "": {"K1"}, "\xff": {"K1"}} {
		for _, id := range ids {
			_, err := s.FindAccessKey(ctx, realm, id)
			denies(t, err, "access_key_unknown", false)
		}
	}
	s.set(t, "r", "a", false)
	found, err = s.FindAccessKey(ctx, "r", "K1")
	ok(t, err)
	if found.Enabled {
		t.Error("the key of a disabled principal says that it is enabled")
	}

	// One id stands for one key, and its secret has to be planned for it.
	ok(t, s.PlanSecrets(ctx, "r", directory.AccessKeyOwner("K1"), []sdk.SecretRef{secretRef(t, "again")}))
	_, err = s.CreateAccessKey(ctx, "r", directory.NewAccessKey{ID: "K1", Principal: "b", Secret: secretRef(t, "again")})
	fails(t, err, directory.ErrExists)
	_, err = s.CreateAccessKey(ctx, "r", directory.NewAccessKey{ID: "K2", Principal: "b", Secret: secretRef(t, "unplanned")})
	fails(t, err, directory.ErrSecretGone)
	_, err = s.CreateAccessKey(ctx, "r", directory.NewAccessKey{ID: "K2", Principal: "nobody", Secret: secretRef(t, "again")})
	fails(t, err, directory.ErrNotFound)

	s.clock.pass(time.Second)
	s.accessKey(t, "r", "a", "K0")
	list, err := s.ListAccessKeys(ctx, "r", "a")
	ok(t, err)
	if len(list) != 2 || list[0].ID != "K1" || list[1].ID != "K0" {
		t.Errorf("%+v", list)
	}
	if list, err = s.ListAccessKeys(ctx, "other", "a"); err != nil || len(list) != 0 {
		t.Errorf("another realm's: %+v %v", list, err)
	}
	_, err = s.ListAccessKeys(ctx, "r", "nobody")
	fails(t, err, directory.ErrNotFound)

	fails(t, s.DeleteAccessKey(ctx, "r", "b", "K1"), directory.ErrNotFound) // another principal's
	fails(t, s.DeleteAccessKey(ctx, "other", "a", "K1"), directory.ErrNotFound)
	before = s.Epoch("r")
	ok(t, s.DeleteAccessKey(ctx, "r", "a", "K1"))
	if s.Epoch("r") <= before {
		t.Error("a deleted key did not move the epoch")
	}
	fails(t, s.DeleteAccessKey(ctx, "r", "a", "K1"), directory.ErrNotFound)
	_, err = s.FindAccessKey(ctx, "r", "K1")
	denies(t, err, "access_key_unknown", false)
	if got := s.doomed(t, "r", time.Time{}); got != "keys/K1" {
		t.Errorf("doomed %s", got)
	}
}

func testAccessKeysAreFew(t *testing.T, s *store) {
	s.principal(t, "r", "a")
	for i := range directory.MaxAccessKeys {
		s.accessKey(t, "r", "a", fmt.Sprint("K", i))
	}
	ref := secretRef(t, "more")
	ok(t, s.PlanSecrets(t.Context(), "r", directory.AccessKeyOwner("more"), []sdk.SecretRef{ref}))
	_, err := s.CreateAccessKey(t.Context(), "r", directory.NewAccessKey{ID: "more", Principal: "a", Secret: ref})
	fails(t, err, directory.ErrInvalid)
	ok(t, s.DeleteAccessKey(t.Context(), "r", "a", "K0"))
	_, err = s.CreateAccessKey(t.Context(), "r", directory.NewAccessKey{ID: "more", Principal: "a", Secret: ref})
	ok(t, err)
}

// testAccessKeysDie: the keys are gone, and their secrets are doomed.
func testAccessKeysDie(t *testing.T, s *store) {
	ctx := t.Context()
	s.principal(t, "r", "a")
	s.principal(t, "r", "b")
	s.accessKey(t, "r", "a", "K1")
	s.accessKey(t, "r", "a", "K2")
	s.accessKey(t, "r", "b", "K3")
	ok(t, s.DeletePrincipal(ctx, "r", "a"))
	for _, id := range []string{"K1", "K2"} {
		_, err := s.FindAccessKey(ctx, "r", id)
		denies(t, err, "access_key_unknown", false)
	}
	if got := s.doomed(t, "r", time.Time{}); got != "keys/K1 keys/K2" {
		t.Errorf("doomed %s", got)
	}
	_, err := s.FindAccessKey(ctx, "r", "K3")
	ok(t, err)
	s.principal(t, "r", "a") // another one
	if list, err := s.ListAccessKeys(ctx, "r", "a"); err != nil || len(list) != 0 {
		t.Errorf("%+v %v", list, err)
	}
}
