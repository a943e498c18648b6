package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/host/origin"
)

// fullDisk refuses every line.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("disk full") }

// change is a call of one method of Directory that changes something.
type change struct {
	call func(*Client) error
	want string // the second line, without time and request
}

func changes(t *testing.T) map[string]change {
	ctx := t.Context()
	off := false
	return map[string]change{
		"CreatePrincipal": {func(c *Client) error {
			_, err := c.CreatePrincipal(ctx, "r", NewPrincipal{Name: "eve", Roles: []string{"dev"}})
			return err
		}, `"event":"principal.create","outcome":"done","realm":"r","client_id":"c","principal_id":"id-eve","principal":"eve","secret_version":"1","change":"roles=dev"`},
		"UpdatePrincipal": {func(c *Client) error {
			_, err := c.UpdatePrincipal(ctx, "r", "bob", PrincipalUpdate{Enabled: &off, Attributes: &map[string]string{"mail": "x@y"}})
			return err
		}, `"event":"principal.update","outcome":"done","realm":"r","principal_id":"id-bob","principal":"bob","change":"enabled=false attributes=mail"`},
		"DeletePrincipal": {func(c *Client) error { return c.DeletePrincipal(ctx, "r", "bob") },
			`"event":"principal.delete","outcome":"done","realm":"r","principal":"bob"`},
		"RotateSecret": {func(c *Client) error { _, err := c.RotateSecret(ctx, "r", "bob"); return err },
			`"event":"secret.rotate","outcome":"done","realm":"r","client_id":"c","principal":"bob","secret_version":"1"`},
		"ResetSecret": {func(c *Client) error { _, err := c.ResetSecret(ctx, "r", "bob"); return err },
			`"event":"secret.reset","outcome":"done","realm":"r","client_id":"c","principal":"bob","secret_version":"1"`},
		"CreateRole": {func(c *Client) error { _, err := c.CreateRole(ctx, "r", NewRole{Name: "ops"}); return err },
			`"event":"role.create","outcome":"done","realm":"r","role":"ops"`},
		"DeleteRole": {func(c *Client) error { return c.DeleteRole(ctx, "r", "dev") }, `"event":"role.delete","outcome":"done","realm":"r","role":"dev"`},
		"GrantRole": {func(c *Client) error { return c.GrantRole(ctx, "r", "bob", "dev") },
			`"event":"role.grant","outcome":"done","realm":"r","principal":"bob","role":"dev"`},
		"RevokeRole": {func(c *Client) error { return c.RevokeRole(ctx, "r", "bob", "dev") },
			`"event":"role.revoke","outcome":"done","realm":"r","principal":"bob","role":"dev"`},
	}
}

// A method that changes something must not be left to the directory that Audited wraps.
func TestEveryChangeIsAudited(t *testing.T) {
	readers := []string{"GetPrincipal", "ListPrincipals", "GetRole", "ListRoles"}
	all := changes(t)
	typ := reflect.TypeFor[Directory]()
	for i := range typ.NumMethod() {
		name := typ.Method(i).Name
		if _, ok := all[name]; ok == slices.Contains(readers, name) {
			t.Errorf("%s: either it changes something and is audited and tested here, or it is a reader", name)
		}
	}
}

// audited serves a directory with bob and the role dev.
func auditedAPI(t *testing.T, log *audit.Log) (*Client, *memory) {
	m := newMemory()
	m.keep(directory.Principal{Realm: "r", ID: "id-bob", Name: "bob", Enabled: true, Version: 1})
	m.roles[key("r", "dev")] = directory.Role{Realm: "r", Name: "dev"}
	h := Handler(Deps{Directory: Audited(m, log), Realms: func() []Realm { return []Realm{{Name: "r"}} }, Plugins: func() []Plugin { return nil }})
	return serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(origin.With(r.Context(), origin.New("admin", r.RemoteAddr, nil, nil))))
	})), m
}

func TestAudited(t *testing.T) {
	for name, tt := range changes(t) {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			log, err := audit.Open(audit.Config{Path: audit.Stdout, Stdout: &out, Refuse: true})
			if err != nil {
				t.Fatal(err)
			}
			c, _ := auditedAPI(t, log)
			if err := tt.call(c); err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			if len(lines) != 2 || !strings.Contains(lines[0], `"outcome":"attempted"`) || !strings.HasSuffix(lines[1], tt.want+"}") {
				t.Errorf("lines:\n%s\nwant a second one with\n%s", out.String(), tt.want)
			}
			var line map[string]string
			if err := json.Unmarshal([]byte(lines[0]), &line); err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf("uid=%d pid=%d", os.Getuid(), os.Getpid()); line["peer"] != want || line["listener"] != "admin" {
				t.Errorf("by %q on %q, want %q", line["peer"], line["listener"], want)
			}
			for _, secret := range []string{"first", "x@y"} {
				if strings.Contains(out.String(), secret) {
					t.Errorf("the log has %q:\n%s", secret, &out)
				}
			}
		})
	}
}

func TestUnauditedChangesAreRefused(t *testing.T) {
	log, err := audit.Open(audit.Config{Path: audit.Stdout, Stdout: fullDisk{}, Refuse: true})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range changes(t) {
		c, m := auditedAPI(t, log)
		before := fmt.Sprint(m.principals, m.roles, m.update)
		err := tt.call(c)
		var e *Error
		if !errors.As(err, &e) || e.Status != http.StatusServiceUnavailable || e.Code != CodeUnaudited {
			t.Errorf("%s: %v", name, err)
		}
		if after := fmt.Sprint(m.principals, m.roles, m.update); after != before {
			t.Errorf("%s: changed without a line: %s", name, after)
		}
		if _, err := c.Principal(t.Context(), "r", "bob"); err != nil {
			t.Errorf("reading needs no line: %v", err)
		}
	}
}
