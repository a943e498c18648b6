package directorytest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/directory"
)

func testBootstrap(t *testing.T, s *store) {
	var secret directory.ClientSecret
	created, err := s.bootstrap(t.Context(), "r", func(all []directory.Root) error {
		if p := all[0]; p.Name != "root" || !slices.Equal(p.Roles, []string{"service_admin"}) || !p.Enabled || p.ClientID != p.Secret.ClientID {
			t.Errorf("%+v", p)
		}
		secret = all[0].Secret
		return nil
	})
	if err != nil || !created {
		t.Fatal(created, err)
	}
	ok(t, s.login(t.Context(), "r", secret))
	created, err = s.bootstrap(t.Context(), "r", func([]directory.Root) error {
		t.Error("a second secret was shown")
		return nil
	})
	if err != nil || created {
		t.Error(created, err)
	}
	ok(t, s.DeletePrincipal(t.Context(), "r", "root"))
	if created, err := s.bootstrap(t.Context(), "r", nil); err != nil || created {
		t.Errorf("a realm was bootstrapped again because its root is gone: %v %v", created, err)
	}
	s.principal(t, "taken", "root")
	created, err = s.bootstrap(t.Context(), "taken", shown)
	if !errors.Is(err, directory.ErrExists) || created {
		t.Errorf("a principal was made root: %v %v", created, err)
	}
}

func testBootstrapUnshown(t *testing.T, s *store) {
	broken := errors.New("the terminal is gone")
	created, err := s.bootstrap(t.Context(), "r", func([]directory.Root) error { return broken })
	if created || !errors.Is(err, broken) {
		t.Errorf("%v %v", created, err)
	}
	_, err = s.GetPrincipal(t.Context(), "r", "root")
	fails(t, err, directory.ErrNotFound)
	if e := s.Epoch("r"); e != 1 {
		t.Errorf("epoch %d", e)
	}
	created, err = s.bootstrap(t.Context(), "r", shown)
	if !created || err != nil {
		t.Errorf("%v %v", created, err)
	}
}

// Many realms are bootstrapped together: all that were not, or none.
func testBootstrapAll(t *testing.T, s *store) {
	ctx := t.Context()
	if created, err := s.bootstrap(ctx, "old", shown); !created || err != nil {
		t.Fatal(created, err)
	}
	realms := []string{"new2", "old", "new1", "new2"}
	pending := func(want ...string) {
		t.Helper()
		if got, err := s.Unbootstrapped(ctx, []string{"new2", "old", "new1"}); err != nil || !slices.Equal(got, want) {
			t.Errorf("not bootstrapped: %v %v, want %v", got, err, want)
		}
	}
	pending("new2", "new1")
	broken := errors.New("the terminal is gone")
	if created, err := s.BootstrapAll(ctx, realms, func([]directory.Root) error { return broken }); len(created) > 0 || !errors.Is(err, broken) {
		t.Errorf("%v %v", created, err)
	}
	pending("new2", "new1")
	s.principal(t, "taken", "root")
	if created, err := s.BootstrapAll(ctx, append(realms, "taken"), shown); len(created) > 0 || !errors.Is(err, directory.ErrExists) || !strings.Contains(err.Error(), `"taken"`) {
		t.Errorf("%v %v", created, err)
	}
	pending("new2", "new1")
	epoch := s.Epoch("new1")
	var roots []directory.Root
	created, err := s.BootstrapAll(ctx, realms, func(all []directory.Root) error { roots = all; return nil })
	if err != nil || !slices.Equal(created, []string{"new1", "new2"}) || len(roots) != 2 {
		t.Fatal(created, len(roots), err)
	}
	pending()
	for _, r := range roots {
		ok(t, s.login(ctx, r.Realm, r.Secret))
	}
	if s.Epoch("new1") <= epoch {
		t.Error("the epoch did not move")
	}
	if created, err := s.BootstrapAll(ctx, realms, nil); err != nil || len(created) > 0 {
		t.Errorf("bootstrapped again: %v %v", created, err)
	}
}

func testBootstrapOnce(t *testing.T, s *store) {
	const n = 8
	made := make(chan bool, n)
	for range n {
		go func() {
			created, err := s.bootstrap(t.Context(), "r", shown)
			if err != nil {
				t.Error(err)
			}
			made <- created
		}()
	}
	count := 0
	for range n {
		if <-made {
			count++
		}
	}
	if count != 1 {
		t.Errorf("%d calls bootstrapped", count)
	}
}

func testPrincipals(t *testing.T, s *store) {
	ctx := t.Context()
	s.role(t, "r", "b", "a")
	in := directory.NewPrincipal{ID: "42", Name: "Zoë", Attributes: map[string]string{"team": "x\"y"}, Roles: []string{"b", "a", "b"}}
	p, secret, err := s.CreatePrincipal(ctx, "r", in)
	ok(t, err)
	want := s.clock.Now().UTC().Truncate(time.Microsecond)
	if p.Realm != "r" || p.ID != "42" || p.Name != "Zoë" || !p.Enabled || p.Version != 1 || !p.Created.Equal(want) || p.Created.Location() != time.UTC ||
		!slices.Equal(p.Roles, []string{"a", "b"}) || !maps.Equal(p.Attributes, in.Attributes) || !slices.Equal(p.SecretVersions, []string{secret.Version}) {
		t.Errorf("%+v", p)
	}
	if len(secret.Secret.Reveal()) != 43 || len(p.ClientID) != 32 || secret.ClientID != p.ClientID {
		t.Errorf("%+v, a secret of %d characters", p, len(secret.Secret.Reveal()))
	}
	for _, get := range []func() (directory.Principal, error){
		func() (directory.Principal, error) { return s.GetPrincipal(ctx, "r", "Zoë") },
		func() (directory.Principal, error) { return s.GetPrincipalByID(ctx, "r", "42") },
	} {
		got, err := get()
		ok(t, err)
		if fmt.Sprint(got) != fmt.Sprint(p) {
			t.Errorf("%+v, want %+v", got, p)
		}
	}
	bare, none, err := s.CreatePrincipal(ctx, "r", directory.NewPrincipal{Name: "bare", WithoutSecret: true})
	ok(t, err)
	if len(bare.ID) != 36 || len(bare.SecretVersions) != 0 || none.ClientID != "" || none.Secret.Reveal() != nil {
		t.Errorf("%+v %+v", bare, none)
	}
	fails(t, s.login(ctx, "r", directory.ClientSecret{ClientID: bare.ClientID}), directory.ErrBadCredentials)

	ok(t, s.DeletePrincipal(ctx, "r", "Zoë"))
	_, err = s.GetPrincipal(ctx, "r", "Zoë")
	fails(t, err, directory.ErrNotFound)
	fails(t, s.DeletePrincipal(ctx, "r", "Zoë"), directory.ErrNotFound)
	fails(t, s.login(ctx, "r", secret), directory.ErrBadCredentials)
}

func testPrincipalsThatExist(t *testing.T, s *store) {
	_, _, err := s.CreatePrincipal(t.Context(), "r", directory.NewPrincipal{ID: "1", Name: "a"})
	ok(t, err)
	for _, n := range []directory.NewPrincipal{{ID: "2", Name: "a"}, {ID: "1", Name: "b"}} {
		_, secret, err := s.CreatePrincipal(t.Context(), "r", n)
		fails(t, err, directory.ErrExists)
		if id := strings.Contains(fmt.Sprint(err), `with the id "1"`); id != (n.ID == "1") {
			t.Errorf("%v", err)
		}
		if secret.Secret.Reveal() != nil {
			t.Error("a secret that is not kept was given out")
		}
	}
	_, _, err = s.CreatePrincipal(t.Context(), "r", directory.NewPrincipal{Name: "c", Roles: []string{"nosuch"}})
	fails(t, err, directory.ErrInvalid)
	_, err = s.GetPrincipal(t.Context(), "r", "c")
	fails(t, err, directory.ErrNotFound)
}

func testUpdatePrincipal(t *testing.T, s *store) {
	ctx := t.Context()
	p, secret := s.principal(t, "r", "a")
	off := false
	attributes := map[string]string{"k": "v"}
	s.clock.pass(time.Minute)
	_, err := s.UpdatePrincipal(ctx, "r", "a", directory.Update{Enabled: &off, ExpectVersion: p.Version + 1})
	fails(t, err, directory.ErrConflict)
	got, err := s.UpdatePrincipal(ctx, "r", "a", directory.Update{Enabled: &off, Attributes: &attributes, ExpectVersion: p.Version})
	ok(t, err)
	if got.Enabled || got.Version != 2 || !maps.Equal(got.Attributes, attributes) || !got.Updated.Equal(p.Updated.Add(time.Minute)) || !got.Created.Equal(p.Created) {
		t.Errorf("%+v", got)
	}
	fails(t, s.login(ctx, "r", secret), directory.ErrBadCredentials)
	before := s.Epoch("r")
	got, err = s.UpdatePrincipal(ctx, "r", "a", directory.Update{Enabled: &off, Attributes: &attributes})
	ok(t, err)
	if got.Version != 2 || s.Epoch("r") != before {
		t.Errorf("an update without a change moved version or epoch: %+v", got)
	}
	s.set(t, "r", "a", true)
	ok(t, s.login(ctx, "r", secret))
	got, err = s.GetPrincipal(ctx, "r", "a")
	ok(t, err)
	if !maps.Equal(got.Attributes, attributes) || got.Version != 3 {
		t.Errorf("%+v", got)
	}
	_, err = s.UpdatePrincipal(ctx, "r", "nobody", directory.Update{Enabled: &off})
	fails(t, err, directory.ErrNotFound)
	bad := map[string]string{"k": "\x00"}
	_, err = s.UpdatePrincipal(ctx, "r", "a", directory.Update{Attributes: &bad})
	fails(t, err, directory.ErrInvalid)
}

// badNames can name nothing.
var badNames = map[string]string{
	"empty": "", "long": strings.Repeat("é", 257), "control": "a\nb", "NUL": "a\x00", "C1 control": "a\u0085b", "leading space": " a",
	"trailing space": "a\u00a0", "broken": "a\xff",
}

func testNames(t *testing.T, s *store) {
	ctx := t.Context()
	longest := strings.Repeat("😀", 256) // as many bytes as a name can have
	role := strings.Repeat("x", 256)
	s.role(t, longest, role)
	_, _, err := s.CreatePrincipal(ctx, longest, directory.NewPrincipal{ID: longest, Name: longest, Roles: []string{role}})
	ok(t, err)
	for _, name := range []string{"a b", "a:b,c", "ALL", "'; DROP TABLE realms; --", "a?b", "$1", "%", "a"} {
		s.principal(t, "r", name)
	}
	s.principal(t, "r", "A") // names differ by case
	for why, name := range badNames {
		_, _, err := s.CreatePrincipal(ctx, "r", directory.NewPrincipal{Name: name})
		fails(t, err, directory.ErrInvalid)
		var invalid *directory.InvalidError
		if !errors.As(err, &invalid) || invalid.Field != "name" {
			t.Errorf("%s: %v names no field", why, err)
		}
		_, _, err = s.CreatePrincipal(ctx, name, directory.NewPrincipal{Name: "x"})
		fails(t, err, directory.ErrInvalid)
		_, err = s.CreateRole(ctx, "r", name, nil)
		fails(t, err, directory.ErrInvalid)
		if name != "" {
			_, _, err := s.CreatePrincipal(ctx, "r", directory.NewPrincipal{Name: "x", ID: name})
			fails(t, err, directory.ErrInvalid)
		}
		_, err = s.CreateRole(ctx, "r", "fine", map[string]string{name: "x"})
		fails(t, err, directory.ErrInvalid)
	}
	for _, name := range []string{"ALL", "a:b", "a,b", "a b", "a\u2003b", "é", `a"b`, `a\b`, "a\ufffdb"} { // no scope can ask for them
		_, err := s.CreateRole(ctx, "r", name, nil)
		fails(t, err, directory.ErrInvalid)
	}
	s.role(t, "r", "!#$%&'()*+-./09;<=>?@AZ[]^_`az{|}~")
	for _, attributes := range []map[string]string{{"k": strings.Repeat("x", 4097)}, {"k": "\xff"}, {"k": "a\x00b"}, tooMany()} {
		_, _, err := s.CreatePrincipal(ctx, "r", directory.NewPrincipal{Name: "x", Attributes: attributes})
		fails(t, err, directory.ErrInvalid)
	}
}

func tooMany() map[string]string {
	m := map[string]string{}
	for i := range 65 {
		m[fmt.Sprint(i)] = ""
	}
	return m
}

// testImpossibleNames: what cannot be a name is not there. A store that answers with an error of its own would turn a bad
// request into an outage.
func testImpossibleNames(t *testing.T, s *store) {
	ctx := t.Context()
	s.principal(t, "r", "a")
	s.role(t, "r", "dev")
	for _, bad := range badNames {
		for _, realm := range []string{"r", bad} {
			_, err := s.GetPrincipal(ctx, realm, bad)
			fails(t, err, directory.ErrNotFound)
			_, err = s.GetPrincipalByID(ctx, realm, bad)
			fails(t, err, directory.ErrNotFound)
			_, err = s.GetRole(ctx, realm, bad)
			fails(t, err, directory.ErrNotFound)
			_, _, err = s.Authenticate(ctx, realm, bad, bad)
			fails(t, err, directory.ErrBadCredentials)
			c, p := foreign(realm, bad, bad)
			c.TokenID, c.Issuer = bad, bad
			denies(t, s.CheckStanding(ctx, c, p), "", false)
			c.Source = 1
			denies(t, s.CheckStanding(ctx, c, p), "principal_unknown", true)
			_, err = s.FindPrincipal(ctx, realm, c.Principal)
			denies(t, err, "principal_unknown", true)
		}
		fails(t, s.DeletePrincipal(ctx, "r", bad), directory.ErrNotFound)
		fails(t, s.DeleteRole(ctx, "r", bad), directory.ErrNotFound)
		fails(t, s.GrantRole(ctx, "r", bad, "dev"), directory.ErrNotFound)
		fails(t, s.GrantRole(ctx, "r", "a", bad), directory.ErrNotFound)
		fails(t, s.RevokeRole(ctx, "r", "a", bad), directory.ErrNotFound)
		if got, next, err := s.ListPrincipals(ctx, bad, directory.Page{}); err != nil || got != nil || next != "" {
			t.Errorf("%v %q %v", got, next, err)
		}
	}
}

func testHardValues(t *testing.T, s *store) {
	attributes := map[string]string{}
	for i, v := range []string{"", " ", "é\u2028", `{"a":[1]}`, "\n\t", "'\"\\", "?", "$1", strings.Repeat("x", 4096)} {
		attributes[fmt.Sprint("k?", i)] = v
	}
	_, _, err := s.CreatePrincipal(t.Context(), "r", directory.NewPrincipal{Name: "a", Attributes: attributes})
	ok(t, err)
	got, err := s.GetPrincipal(t.Context(), "r", "a")
	ok(t, err)
	if !maps.Equal(got.Attributes, attributes) {
		t.Errorf("%q", got.Attributes)
	}
}

func testPages(t *testing.T, s *store) {
	ctx := t.Context()
	names := []string{"B", "a", "a b", "a-b", "b", "é", "z", "Ω"}
	for _, n := range names {
		s.principal(t, "r", n)
	}
	roles := []string{"R1", "r0", "r1", "r2", "~"}
	s.role(t, "r", roles...)
	slices.Sort(names)
	slices.Sort(roles)
	for limit := 1; limit <= len(names)+1; limit++ {
		var got, gotRoles []string
		for page := (directory.Page{Limit: limit}); ; {
			items, next, err := s.ListPrincipals(ctx, "r", page)
			ok(t, err)
			for _, p := range items {
				got = append(got, p.Name)
			}
			if page.After = next; next == "" {
				break
			}
		}
		for page := (directory.Page{Limit: limit}); ; {
			items, next, err := s.ListRoles(ctx, "r", page)
			ok(t, err)
			for _, r := range items {
				gotRoles = append(gotRoles, r.Name)
			}
			if page.After = next; next == "" {
				break
			}
		}
		if !slices.Equal(got, names) || !slices.Equal(gotRoles, roles) {
			t.Errorf("pages of %d: %q %q", limit, got, gotRoles)
		}
	}
	_, _, err := s.ListPrincipals(ctx, "r", directory.Page{Limit: -1})
	fails(t, err, directory.ErrInvalid)
	_, _, err = s.ListRoles(ctx, "r", directory.Page{After: "a\x00"})
	fails(t, err, directory.ErrInvalid)
}
