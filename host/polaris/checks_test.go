package polaris

import (
	"strings"
	"testing"
)

const checked = "quarkus.oidc.t.auth-server-url=https://t.example.com\nquarkus.oidc.t.client-id=c\nquarkus.oidc.t.token.audience=a\n"

// TestTokenChecks has a check each that has no equivalent: it is never left out in silence.
func TestTokenChecks(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"required-claims.tenant=acme":              "error",
		"required-claims.email_verified=true":      "error",
		"required-claims.email_verified=false":     "error",
		`required-claims."ns.x"=y`:                 "error",
		"required-claims.azp=app":                  "", // it is authorized_party
		"token-type=at+jwt":                        "error",
		"binding-certificate=true":                 "error",
		"binding-certificate=false":                "",
		"verify-access-token-with-user-info=true":  "error",
		"verify-access-token-with-user-info=false": "",
		"age=PT5M":                       "warning",
		"subject-required=true":          "warning",
		"authorization-scheme=DPoP":      "warning",
		"what-a-newer-quarkus-has=x":     "warning",
		"age=":                           "",
		"lifespan-grace=10":              "",
		"signature-algorithm=es256":      "",
		"allow-jwt-introspection=true":   "",
		"forced-jwk-refresh-interval=5M": "",
	} {
		key, _, _ := strings.Cut(in, "=")
		key = "quarkus.oidc.t.token." + key
		out, diags := Import([]byte(checked+"quarkus.oidc.t.token."+in), Options{File: "f"})
		got := ""
		for _, d := range diags {
			if d.Line != 4 || !strings.HasPrefix(d.Summary, key+" has no equivalent: tokens that Polaris refuses") {
				t.Errorf("%s: it says %q at line %d", in, d.Summary, d.Line)
			}
			got = "warning"
		}
		if diags.Err() != nil {
			got = "error"
		}
		if got != want || (out == nil) != (want == "error") {
			t.Errorf("%s: %q, want %q\n%s", in, got, want, out)
		}
		if out != nil && !strings.Contains(comments(out), key) {
			t.Errorf("%s is lost:\n%s", in, out)
		}
	}
}

// TestOtherRoles: roles that are found elsewhere in Polaris are a warning.
func TestOtherRoles(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int{"source=userinfo": 1, "source=idtoken": 1, "role-claim-separator=;": 1, "source=accesstoken": 0} {
		out, diags := Import([]byte(checked+"quarkus.oidc.t.roles."+in), Options{File: "f"})
		if out == nil || len(diags) != want || want == 1 && (!diags[0].Warning || diags[0].Line != 4) {
			t.Errorf("%s: %v", in, diags)
		}
	}
}

// TestDisabledTenantChecks: what no tenant uses is no fault.
func TestDisabledTenantChecks(t *testing.T) {
	t.Parallel()
	_, diags := Import([]byte(checked+"quarkus.oidc.t.token.required-claims.x=y\nquarkus.oidc.t.tenant-enabled=false"), Options{File: "f"})
	if len(diags) > 0 {
		t.Error(diags)
	}
}

// TestUndeclaredSettings: of a type that is not bundled no setting is copied, whatever its name is, and no variable read for one.
func TestUndeclaredSettings(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"polaris.authentication.authenticator", "polaris.authentication.token-broker", "polaris.oidc.principal-mapper", "polaris.oidc.principal-roles-mapper"} {
		for _, name := range []string{"pin", "pass", "db-url", "greeting", "a.b.c"} {
			for value, variable := range map[string]string{"canary": "", "${X_Y}": "X_Y", "${X_Y:canary}": "X_Y", "canary ${X_Y}": "", "${other.x}": "OTHER_X"} {
				key := part + "." + name
				if variable == "" {
					variable = strings.ToUpper(unfit.ReplaceAllString(key, "_"))
				}
				in := part + ".type=acme\n" + key + "=" + value + "\nother.x=canary"
				out, diags := Import([]byte(in), Options{File: "f", Lookup: func(name string) (string, bool) {
					t.Errorf("%s: the variable %s is asked for", in, name)
					return "canary", true
				}})
				if diags.Err() != nil || strings.Contains(string(out), "canary") || !strings.Contains(string(out), `"urn:realmgate-secret:environment:`+variable+`"`) {
					t.Errorf("%s: %v\n%s", in, diags, out)
				}
				if len(diags) != 1 || diags[0].Line != 2 || diags[0].Summary != key+" may be a secret: it is not copied" || !strings.Contains(diags[0].Detail, variable) {
					t.Errorf("%s: it says %v", in, diags)
				}
			}
		}
	}
}

// TestInheritedWarning: of a setting that two realms inherit there is one warning.
func TestInheritedWarning(t *testing.T) {
	t.Parallel()
	const at = "polaris.authentication."
	_, diags := Import([]byte(at+"authenticator.type=acme\n"+at+"authenticator.pin=canary\n"+at+"a.authenticator.type=other\n"+at+"b.authenticator.type=another"), Options{File: "f"})
	if len(diags) != 1 || diags[0].Line != 2 {
		t.Error(diags)
	}
}

func TestMayBeSecret(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"ACME_PWD": true, "acme.pass": true, "DB_PASS": true, "dbPass": true, "PIN": true, "acme.pin": true, "hmac.key": true, "SIGNING_KEY": true, "VAULT_SECRET_ID": true,
		"DB_PASSWORD": true, "x.private-key": true, "GITHUB_TOKEN": true, "BASIC_AUTH": true, "PASSWORD_VALID": true,
		"TTL": false, "IDP_URL": false, "bypass.mode": false, "shipping": false, "keys.dir": false, "KEY_FILE": false, "x.client-secret.method": false, "REALMS": false, "author": false,
	} {
		if got := mayBeSecret(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
