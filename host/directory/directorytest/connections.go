package directorytest

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/sdk"
)

func secretRef(t *testing.T, path string) sdk.SecretRef {
	t.Helper()
	r, err := sdk.ParseSecretRef("urn:realmgate-secret:local:" + path)
	ok(t, err)
	return r
}

// glue is a connection with everything in it.
func glue(name string) directory.Connection {
	return directory.Connection{
		Name: name, Type: "ICEBERG_REST", URI: "https://glue.example.com/iceberg", RemoteName: "ü'\"; --", AuthenticationType: "SIGV4",
		Authentication: json.RawMessage(`{"authenticationType":"SIGV4","roleArn":"arn:aws:iam::123456789012:role/ü"}`),
		IdentityType:   "AWS_IAM", IdentityARN: "arn:aws:iam::1:user/gate", IdentityRef: "urn:x", SignHosts: []string{"a.example.com", "*.b.example.com"},
		Properties: map[string]string{"k": "v\n?", "é": ""},
	}
}

func testConnections(t *testing.T, s *store) {
	ctx := t.Context()
	epoch := s.Epoch("r")
	made, err := s.CreateConnection(ctx, "r", directory.NewConnection{Connection: glue("glue")})
	ok(t, err)
	want := glue("glue")
	want.Realm, want.Created, want.Updated, want.Version = "r", made.Created, made.Created, made.Version
	if !reflect.DeepEqual(made, want) || made.Version == 0 || !made.Created.Equal(s.clock.Now().Truncate(time.Microsecond)) {
		t.Errorf("%+v\nwant\n%+v", made, want)
	}
	got, err := s.GetConnection(ctx, "r", "glue")
	ok(t, err)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant\n%+v", got, want)
	}
	_, err = s.CreateConnection(ctx, "r", directory.NewConnection{Connection: glue("glue")})
	fails(t, err, directory.ErrExists)

	s.clock.pass(time.Minute)
	u := directory.ConnectionUpdate{Connection: directory.Connection{Name: "ignored", Type: "GENERIC_HTTP", Authentication: json.RawMessage(`{}`)}, ExpectVersion: made.Version}
	changed, err := s.UpdateConnection(ctx, "r", "glue", u)
	ok(t, err)
	if changed.Name != "glue" || changed.Type != "GENERIC_HTTP" || changed.URI != "" || changed.Version <= made.Version || len(changed.SignHosts)+len(changed.Properties) != 0 ||
		!changed.Created.Equal(made.Created) || changed.Updated.Sub(made.Updated) != time.Minute {
		t.Errorf("%+v", changed)
	}
	_, err = s.UpdateConnection(ctx, "r", "glue", u)
	fails(t, err, directory.ErrConflict)
	u.ExpectVersion = 0
	_, err = s.UpdateConnection(ctx, "r", "glue", u)
	ok(t, err)
	_, err = s.UpdateConnection(ctx, "r", "other", u)
	fails(t, err, directory.ErrNotFound)
	fails(t, s.DeleteConnection(ctx, "r", "glue", made.Version), directory.ErrConflict)
	ok(t, s.DeleteConnection(ctx, "r", "glue", 0))
	fails(t, s.DeleteConnection(ctx, "r", "glue", 0), directory.ErrNotFound)
	_, err = s.GetConnection(ctx, "r", "glue")
	fails(t, err, directory.ErrNotFound)
	again, err := s.CreateConnection(ctx, "r", directory.NewConnection{Connection: glue("glue")})
	ok(t, err)
	if again.Version <= changed.Version {
		t.Errorf("version %d is used again", again.Version)
	}
	if s.Epoch("r") != epoch {
		t.Error("no decision depends on a connection, and the epoch moved")
	}
	for _, bad := range []string{"", "\x00", "\xff", strings.Repeat("x", 257)} {
		_, err := s.CreateConnection(ctx, "r", directory.NewConnection{Connection: glue(bad)})
		fails(t, err, directory.ErrInvalid)
		_, err = s.GetConnection(ctx, "r", bad)
		fails(t, err, directory.ErrNotFound)
		fails(t, s.DeleteConnection(ctx, "r", bad, 0), directory.ErrNotFound)
	}
	broken := glue("broken")
	broken.Authentication = json.RawMessage("{")
	_, err = s.CreateConnection(ctx, "r", directory.NewConnection{Connection: broken})
	fails(t, err, directory.ErrInvalid)
}

func testConnectionPages(t *testing.T, s *store) {
	for _, name := range []string{"b", "a", "B", "c"} {
		_, err := s.CreateConnection(t.Context(), "r", directory.NewConnection{Connection: glue(name)})
		ok(t, err)
		_, err = s.CreateConnection(t.Context(), "other", directory.NewConnection{Connection: glue(name + "2")})
		ok(t, err)
	}
	var names []string
	for page := (directory.Page{Limit: 3}); ; {
		list, next, err := s.ListConnections(t.Context(), "r", page)
		ok(t, err)
		for _, c := range list {
			names = append(names, c.Name)
		}
		if page.After = next; next == "" {
			break
		}
	}
	if got := strings.Join(names, " "); got != "B a b c" {
		t.Errorf("the pages show %s", got)
	}
	if _, err := s.GetConnection(t.Context(), "other", "a"); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("another realm's: %v", err)
	}
}

// doomed gives what DoomedSecrets says, as paths.
func (s *store) doomed(t *testing.T, realm string, plannedBefore time.Time) string {
	t.Helper()
	list, err := s.DoomedSecrets(t.Context(), realm, plannedBefore)
	ok(t, err)
	var paths []string
	for _, w := range list {
		paths = append(paths, w.Reference.Path())
	}
	return strings.Join(paths, " ")
}

func testRealmsToSweep(t *testing.T, s *store) {
	ctx, owner, a := t.Context(), directory.ConnectionOwner("glue"), secretRef(t, "a")
	sweeps := func(when string, want ...string) {
		t.Helper()
		got, err := s.RealmsToSweep(ctx)
		ok(t, err)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v", when, got)
		}
	}
	sweeps("at first")
	ok(t, s.PlanSecrets(ctx, "r", owner, []sdk.SecretRef{a}))
	ok(t, s.PlanSecrets(ctx, "q", owner, []sdk.SecretRef{a}))
	sweeps("planned in two", "q", "r")
	_, err := s.CreateConnection(ctx, "r", directory.NewConnection{Connection: glue("glue"), Keep: []sdk.SecretRef{a}})
	ok(t, err)
	sweeps("kept in one", "q")
	ok(t, s.DeleteConnection(ctx, "r", "glue", 0))
	sweeps("doomed there", "q", "r")
	ok(t, s.ForgetSecret(ctx, "r", a))
	sweeps("gone", "q")
}

func testWrittenSecrets(t *testing.T, s *store) {
	ctx, never := t.Context(), time.Time{}
	a, b, c := secretRef(t, "a"), secretRef(t, "b"), secretRef(t, "c")
	owner := directory.ConnectionOwner("glue")
	ok(t, s.PlanSecrets(ctx, "r", owner, []sdk.SecretRef{a, b}))
	fails(t, s.PlanSecrets(ctx, "r", owner, []sdk.SecretRef{c, b}), directory.ErrExists)
	if _, err := s.FindWrittenSecret(ctx, "r", c); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("half of a plan was noted: %v", err)
	}
	if got := s.doomed(t, "r", never); got != "" {
		t.Errorf("planned ones are doomed: %s", got)
	}
	_, err := s.CreateConnection(ctx, "r", directory.NewConnection{Connection: glue("other"), Keep: []sdk.SecretRef{a}})
	fails(t, err, directory.ErrSecretGone) // they are planned for glue
	_, err = s.CreateConnection(ctx, "r", directory.NewConnection{Connection: glue("glue"), Keep: []sdk.SecretRef{a, c}})
	fails(t, err, directory.ErrSecretGone)
	_, err = s.GetConnection(ctx, "r", "glue")
	fails(t, err, directory.ErrNotFound)
	made, err := s.CreateConnection(ctx, "r", directory.NewConnection{Connection: glue("glue"), Keep: []sdk.SecretRef{a}})
	ok(t, err)

	// What was kept after all cannot be abandoned, what was not can.
	gone, err := s.AbandonSecrets(ctx, "r", []sdk.SecretRef{a, b, c})
	ok(t, err)
	if len(gone) != 1 || gone[0] != b || s.doomed(t, "r", never) != "b" {
		t.Errorf("abandoned %v, doomed %s", gone, s.doomed(t, "r", never))
	}
	_, err = s.UpdateConnection(ctx, "r", "glue", directory.ConnectionUpdate{Connection: glue(""), Keep: []sdk.SecretRef{b}})
	fails(t, err, directory.ErrSecretGone)
	ok(t, s.ForgetSecret(ctx, "r", b))
	ok(t, s.ForgetSecret(ctx, "r", a)) // which is not doomed
	w, err := s.FindWrittenSecret(ctx, "r", a)
	ok(t, err)
	if w.Reference != a || w.Owner != owner || s.doomed(t, "r", never) != "" {
		t.Errorf("%+v", w)
	}

	ok(t, s.PlanSecrets(ctx, "r", owner, []sdk.SecretRef{b}))
	_, err = s.UpdateConnection(ctx, "r", "glue", directory.ConnectionUpdate{
		Connection: glue(""), ExpectVersion: made.Version, Keep: []sdk.SecretRef{b}, Doom: []sdk.SecretRef{a, secretRef(t, "not/ours")},
	})
	ok(t, err)
	if got := s.doomed(t, "r", never); got != "a" {
		t.Errorf("doomed %s", got)
	}
	ok(t, s.DeleteConnection(ctx, "r", "glue", 0))
	s.clock.pass(time.Second)
	if got := s.doomed(t, "r", never); got != "a b" {
		t.Errorf("doomed %s", got)
	}
	if got := s.doomed(t, "other", never); got != "" {
		t.Errorf("another realm's: %s", got)
	}
	for whose, want := range map[string]int{owner: 2, directory.ConnectionOwner("glue2"): 0} {
		list, err := s.DoomedSecretsOf(ctx, "r", whose)
		ok(t, err)
		if len(list) != want {
			t.Errorf("doomed of %s: %v", whose, list)
		}
	}
	ok(t, s.PostponeSecrets(ctx, "other", []sdk.SecretRef{a}))
	if got := s.doomed(t, "r", never); got != "a b" {
		t.Errorf("another realm has postponed them: %s", got)
	}
	s.clock.pass(time.Second)
	ok(t, s.PostponeSecrets(ctx, "r", []sdk.SecretRef{a, c}))
	if got := s.doomed(t, "r", never); got != "b a" {
		t.Errorf("postponed: %s", got)
	}
	ok(t, s.ForgetSecret(ctx, "other", a))
	ok(t, s.PlanSecrets(ctx, "other", owner, []sdk.SecretRef{a})) // realms do not know of each other
	withField, err := sdk.ParseSecretRef(a.String() + "?=version=2#f")
	ok(t, err)
	if w, err := s.FindWrittenSecret(ctx, "r", withField); err != nil || w.Reference != a {
		t.Errorf("a version and a field hide whose it is: %+v %v", w, err)
	}
	fails(t, s.PlanSecrets(ctx, "r", owner, []sdk.SecretRef{{}}), directory.ErrInvalid)
	fails(t, s.PlanSecrets(ctx, "r", owner, []sdk.SecretRef{secretRef(t, strings.Repeat("x", 2048))}), directory.ErrInvalid)
}

// testLateSecrets: what was planned long ago is doomed by whoever looks, and cannot be kept any more.
func testLateSecrets(t *testing.T, s *store) {
	ctx := t.Context()
	late, fresh := secretRef(t, "late"), secretRef(t, "fresh")
	owner := directory.ConnectionOwner("glue")
	ok(t, s.PlanSecrets(ctx, "r", owner, []sdk.SecretRef{late}))
	s.clock.pass(time.Hour)
	ok(t, s.PlanSecrets(ctx, "r", owner, []sdk.SecretRef{fresh}))
	if got := s.doomed(t, "r", s.clock.Now().Add(-time.Minute)); got != "late" {
		t.Errorf("doomed %s", got)
	}
	_, err := s.CreateConnection(ctx, "r", directory.NewConnection{Connection: glue("glue"), Keep: []sdk.SecretRef{late}})
	fails(t, err, directory.ErrSecretGone)
	_, err = s.CreateConnection(ctx, "r", directory.NewConnection{Connection: glue("glue"), Keep: []sdk.SecretRef{fresh}})
	ok(t, err)
}

// testSweepAgainstKeep: a planned secret is either kept or doomed, whoever is faster.
func testSweepAgainstKeep(t *testing.T, s *store) {
	ctx, owner := t.Context(), directory.ConnectionOwner("glue")
	for range 8 {
		ref := secretRef(t, "x")
		ok(t, s.PlanSecrets(ctx, "r", owner, []sdk.SecretRef{ref}))
		s.clock.pass(time.Minute)
		var created error
		var doomed []directory.WrittenSecret
		var wg sync.WaitGroup
		wg.Go(func() {
			_, created = s.CreateConnection(ctx, "r", directory.NewConnection{Connection: glue("glue"), Keep: []sdk.SecretRef{ref}})
		})
		wg.Go(func() {
			var err error
			if doomed, err = s.DoomedSecrets(ctx, "r", s.clock.Now()); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		if (created == nil) == (len(doomed) == 1) {
			t.Fatalf("created: %v, doomed: %v", created, doomed)
		}
		if created == nil {
			ok(t, s.DeleteConnection(ctx, "r", "glue", 0))
		}
		ok(t, s.ForgetSecret(ctx, "r", ref))
	}
}
