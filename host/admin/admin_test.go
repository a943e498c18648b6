package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/host/socket"
	"github.com/realmgate/realmgate/sdk"
)

// memory is a directory that keeps names and grants only.
type memory struct {
	mu         sync.Mutex
	principals map[string]directory.Principal // by realm and name
	roles      map[string]directory.Role
	page       directory.Page // of the last list
	update     directory.Update
	err        error // of every call, if set
}

func newMemory() *memory {
	return &memory{principals: map[string]directory.Principal{}, roles: map[string]directory.Role{}}
}

func key(realm, name string) string { return realm + "\x00" + name }

func (m *memory) find(realm, name string) (directory.Principal, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, ok := m.principals[key(realm, name)]
	switch {
	case m.err != nil:
		return p, m.err
	case !ok:
		return p, fmt.Errorf("principal %q: %w", name, directory.ErrNotFound)
	}
	return p, nil
}

func (m *memory) keep(p directory.Principal) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.principals[key(p.Realm, p.Name)] = p
}

func (m *memory) CreatePrincipal(_ context.Context, realm string, n directory.NewPrincipal) (directory.Principal, directory.ClientSecret, error) {
	if n.Name == "" {
		return directory.Principal{}, directory.ClientSecret{}, &directory.InvalidError{Field: "name", Reason: "is empty"}
	}
	if _, err := m.find(realm, n.Name); err == nil {
		return directory.Principal{}, directory.ClientSecret{}, directory.ErrExists
	}
	p := directory.Principal{Realm: realm, ID: "id-" + n.Name, Name: n.Name, ClientID: "c", Enabled: true, Roles: n.Roles, Attributes: n.Attributes, Version: 1}
	m.keep(p)
	return p, clientSecret("first"), nil
}

func clientSecret(s string) directory.ClientSecret {
	return directory.ClientSecret{ClientID: "c", Secret: sdk.NewSecret([]byte(s)), Version: "1"}
}

func (m *memory) GetPrincipal(_ context.Context, realm, name string) (directory.Principal, error) {
	return m.find(realm, name)
}

func (m *memory) ListPrincipals(_ context.Context, realm string, p directory.Page) ([]directory.Principal, string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.page = p
	var out []directory.Principal
	for _, x := range m.principals {
		if x.Realm == realm {
			out = append(out, x)
		}
	}
	return out, "more", m.err
}

func (m *memory) UpdatePrincipal(_ context.Context, realm, name string, u directory.Update) (directory.Principal, error) {
	p, err := m.find(realm, name)
	if err == nil && u.ExpectVersion != 0 && u.ExpectVersion != p.Version {
		err = directory.ErrConflict
	}
	m.update = u
	return p, err
}

func (m *memory) DeletePrincipal(_ context.Context, realm, name string) error {
	_, err := m.find(realm, name)
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.principals, key(realm, name))
	return err
}

func (m *memory) RotateSecret(_ context.Context, realm, name string) (directory.ClientSecret, error) {
	_, err := m.find(realm, name)
	return clientSecret("rotated"), err
}

func (m *memory) ResetSecret(_ context.Context, realm, name string) (directory.ClientSecret, error) {
	_, err := m.find(realm, name)
	return clientSecret("reset"), err
}

func (m *memory) CreateRole(_ context.Context, realm, name string, attributes map[string]string) (directory.Role, error) {
	r := directory.Role{Realm: realm, Name: name, Attributes: attributes}
	m.roles[key(realm, name)] = r
	return r, nil
}

func (m *memory) GetRole(_ context.Context, realm, name string) (directory.Role, error) {
	r, ok := m.roles[key(realm, name)]
	if !ok {
		return r, directory.ErrNotFound
	}
	return r, nil
}

func (m *memory) ListRoles(_ context.Context, _ string, p directory.Page) ([]directory.Role, string, error) {
	m.page = p
	return nil, "", nil
}

func (m *memory) DeleteRole(_ context.Context, realm, name string) error {
	delete(m.roles, key(realm, name))
	return nil
}

func (m *memory) GrantRole(_ context.Context, realm, principal, role string) error {
	p, err := m.find(realm, principal)
	if err == nil {
		p.Roles = append(p.Roles, role)
		m.keep(p)
	}
	return err
}

func (m *memory) RevokeRole(_ context.Context, realm, principal, role string) error {
	p, err := m.find(realm, principal)
	if err == nil {
		p.Roles = slices.DeleteFunc(p.Roles, func(r string) bool { return r == role })
		m.keep(p)
	}
	return err
}

func handlerOf(m *memory) http.Handler {
	return Handler(Deps{
		Directory: m,
		Realms:    func() []Realm { return []Realm{{Name: "r", Type: "internal", Served: true}, {Name: "s"}} },
		Plugins:   func() []Plugin { return nil },
	})
}

func start(t *testing.T, m *memory) *Client {
	t.Helper()
	return serve(t, handlerOf(m))
}

// serve serves an API on a real socket.
func serve(t *testing.T, h http.Handler) *Client {
	t.Helper()
	at := filepath.Join(shortDir(t), "run", "admin.sock")
	ln, err := socket.Listen(at)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h}
	go func() { _ = srv.Serve(ln) }()
	c := NewClient(at)
	t.Cleanup(func() { c.Close(); _ = srv.Close() })
	return c
}

// shortDir gives a folder whose path leaves room for a socket's.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "rg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestPrincipals(t *testing.T) {
	m := newMemory()
	c, ctx := start(t, m), t.Context()
	for _, name := range []string{"alice", "a/b", "..", "%2f", "ü ?#&", "rotate"} {
		p, err := c.CreatePrincipal(ctx, "r", NewPrincipal{Name: name, Attributes: map[string]string{"k": "v"}})
		if err != nil || p.Principal.Name != name || p.Credentials == nil || p.Credentials.ClientSecret != "first" {
			t.Fatalf("%q: %+v %v", name, p, err)
		}
		if err := c.GrantRole(ctx, "r", name, "x/y"); err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		got, err := c.Principal(ctx, "r", name)
		if err != nil || got.Name != name || !slices.Equal(got.Roles, []string{"x/y"}) || got.Attributes["k"] != "v" {
			t.Fatalf("%q: %+v %v", name, got, err)
		}
		if err := c.RevokeRole(ctx, "r", name, "x/y"); err != nil {
			t.Fatal(err)
		}
		if s, err := c.RotateSecret(ctx, "r", name); err != nil || s.ClientSecret != "rotated" {
			t.Fatalf("%+v %v", s, err)
		}
		if s, err := c.ResetSecret(ctx, "r", name); err != nil || s.ClientSecret != "reset" {
			t.Fatalf("%+v %v", s, err)
		}
		off := false
		if _, err := c.UpdatePrincipal(ctx, "r", name, PrincipalUpdate{Enabled: &off, Version: 1}); err != nil || m.update.Enabled == nil || *m.update.Enabled || m.update.Attributes != nil {
			t.Fatalf("%+v %v", m.update, err)
		}
		if err := c.DeletePrincipal(ctx, "r", name); err != nil {
			t.Fatal(err)
		}
		var e *Error
		if _, err := c.Principal(ctx, "r", name); !errors.As(err, &e) || e.Status != 404 || e.Code != CodeNotFound {
			t.Fatalf("%q is still there: %v", name, err)
		}
	}
	p, err := c.CreatePrincipal(ctx, "r", NewPrincipal{Name: "machine", WithoutSecret: true})
	if err != nil || p.Credentials != nil {
		t.Fatalf("%+v %v", p, err)
	}
	page, err := c.Principals(ctx, "r", Page{After: "a&b", Limit: 7})
	if err != nil || len(page.Principals) != 1 || page.Next != "more" || m.page != (directory.Page{After: "a&b", Limit: 7}) {
		t.Fatalf("%+v %v %+v", page, err, m.page)
	}
	if other, err := c.Principals(ctx, "s", Page{}); err != nil || len(other.Principals) != 0 || m.page.Limit != defaultLimit {
		t.Fatalf("another realm shows %+v %v", other, err)
	}
}

func TestRolesRealmsAndPlugins(t *testing.T) {
	c, ctx := start(t, newMemory()), t.Context()
	if r, err := c.CreateRole(ctx, "r", NewRole{Name: "dev"}); err != nil || r.Name != "dev" {
		t.Fatal(r, err)
	}
	if r, err := c.Role(ctx, "r", "dev"); err != nil || r.Name != "dev" {
		t.Fatal(r, err)
	}
	if l, err := c.Roles(ctx, "r", Page{}); err != nil || l.Roles == nil {
		t.Fatal(l, err)
	}
	if err := c.DeleteRole(ctx, "r", "dev"); err != nil {
		t.Fatal(err)
	}
	if l, err := c.Realms(ctx); err != nil || len(l) != 2 || !l[0].Served {
		t.Fatal(l, err)
	}
	if l, err := c.Plugins(ctx); err != nil || l == nil {
		t.Fatal(l, err)
	}
}

func TestRefusals(t *testing.T) {
	const base = "/v1/realms/r/principals"
	tests := []struct {
		method, path, body string
		status             int
		code, field        string
	}{
		{"POST", base, `{"name":"x","nam":1}`, 400, CodeInvalid, "nam"},
		{"POST", base, `{"name":1}`, 400, CodeInvalid, "name"},
		{"POST", base, `{"name":""}`, 400, CodeInvalid, "name"},
		{"POST", base, `{"name":"x"} {}`, 400, CodeInvalid, ""},
		{"POST", base, `[]`, 400, CodeInvalid, ""},
		{"POST", base, ``, 400, CodeInvalid, ""},
		{"POST", base, `{"name":"` + strings.Repeat("x", maxBody) + `"}`, 413, CodeTooLarge, ""},
		{"POST", base, `{"name":"x"}` + strings.Repeat(" ", maxBody), 413, CodeTooLarge, ""},
		{"POST", base, `{"name":"alice"}`, 409, CodeExists, ""},
		{"PATCH", base + "/alice", `{"version":9}`, 409, CodeConflict, ""},
		{"DELETE", base + "/alice", `{"really":true}`, 400, CodeInvalid, ""},
		{"POST", base + "/alice/rotate", `{}`, 400, CodeInvalid, ""},
		{"GET", base + "/nobody", ``, 404, CodeNotFound, ""},
		{"GET", "/v1/realms/other/principals", ``, 404, CodeNotFound, "realm"},
		{"GET", base + "?limit=0", ``, 400, CodeInvalid, "limit"},
		{"GET", base + "?limit=x", ``, 400, CodeInvalid, "limit"},
		{"GET", base + "?limit=1&limit=2", ``, 400, CodeInvalid, "limit"},
		{"GET", base + "?page=1", ``, 400, CodeInvalid, "page"},
		{"PUT", base, ``, 405, CodeMethodNotAllowed, ""},
		{"GET", base + "/alice/rotate", ``, 405, CodeMethodNotAllowed, ""},
		{"GET", "/", ``, 404, CodeNotFound, ""},
		{"GET", "/v1", ``, 404, CodeNotFound, ""},
		{"GET", "/v2/realms", ``, 404, CodeNotFound, ""},
		{"GET", "/v1/realms/r", ``, 404, CodeNotFound, ""},
		{"GET", "/v1//realms", ``, 404, CodeNotFound, ""},
		{"GET", base + "/", ``, 404, CodeNotFound, ""},
		{"GET", base + "/alice/roles", ``, 404, CodeNotFound, ""},
		{"GET", base + "/a/../alice", ``, 404, CodeNotFound, ""},
		{"GET", base + "/x%2f..%2falice", ``, 404, CodeNotFound, ""},
	}
	m := newMemory()
	m.keep(directory.Principal{Realm: "r", Name: "alice", Version: 1})
	h := handlerOf(m)
	for _, tt := range tests {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body)))
		got := w.Body.String()
		if w.Code != tt.status || !strings.Contains(got, `"code":"`+tt.code+`"`) || tt.field != "" && !strings.Contains(got, `"field":"`+tt.field+`"`) {
			t.Errorf("%s %s %.40s: %d %s, want %d %s %s", tt.method, tt.path, tt.body, w.Code, got, tt.status, tt.code, tt.field)
		}
		if tt.status == 405 && w.Header().Get("Allow") == "" {
			t.Error("405 without Allow")
		}
	}
}

func TestFaultsAreNotShown(t *testing.T) {
	m := newMemory()
	m.err = errors.New("disk /var/lib is full")
	c := start(t, m)
	var e *Error
	if _, err := c.Principal(t.Context(), "r", "alice"); !errors.As(err, &e) || e.Status != 500 || strings.Contains(e.Message, "/var") {
		t.Fatal(err)
	}
}

func TestCredentialsPrintNoSecret(t *testing.T) {
	c := Credentials{ClientID: "c", ClientSecret: "hunter2"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if s := fmt.Sprintf(verb, c); strings.Contains(s, "hunter2") {
			t.Errorf("%s shows %s", verb, s)
		}
	}
}

func TestNotRunning(t *testing.T) {
	at := filepath.Join(shortDir(t), "s")
	ask := func() {
		t.Helper()
		c := NewClient(at)
		defer c.Close()
		if _, err := c.Realms(t.Context()); !errors.Is(err, ErrNotRunning) || err.Error() != "no daemon listens on "+at+": is it running? --socket and --config say where else to look" {
			t.Errorf("%v", err)
		}
	}
	ask()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: at, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false) // as a daemon leaves it that was killed
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	ask()
}
