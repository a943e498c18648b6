package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// A connection with client credentials, whose remote system is another realm of the same daemon: what a user of the one gets
// is a token of the other, which opens nothing at home; and a request that is signed carries it.
func TestOAuthConnection(t *testing.T) {
	t.Parallel()
	d := start(t, connected)
	root, worker := d.rootToken("demo"), d.user("demo", "worker", "service")
	d.command("role", "create", "-r", "other", "reader")
	client := d.create("other", "gate", "--role", "reader")
	catalog := d.url + "/realms/other"
	body := fmt.Sprintf(`{"name":"other","connectionConfigInfo":{"connectionType":"ICEBERG_REST","uri":%q,"remoteCatalogName":"c",
		"authenticationParameters":{"authenticationType":"OAUTH","clientId":%q,"clientSecret":%q,"scopes":["PRINCIPAL_ROLE:ALL"]}}}`,
		catalog, client.ID, client.Secret)
	if a := d.connection(http.MethodPost, "demo", "", root, body); a.status != http.StatusCreated || strings.Contains(a.text, client.Secret) {
		t.Fatalf("create: %d %s", a.status, a.text)
	}
	credentials := func() (answer, string) {
		a := d.connection(http.MethodPost, "demo", "/other/credentials", worker, "{}")
		token := tokenIn(a.text)
		return a, token
	}
	a, token := credentials()
	if a.status != http.StatusOK || token == "" {
		t.Fatalf("credentials: %d %s", a.status, a.text)
	}
	if a := d.check("other", token); a.status != http.StatusOK || a.header.Get("Realmgate-Principal") != "gate" {
		t.Errorf("the token at the remote system: %d %v", a.status, a.header)
	}
	if a := d.check("demo", token); a.status != http.StatusUnauthorized {
		t.Errorf("the token at home: %d", a.status)
	}
	if _, again := credentials(); again != token {
		t.Error("each answer is a new token")
	}
	sign := fmt.Sprintf(`{"method":"GET","uri":%q,"headers":{"accept":["*/*"]}}`, catalog+"/v1/check")
	if a := d.connection(http.MethodPost, "demo", "/other/sign", worker, sign); a.status != http.StatusOK || !strings.Contains(a.text, "Bearer "+token) {
		t.Errorf("sign: %d %s", a.status, a.text)
	}
	// The remote system takes the secret back: the next token is not to be had, and that is nobody's fault who asks here.
	d.command("principal", "reset", "-r", "other", "gate")
	if a := d.connection(http.MethodPost, "demo", "", root, strings.Replace(body, `"name":"other"`, `"name":"again"`, 1)); a.status != http.StatusCreated {
		t.Fatalf("create: %d %s", a.status, a.text)
	}
	if a := d.connection(http.MethodPost, "demo", "/again/credentials", worker, "{}"); a.status != http.StatusServiceUnavailable || strings.Contains(a.text, client.Secret) {
		t.Errorf("a secret that the remote system does not know: %d %s", a.status, a.text)
	}
	if err := d.stop(); err != nil {
		t.Error(err)
	}
	if log := d.log.String(); !strings.Contains(log, "invalid_client") || strings.Contains(log, token) {
		t.Errorf("the log does not say what the remote system says, or has the token: %s", log)
	}
	d.keepsNo(client.Secret, token)
}

// tokenIn finds the token in the answer with the credentials.
func tokenIn(text string) string {
	var a any
	if json.Unmarshal([]byte(text), &a) != nil {
		return ""
	}
	var find func(any) string
	find = func(v any) string {
		m, ok := v.(map[string]any)
		if !ok {
			return ""
		}
		if s, ok := m["token"].(string); ok {
			return s
		}
		for _, inner := range m {
			if s := find(inner); s != "" {
				return s
			}
		}
		return ""
	}
	return find(a)
}
