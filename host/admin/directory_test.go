package admin

import (
	"errors"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/host/directory"
)

var _ Directory = (*directory.Directory)(nil)

// The API on the directory itself: what a client is given is what the directory accepts.
func TestOnARealDirectory(t *testing.T) {
	ctx := t.Context()
	d, err := directory.Open(ctx, directory.Config{Type: "sqlite", Path: filepath.Join(t.TempDir(), "d", "realmgate.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	c := serve(t, Handler(Deps{Directory: d, Realms: func() []Realm { return []Realm{{Name: "r"}, {Name: "s"}} }, Plugins: func() []Plugin { return nil }}))

	if _, err := c.CreateRole(ctx, "r", NewRole{Name: "dev"}); err != nil {
		t.Fatal(err)
	}
	p, err := c.CreatePrincipal(ctx, "r", NewPrincipal{Name: "a/b é"})
	if err != nil {
		t.Fatal(err)
	}
	authenticates := func(s Credentials) bool {
		_, version, err := d.Authenticate(ctx, "r", s.ClientID, s.ClientSecret)
		return err == nil && version == s.SecretVersion
	}
	first := *p.Credentials
	if !authenticates(first) {
		t.Error("the first secret is not accepted")
	}
	second, err := c.RotateSecret(ctx, "r", "a/b é")
	if err != nil || !authenticates(first) || !authenticates(second) {
		t.Errorf("after a rotation both secrets have to be accepted: %v", err)
	}
	third, err := c.ResetSecret(ctx, "r", "a/b é")
	if err != nil || authenticates(second) || !authenticates(third) {
		t.Errorf("after a reset only the last secret may be accepted: %v", err)
	}
	for range 2 { // granting again is no error
		if err := c.GrantRole(ctx, "r", "a/b é", "dev"); err != nil {
			t.Fatal(err)
		}
	}
	off := false
	got, err := c.UpdatePrincipal(ctx, "r", "a/b é", PrincipalUpdate{Enabled: &off})
	if err != nil || got.Enabled || !slices.Equal(got.Roles, []string{"dev"}) || authenticates(third) {
		t.Errorf("%+v %v", got, err)
	}

	for name, tt := range map[string]struct {
		err    error
		status int
		code   string
		field  string
	}{
		"bad name":    {errorOf(c.CreatePrincipal(ctx, "r", NewPrincipal{Name: " x"})), http.StatusBadRequest, CodeInvalid, "name"},
		"taken name":  {errorOf(c.CreatePrincipal(ctx, "r", NewPrincipal{Name: "a/b é"})), http.StatusConflict, CodeExists, ""},
		"old version": {errorOf(c.UpdatePrincipal(ctx, "r", "a/b é", PrincipalUpdate{Enabled: &off, Version: 1 << 40})), http.StatusConflict, CodeConflict, ""},
		"no role":     {c.GrantRole(ctx, "r", "a/b é", "nothing"), http.StatusNotFound, CodeNotFound, ""},
		"other realm": {errorOf(c.Principal(ctx, "s", "a/b é")), http.StatusNotFound, CodeNotFound, ""},
		"gone":        {c.DeleteRole(ctx, "r", "nothing"), http.StatusNotFound, CodeNotFound, ""},
	} {
		var e *Error
		if !errors.As(tt.err, &e) || e.Status != tt.status || e.Code != tt.code || e.Field != tt.field || strings.Contains(e.Message, "directory:") {
			t.Errorf("%s: %+v", name, tt.err)
		}
	}

	var names []string
	for _, n := range []string{"z", "y", "x"} {
		if _, err := c.CreatePrincipal(ctx, "r", NewPrincipal{Name: n, WithoutSecret: true}); err != nil {
			t.Fatal(err)
		}
	}
	for page := (Page{Limit: 2}); ; {
		l, err := c.Principals(ctx, "r", page)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range l.Principals {
			names = append(names, p.Name)
		}
		if page.After = l.Next; l.Next == "" {
			break
		}
	}
	if !slices.Equal(names, []string{"a/b é", "x", "y", "z"}) {
		t.Errorf("the pages show %q", names)
	}
}

func errorOf[T any](_ T, err error) error { return err }
