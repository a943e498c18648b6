package polaris

import (
	"strings"
	"testing"
)

// TestNotWeaker: what keeps callers out in Polaris keeps them out here, or is said.
func TestNotWeaker(t *testing.T) {
	t.Parallel()
	const (
		named = "quarkus.oidc.t.auth-server-url=https://t.example.com\nquarkus.oidc.t.token.audience=a\n"
		bare  = "quarkus.oidc.auth-server-url=https://t.example.com\nquarkus.oidc.token.audience=a\n"
	)
	for in, c := range map[string]struct {
		said string // in the diagnostics
		want string // in what is written, without comments
		not  string
	}{
		bare: {"f:1:1: warning: the tenant without a name is off in Polaris", "", "\ntenant "},
		bare + "quarkus.oidc.tenant-enabled=true":                             {"", `tenant "default"`, "nothing"},
		bare + "quarkus.oidc.tenant-enabled=true\nquarkus.oidc.enabled=false": {"f:4:1: warning: quarkus.oidc.enabled is off: all tenants are left out", "", "\ntenant "},
		named + "quarkus.oidc.enabled=true":                                   {"", `tenant "t"`, "nothing"},
		named + "quarkus.oidc.t.token.require-jwt-introspection-only=true \n": {"f:1:1: the introspection endpoint is not known", "", "\ntenant "},
		named + "quarkus.oidc.t.token.require-jwt-introspection-only=ture":    {"f:3:1: quarkus.oidc.t.token.require-jwt-introspection-only is neither true nor false", "", "\ntenant "},
		named + "quarkus.oidc.t.roles.role-claim-path[0]=polaris/roles":       {"", `role_claim_path = "polaris/roles"`, `"groups"`},
		named + "quarkus.oidc.t.token.audience[1]=b":                          {"f:3:1: quarkus.oidc.t.token.audience[1] is an item of a list that line 2 has as a whole", "", "\ntenant "},
		named[:strings.Index(named, "\n")+1] + "a=x,y\nquarkus.oidc.t.token.audience[0]=${a}\nquarkus.oidc.t.token.audience[1]=p\\\\\nquarkus.oidc.t.token.audience[2]=q": {"", `["x,y", "p\\", "q"]`, "nothing"},
		strings.Replace(named, "auth-server-url", "auth-server-url[1]", 1) + "quarkus.oidc.t.auth-server-url[0]=https://x":                                                {"is an item of a list, where one value is wanted", "", "\ntenant "},
		bare + "quarkus.oidc.tenant-enabled=true\nquarkus.oidc.newgroup.strict=true":                                                                                      {"f:4:1: warning: quarkus.oidc.newgroup.strict is taken for a setting of a tenant, which has no auth-server-url", `tenant "default"`, "nothing"},
		"polaris.realm-context.realms[1]=b\npolaris.realm-context.realms[0]=a":                                                                                            {"", `realm "a" {}`, "POLARIS"},
		named + "quarkus.oidc.t.authentication.user-info-required=true":                                                                                                   {"f:3:1: warning: quarkus.oidc.t.authentication.user-info-required has no equivalent", `tenant "t"`, "nothing"},
		named + "quarkus.oidc.t.authentication.user-info-required=false":                                                                                                  {"", `tenant "t"`, "nothing"},
		named + "quarkus.oidc.t.tls.trust-store-file=ca.p12":                                                                                                              {"f:3:1: warning: quarkus.oidc.t.tls.trust-store-file has no equivalent", `tenant "t"`, "nothing"},
		named + "quarkus.oidc.t.what-a-newer-quarkus-has=x":                                                                                                               {"f:3:1: warning: quarkus.oidc.t.what-a-newer-quarkus-has has no equivalent", `tenant "t"`, "nothing"},
		named + "quarkus.oidc.t.token.issuer=https://me:canary/x@t.example.com":                                                                                           {"f:3:1: quarkus.oidc.t.token.issuer has a password in it", "", "canary"},
		named + "quarkus.oidc.t.jwks-path=/k?t=canary\nquarkus.oidc.t.discovery-enabled=false":                                                                            {"f:3:1: quarkus.oidc.t.jwks-path has a query in it", "", "canary"},
		named + "quarkus.oidc.t.token.issuer=https://u:a\"can ary@x":                                                                                                      {"f:3:1: quarkus.oidc.t.token.issuer has a password in it", "", "ary@"},
		named + "quarkus.oidc.t.token.issuer=https://x/#canary":                                                                                                           {"f:3:1: quarkus.oidc.t.token.issuer has a query in it", "", "canary"},
		strings.Replace(named, ".com", ".com/?token=canary", 1):                                                                                                           {"f:1:1: quarkus.oidc.t.auth-server-url has a query in it", "", "canary"},
		named + "quarkus.oidc.t.token.issuer=https://x/${acme.hmac}\nacme.hmac=canary":                                                                                    {"refers to a secret", "", "canary"},
		named + "quarkus.oidc.t.token.issuer=https://x/${acme.token1}\nacme.token1=y":                                                                                     {"refers to a secret", "", "\ntenant "},
		named + "quarkus.oidc.t.token.issuer=https://x/${ACCESS_TOKEN_2:canary}":                                                                                          {"refers to a secret", "", "canary"},
		named + "quarkus.oidc.t.token.issuer=https://x/${acme.signing-key-v2:canary}":                                                                                     {"refers to a secret", "", "canary"},
		named + `quarkus.oidc.t.roles.role-claim-path="https://ns.example.com/claims#roles"`:                                                                              {"", `claims#roles`, "nothing"},
		named + "x." + strings.Repeat("a.", 500_000) + "b=c":                                                                                                              {"", `tenant "t"`, "nothing"},
		named + "polaris.\u202ereal=x":                                                                                                                                    {"", `tenant "t"`, "\u202e"},
	} {
		out, diags := Import([]byte(in), Options{File: "f"})
		said := ""
		for _, d := range diags {
			said += d.String() + "\n"
		}
		if c.said == "" && len(diags) > 0 || !strings.Contains(said, c.said) {
			t.Errorf("%s\nit says %q, want %q", in, said, c.said)
		}
		if !strings.Contains(string(out), c.want) || strings.Contains(string(out)+said, c.not) {
			t.Errorf("%s\nwithout %q, or with %q:\n%s\n%s", in, c.want, c.not, out, said)
		}
	}
	if _, diags := Import(nil, Options{File: "f", Profile: "dev,prod"}); diags.Err() == nil {
		t.Error("two profiles are taken for one")
	}
}

// TestOneVariableEach: two secrets never become one.
func TestOneVariableEach(t *testing.T) {
	t.Parallel()
	at := func(realm string) string {
		return "polaris.authentication." + realm + ".token-broker.type=symmetric-key\npolaris.authentication." + realm + ".token-broker.symmetric-key.secret=canary-" + realm + "\n"
	}
	out, diags := Import([]byte("polaris.realm-context.realms=a-b,a_b\n"+at("a-b")+at("a_b")), Options{File: "f"})
	identity := func(realm string) string {
		at := "polaris.service-identity." + realm + ".aws-iam."
		return at + "iam-arn=arn:aws:iam::1:role/" + realm + "\n" + at + "access-key-id=i\n" + at + "secret-access-key=canary-" + realm + "\n"
	}
	both, _ := Import([]byte("polaris.realm-context.realms=a-b,a_b\n"+identity("a-b")+identity("a_b")), Options{File: "f"})
	if text := string(both); strings.Count(text, `:POLARIS_SERVICE_IDENTITY_A_B_AWS_IAM"`) != 1 || strings.Count(text, `:POLARIS_SERVICE_IDENTITY_A_B_AWS_IAM_2"`) != 1 {
		t.Error(text)
	}
	mine, _ := Import([]byte("polaris.realm-context.realms=a-b,c\n"+at("a-b")+strings.Replace(at("c"), "canary-c", "${POLARIS_AUTHENTICATION_A_B_TOKEN_BROKER_SYMMETRIC_KEY_SECRET}", 1)), Options{File: "f"})
	if text := string(mine); strings.Count(text, `environment:POLARIS_AUTHENTICATION_A_B_TOKEN_BROKER_SYMMETRIC_KEY_SECRET"`) != 1 || strings.Count(text, `environment:POLARIS_AUTHENTICATION_A_B_TOKEN_BROKER_SYMMETRIC_KEY_SECRET_2"`) != 1 {
		t.Errorf("a variable that another secret names is taken: %s", text)
	}
	const name = "urn:realmgate-secret:environment:POLARIS_AUTHENTICATION_A_B_TOKEN_BROKER_SYMMETRIC_KEY_SECRET"
	if diags.Err() != nil || strings.Count(string(out), name+`"`) != 1 || strings.Count(string(out), name+`_2"`) != 1 || len(diags) != 2 || diags[0].Detail == diags[1].Detail {
		t.Errorf("%v\n%s", diags, out)
	}
}
