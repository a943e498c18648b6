package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/scaffold"
)

// A new plugin, of whatever kind, does its work under dev as it is made.
func TestDevRunsEveryKind(t *testing.T) {
	t.Parallel()
	secrets := t.TempDir()
	if err := os.Mkdir(filepath.Join(secrets, "dev"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(secrets, "dev", "pass"), []byte("a secret of the folder"), 0o600); err != nil {
		t.Fatal(err)
	}
	const ref = "key=urn:realmgate-secret:env:ACME_KEY"
	allowed := func(t *testing.T, d *gate, realm, token string) {
		t.Helper()
		if a := d.check("dev", token); a.status != http.StatusOK {
			t.Errorf("a token of %s: %d %s", realm, a.status, a.text)
		}
	}
	scoped := func(d *gate) string {
		root := d.root["tokens"]
		token, _ := d.grant("tokens", root.ClientID, root.ClientSecret, "PRINCIPAL_ROLE:service_admin").body["access_token"].(string)
		return token
	}
	ofTokens := func(t *testing.T, d *gate) { allowed(t, d, "tokens", scoped(d)) }
	ofDev := func(t *testing.T, d *gate) { allowed(t, d, "dev", d.rootToken("dev")) }
	vended := func(t *testing.T, d *gate, token, secret, want string) {
		t.Helper()
		if a := d.connection(http.MethodPost, "dev", "", token, remote("api", remoteURI, bearer(secret))); a.status != http.StatusCreated {
			t.Fatalf("%d %s", a.status, a.text)
		}
		if a := d.connection(http.MethodPost, "dev", "/api/credentials", token, "{}"); a.status != http.StatusOK || !strings.Contains(a.text, want) {
			t.Errorf("%d %s", a.status, a.text)
		}
	}
	runs := map[string]struct {
		set  []string
		env  string
		does func(*testing.T, *gate)
	}{
		"active-roles-provider":  {does: ofTokens},
		"principal-mapper":       {set: []string{"claim=principal_name"}, does: ofTokens},
		"principal-roles-mapper": {set: []string{`roles={"PRINCIPAL_ROLE:service_admin": "service_admin"}`}, does: ofTokens},
		"authenticator":          {set: []string{"role=service_admin"}, does: ofDev},
		"identity-provider": {set: []string{ref}, env: newKey, does: func(t *testing.T, d *gate) {
			if a := d.check("dev", ticket(time.Now().Add(time.Hour))); a.status != http.StatusOK || a.header.Get("Realmgate-Roles") != "reader" {
				t.Errorf("a ticket: %d %v %s", a.status, a.header, a.text)
			}
		}},
		"token-broker": {set: []string{ref}, env: string(pasetoKey(t)), does: ofDev},
		"secret-resolver": {set: []string{"dir=" + secrets}, does: func(t *testing.T, d *gate) {
			socket, err := filepath.Glob(filepath.Join(d.dir, "realmgate-dev-*", "admin.sock"))
			if err != nil || len(socket) != 1 {
				t.Fatal(socket, err)
			}
			if text := d.command("secret", "get", "--socket", socket[0], "--reveal", "acme:dev/pass"); !strings.Contains(text, "a secret of the folder") {
				t.Error(text)
			}
		}},
		"secret-resolver secret-writer": {set: []string{"dir=" + secrets}, does: func(t *testing.T, d *gate) {
			vended(t, d, scoped(d), "handed-in-by-a-test", "handed-in-by-a-test")
			if kept, err := filepath.Glob(filepath.Join(secrets, "dev", "*")); err != nil || len(kept) < 2 {
				t.Errorf("it is not in the plugin's store: %v %v", kept, err)
			}
		}},
		"credential-vendor": {does: func(t *testing.T, d *gate) {
			vended(t, d, scoped(d), newKey, `"token"`)
		}},
	}
	for _, kind := range scaffold.Kinds() {
		if runs[kind].does == nil {
			t.Errorf("%s: nobody says how it is tried", kind)
			delete(runs, kind)
		}
	}
	for name, c := range runs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var args, made []string
			kind, with, further := strings.Cut(name, " ")
			if further {
				made = []string{"--with", with}
			}
			for _, s := range c.set {
				args = append(args, "--set", s)
			}
			d, _ := developWith(t, []string{"GOWORK=off", "ACME_KEY=" + c.env}, newPlugin(t, kind, made...), args...)
			c.does(t, d)
		})
	}
}
