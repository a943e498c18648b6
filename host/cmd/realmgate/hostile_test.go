package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/serve"
)

// liar is a plugin that answers what it should not. A token says how: <lie>~<principal id>.
type liar struct{ setup sdk.Setup }

func (l *liar) Issue(context.Context, sdk.Grant) (sdk.Token, error) {
	return sdk.Token{}, errors.New("this broker issues nothing")
}

func (l *liar) Verify(ctx context.Context, r sdk.Request) (sdk.Credential, error) {
	lie, id, _ := strings.Cut(r.Token, "~")
	c := sdk.Credential{
		Realm: l.setup.Realm, Issuer: l.setup.Issuer, Audience: l.setup.Audience, Principal: sdk.PrincipalRef{ID: id},
		RequestedRoles: []string{"PRINCIPAL_ROLE:service_admin"}, TokenID: "t", SecretVersion: "1", Expires: time.Now().Add(time.Hour),
	}
	switch lie {
	case "realm":
		c.Realm = "b"
	case "issuer":
		c.Issuer = "https://evil.example"
	case "audience":
		c.Audience = []string{"evil"}
	case "expired":
		c.Expires = time.Now().Add(-time.Second)
	case "eternal":
		c.Expires = time.Time{}
	case "secret":
		c.SecretVersion = "99"
	case "roles":
		c.RequestedRoles = []string{"lie"}
	case "huge":
		c.RequestedRoles = []string{strings.Repeat("x", 2<<20)}
	case "panic":
		panic("a panic")
	case "hang":
		<-ctx.Done()
		time.Sleep(time.Hour)
	case "crash":
		os.Exit(3)
	case "deny":
		return c, sdk.Deny("Bad\r\nReason: x", "detail\r\nX-Evil: 1")
	}
	return c, nil
}

// generous activates what it was asked for, granted or not.
type generous struct{}

func (generous) ActiveRoles(_ context.Context, p sdk.Principal, requested []string) ([]string, error) {
	if slices.Contains(requested, "lie") {
		return []string{"admin_of_everything"}, nil
	}
	return p.Roles, nil
}

func hostile() {
	serve.Main("hostile", "1",
		sdk.TokenBrokerType("liar", func(_ context.Context, su sdk.Setup, _ struct{}) (*liar, error) { return &liar{su}, nil }),
		sdk.ActiveRolesProviderType("generous", func(context.Context, sdk.Setup, struct{}) (generous, error) { return generous{}, nil }))
}

func TestHostilePlugin(t *testing.T) {
	t.Parallel()
	d := start(t, fmt.Sprintf(`
plugin "hostile" {
  path = %q
  limits {
    memory = "unlimited" # for the race detector
  }
}
active_roles_provider {
  type = "generous"
}
realm "a" {
  authentication {
    timeout = "5s"
    token_broker {
      type = "liar"
    }
  }
}
realm "b" {}
`, hostilePath(t)))
	id := principalID(d, "a")
	tests := []struct {
		token  string
		status int
		reason string
	}{
		{"honest~" + id, 200, ""},
		{"realm~" + id, 401, "realm_mismatch"},
		{"realm~" + principalID(d, "b"), 403, "principal_unknown"},
		{"honest~" + principalID(d, "b"), 403, "principal_unknown"},
		{"issuer~" + id, 401, "issuer_mismatch"},
		{"audience~" + id, 401, "audience_mismatch"},
		{"expired~" + id, 401, "token_expired"},
		{"secret~" + id, 401, "token_revoked"},
		{"eternal~" + id, 503, "unavailable"},
		{"roles~" + id, 503, "unavailable"},
		{"huge~" + id, 503, "unavailable"},
		{"panic~" + id, 503, "unavailable"},
		{"hang~" + id, 503, "unavailable"},
		{"honest~nobody", 403, "principal_unknown"},
	}
	for _, tt := range tests {
		if a := d.check("a", tt.token); a.status != tt.status || a.reason() != tt.reason {
			t.Errorf("%s: %d %s, want %d %s", tt.token, a.status, a.text, tt.status, tt.reason)
		} else if tt.status == 503 && strings.Contains(a.text, "plugin") {
			t.Errorf("%s: the answer tells about the inside: %s", tt.token, a.text)
		}
	}
	if a := d.check("a", "deny~"+id); a.status != http.StatusUnauthorized || a.header.Get("X-Evil") != "" || strings.ContainsAny(a.header.Get("Realmgate-Reason"), "\r\n ") {
		t.Errorf("a reason that breaks out of its header: %d %v", a.status, a.header)
	}

	t.Run("crash", func(t *testing.T) {
		if a := d.check("a", "crash~"+id); a.status != http.StatusServiceUnavailable {
			t.Errorf("%d %s", a.status, a.text)
		}
		for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
			if a := d.check("a", "honest~"+id); a.status == http.StatusOK {
				break
			} else if a.status != http.StatusServiceUnavailable || time.Now().After(end) {
				t.Fatalf("after the crash: %d %s", a.status, a.text)
			}
		}
	})
}

// principalID finds the id of a realm's root principal.
func principalID(d *gate, realm string) string {
	d.t.Helper()
	for _, line := range strings.Split(d.command("principal", "get", "-r", realm, "root"), "\n") {
		if f := strings.Fields(line); len(f) == 2 && f[0] == "id" {
			return f[1]
		}
	}
	d.t.Fatal("no id")
	return ""
}

// hostilePath gives a file of the plugin's name that is the test binary.
func hostilePath(t *testing.T) string { return testPlugin(t, "hostile") }

// testPlugin gives the path of a binary that is the plugin of TestMain's with this name.
func testPlugin(t *testing.T, name string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "realmgate-plugin-"+name)
	if err := os.Link(self, path); err == nil { // a copy would take a while
		return path
	}
	text, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// A realm whose plugin cannot be had is unavailable; the others are not, unless --strict.
func TestBrokenPluginTakesDownOnlyItsRealms(t *testing.T) {
	t.Parallel()
	hcl := `
plugin "gone" {
  path = "/nonexistent/realmgate-plugin-gone"
}
realm "good" {}
realm "bad" {
  authentication {
    token_broker {
      type = "gone"
    }
  }
}
`
	d := start(t, hcl)
	if a := d.check("good", d.rootToken("good")); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.text)
	}
	if a := d.check("bad", "x"); a.status != http.StatusServiceUnavailable || a.reason() != "unavailable" {
		t.Errorf("%d %s", a.status, a.text)
	}
	if a := d.grant("bad", "x", "y", "PRINCIPAL_ROLE:ALL"); a.status != http.StatusServiceUnavailable {
		t.Errorf("its token endpoint: %d %s", a.status, a.text)
	}
	if !strings.Contains(d.log.String(), "realm bad is not served") {
		t.Errorf("the log does not say so:\n%s", d.log)
	}
	if text := d.command("plugin", "list"); !strings.Contains(text, "/nonexistent/realmgate-plugin-gone") {
		t.Errorf("plugin list:\n%s", text)
	}
}
