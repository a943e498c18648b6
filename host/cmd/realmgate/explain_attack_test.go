package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// parrot is an identity provider that repeats all that it is given wherever a plugin can put text.
type parrot struct{}

func (parrot) Identify(ctx context.Context, r sdk.Request) (sdk.Identity, error) {
	all := []string{r.Token, hex.EncodeToString([]byte(r.Token)), url.QueryEscape(r.Token)}
	if plain, err := base64.StdEncoding.DecodeString(r.Token); err == nil {
		all = append(all, string(plain))
	}
	all = append(all, r.HTTP.RawTarget)
	for _, h := range r.HTTP.Header {
		all = append(all, h.Value)
	}
	for _, s := range all {
		sdk.NotesOf(ctx).Add("%s", s)
	}
	text := strings.Join(all, " | ")
	switch path, _, _ := strings.Cut(r.HTTP.RawTarget, "?"); path {
	case "/deny":
		return sdk.Identity{}, sdk.Deny("denied", "%s", text)
	case "/fail":
		return sdk.Identity{}, errors.New(text)
	}
	claims, err := json.Marshal(map[string]any{"name": r.Token, "all": all, text: "x"})
	return sdk.Identity{
		Issuer: "https://idp/" + r.Token, Subject: text, TokenID: "of the parrot", Claims: sdk.NewClaims(claims), Audience: all, Roles: []string{"PRINCIPAL_ROLE:" + r.Token},
		Expires: time.Now().Add(time.Hour),
	}, err
}

// Canaries in every kind of credential, and beside it, are in nothing that an explanation leaves behind: neither in what is shown
// nor in the audit log nor in the daemon's log, down to its most talkative level.
func TestExplainShowsNoCredential(t *testing.T) {
	config := func(audience string) string {
		return "plugin \"witness\" {\n  path = \"" + testPlugin(t, "witness") + "\"\n}\naudit {\n  path = \"data/audit.log\"\n}\ntenant \"t\" {\n  identity_provider {\n    type = \"parrot\"\n  }\n" +
			"  principal_mapper {\n    name_claim_path = \"" + audience + "\"\n  }\n}\nrealm \"r\" {\n  tenant = \"t\"\n  authentication {\n    type = \"external\"\n    authenticator {\n      type = \"claims\"\n    }\n  }\n}\n"
	}
	d := start(t, config("name"), "--log-level", "trace")
	text, err := os.ReadFile(filepath.Join(d.dir, "config.hcl"))
	other := bytes.Replace(text, []byte(`path = "name"`), []byte(`path = "all"`), 1)
	if err != nil || bytes.Equal(text, other) {
		t.Fatal(err, "the configuration is the same")
	}
	against := filepath.Join(d.dir, "other.hcl")
	if err := os.WriteFile(against, other, 0o600); err != nil {
		t.Fatal(err)
	}

	b64 := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	signature := strings.Repeat("c0ffee", 10) + "beef"
	jwt := b64(`{"alg":"RS256"}`) + "." + b64(`{"sub":"canary-subject"}`) + "." + b64("canary-signature-1f0d9a")
	for name, tt := range map[string]struct {
		head    string // lines behind the request line
		secrets []string
	}{
		"bearer, opaque":   {"Authorization: Bearer canary-opaque-5d2f0b7e", []string{"canary-opaque-5d2f0b7e"}},
		"bearer, JWT":      {"Authorization: Bearer " + jwt, strings.Split(jwt, ".")[1:]},
		"user, password":   {"Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("alice:canary-password-91")), []string{"canary-password-91", b64("alice:canary-password-91")}},
		"client, secret":   {"Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("client:rgcs_canary0client0secret")), []string{"rgcs_canary0client0secret"}},
		"cookie":           {"Authorization: Bearer canary-opaque-5d2f0b7e\nCookie: theme=dark; sid=canary-cookie-77aa10", []string{"canary-cookie-77aa10"}},
		"signature of AWS": {"X-Amz-Security-Token: canary-session-token-3c\nAuthorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261125/r/s/aws4_request, SignedHeaders=host, Signature=" + signature, []string{signature, "canary-session-token-3c"}},
		"proof, key":       {"DPoP: " + jwt + "\nX-Api-Key: canary-api-key-60\nAuthorization: Bearer canary-opaque-5d2f0b7e", []string{"canary-api-key-60", strings.Split(jwt, ".")[2]}},
	} {
		for path, verdict := range map[string]string{"/deny": "DENIED", "/fail": "UNAVAILABLE", "/yes": "ALLOWED"} {
			request := "GET " + path + "?access_token=canary-parameter-8e HTTP/1.1\nHost: app.example.com\n" + tt.head + "\n"
			var shown []string
			for _, args := range [][]string{nil, {"--json"}, {"--against", against}, {"--against", against, "--json"}} {
				out, err := d.tryExplain(request, append([]string{"-r", "r", "--request"}, args...)...)
				if err != nil {
					t.Fatalf("%s: %v\n%s", name, err, out)
				}
				shown = append(shown, out)
			}
			if !strings.HasPrefix(shown[0], verdict) || !strings.Contains(shown[2], "The other configuration") || strings.Count(shown[0], "[token]") < 3 {
				t.Errorf("%s, %s: the part does not repeat what it was given:\n%s", name, path, shown[2])
			}
			audited, err := os.ReadFile(filepath.Join(d.dir, "data", "audit.log"))
			if err != nil {
				t.Fatal(err)
			}
			for place, text := range map[string]string{"text": shown[0], "JSON": shown[1], "comparison": shown[2], "comparison in JSON": shown[3], "audit log": string(audited), "daemon's log": d.log.String()} {
				for _, secret := range append(tt.secrets, "canary-parameter-8e") {
					if at := leak(text, secret); at != "" {
						t.Errorf("%s, %s: the %s has %q of %q", name, path, place, at, secret)
					}
				}
			}
		}
	}
	if !strings.Contains(d.log.String(), "[TRACE]") && !strings.Contains(d.log.String(), "[DEBUG]") {
		t.Error("the daemon's log is not talkative")
	}
}

// leak gives a piece of a secret that a text has, as it is or in hexadecimal; empty if it has none of a length that counts.
func leak(text, secret string) string {
	const counts = 12
	for _, form := range []string{secret, hex.EncodeToString([]byte(secret))} {
		for i := 0; i+counts <= len(form); i++ {
			if strings.Contains(text, form[i:i+counts]) {
				return form[i : i+counts]
			}
		}
	}
	return ""
}
