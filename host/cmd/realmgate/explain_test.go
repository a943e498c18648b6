package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/host/admin"
	"github.com/realmgate/realmgate/internal/doctest"
	"github.com/realmgate/realmgate/internal/oidctest"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/serve"
)

// witness is a token broker that denies with what it was given of the request.
type witness struct{}

func (witness) Issue(context.Context, sdk.Grant) (sdk.Token, error) {
	return sdk.Token{}, errors.New("this broker issues nothing")
}

func (witness) Verify(_ context.Context, r sdk.Request) (sdk.Credential, error) {
	if r.HTTP == nil {
		return sdk.Credential{}, sdk.Deny("no_request", "there is no request")
	}
	return sdk.Credential{}, sdk.Deny("seen", "%s %s %s %s %v", r.Token, r.HTTP.Method, r.HTTP.Host, r.HTTP.RawTarget, r.HTTP.Header)
}

func witnessPlugin() {
	serve.Main("witness", "1", sdk.TokenBrokerType("witness", func(context.Context, sdk.Setup, struct{}) (witness, error) { return witness{}, nil },
		sdk.NeedsHTTP(), sdk.Schemes("aws4-hmac-sha256")),
		sdk.TokenBrokerType("bound", func(context.Context, sdk.Setup, struct{}) (bound, error) { return bound{}, nil }),
		sdk.IdentityProviderType("parrot", func(context.Context, sdk.Setup, struct{}) (parrot, error) { return parrot{}, nil },
			sdk.NeedsHTTP(), sdk.Schemes("bearer", "basic", "aws4-hmac-sha256")))
}

// explained runs the command with a token on standard input.
func (d *gate) explained(token string, args ...string) (admin.Explained, string) {
	d.t.Helper()
	out, err := d.tryExplain(token, append(args, "--json")...)
	if err != nil {
		d.t.Fatalf("explain %v: %v\n%s", args, err, out)
	}
	var got admin.Explained
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		d.t.Fatalf("%v\n%s", err, out)
	}
	return got, out
}

func (d *gate) tryExplain(token string, args ...string) (string, error) {
	cmd := exec.Command("realmgate", append([]string{"explain"}, args...)...)
	cmd.Dir, cmd.Stdin = d.dir, strings.NewReader(token)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// notes gives what a stage of a route tells of its work.
func notes(e admin.Explained, source, kind string) string {
	for _, r := range e.Routes {
		for _, s := range r.Stages {
			if r.Source == source && s.Kind == kind {
				return strings.Join(s.Notes, "\n")
			}
		}
	}
	return ""
}

const explainedRealms = threeModes + `
audit {
  path = "data/audit.log"
}
realm "filtered" {
  hosts  = ["filtered.example.com"]
  tenant = "filtered"
  authentication {
    type = "external"
    authenticator {
      type = "claims"
    }
  }
}
tenant "filtered" {
  principal_roles_mapper {
    filter = "team-.*"
    mapping {
      regex       = "team-(.*)"
      replacement = "PRINCIPAL_ROLE:$1"
    }
  }
}
`

func TestExplain(t *testing.T) {
	t.Parallel()
	idp := oidctest.Start(t, oidctest.Options{})
	d := start(t, strings.ReplaceAll(explainedRealms, "ISSUER", idp.Issuer))
	claims := identity(7, "carol", "team-dev", "offline_access")
	claims["client_secret"] = "canary-5e1b0c77"
	carol := idp.Token(t, oidctest.TokenOptions{Claims: claims})
	root := d.rootToken("inside")

	// The explanation and the door come to the same, for a yes, a no of each kind, and a realm that is down.
	for _, tt := range []struct{ realm, token, by string }{
		{"inside", root, ""},
		{"both", root, "external identity-provider"},
		{"both", carol, "external authenticator"},
		{"filtered", carol, ""},
		{"outside", "nonsense", "external identity-provider"},
		{"inside", carol, "internal token-broker"},
	} {
		a := d.check(tt.realm, tt.token)
		got, text := d.explained(tt.token, "-r", tt.realm)
		if got.Status != a.status || got.Summary == "" || a.status != 200 && got.Reason != a.reason() {
			t.Errorf("%s: explained as %d %s, decided as %d %s", tt.realm, got.Status, got.Reason, a.status, a.reason())
		}
		by := ""
		for _, r := range got.Routes {
			for _, s := range r.Stages {
				if s.Outcome == "denied" {
					by = r.Source + " " + s.Kind
				}
				if s.Plugin != nil && (s.Plugin.Name != "default" || s.Plugin.PID == 0 || s.Plugin.Digest == "") {
					t.Errorf("%s: %+v", s.Kind, s.Plugin)
				}
			}
		}
		if by != tt.by {
			t.Errorf("%s: denied by %q, want %q\n%s", tt.realm, by, tt.by, text)
		}
		for _, part := range append(strings.Split(tt.token, "."), "canary-5e1b0c77") {
			if len(part) > 8 && strings.Contains(text, part) {
				t.Errorf("%s: the explanation has %q", tt.realm, part)
			}
		}
		people, err := d.tryExplain("Bearer "+tt.token+"\n", "-r", tt.realm)
		if err != nil || !strings.Contains(people, got.Summary) || len(tt.token) > 20 && strings.Contains(people, tt.token[len(tt.token)-20:]) {
			t.Errorf("%s: %v\n%s", tt.realm, err, people)
		}
	}

	got, text := d.explained(carol, "--host", "filtered.example.com")
	if got.Realm != "filtered" || !strings.Contains(got.Chosen, "filtered.example.com") {
		t.Errorf("realm %s, %s", got.Realm, got.Chosen)
	}
	for kind, want := range map[string][]string{
		"identity-provider":      {idp.Issuer, "signed with the key"},
		"principal-mapper":       {`the id: the claim polaris/principal_id is "7"`, `the name: the claim polaris/principal_name is "carol"`},
		"principal-roles-mapper": {`"team-dev": kept`, `"team-dev": mapping 1 makes it "PRINCIPAL_ROLE:dev"`, `"offline_access": left out by the filter`},
	} {
		for _, w := range want {
			if n := notes(got, "external", kind); !strings.Contains(n, w) {
				t.Errorf("%s: no note %s in\n%s", kind, w, n)
			}
		}
	}
	if r := got.Roles; r == nil || !slices.Equal(r.Requested, []string{"PRINCIPAL_ROLE:dev"}) || !slices.Equal(r.Active, []string{"dev"}) {
		t.Errorf("roles %+v\n%s", r, text)
	}
	if n := notes(func() admin.Explained { e, _ := d.explained(root, "-r", "inside"); return e }(), "internal", "token-broker"); !strings.Contains(n, "signed with the key") {
		t.Errorf("the broker notes %q", n)
	}
	if tail := carol[len(carol)-20:]; strings.Contains(d.log.String(), tail) {
		t.Error("the daemon's log has the token")
	}
	log, err := os.ReadFile(filepath.Join(d.dir, "data", "audit.log"))
	if err != nil || strings.Count(string(log), `"event":"decision.explain"`) < 8 || strings.Contains(string(log), carol[len(carol)-20:]) {
		t.Errorf("%v, audit log:\n%s", err, log)
	}
}

// What is remembered is told, and neither read nor changed by an explanation.
func TestExplainTellsOfTheCache(t *testing.T) {
	t.Parallel()
	d := start(t, "realm \"demo\" {}\nrealm \"forgetful\" {\n  authentication {\n    cache {\n      max_age = \"0s\"\n    }\n  }\n}\n")
	token := d.rootToken("demo")
	for range 2 {
		if got, _ := d.explained(token, "-r", "demo"); got.Cache.State != "miss" || got.Cache.StoreS == 0 {
			t.Fatalf("%+v", got.Cache)
		}
	}
	d.check("demo", token)
	if got, _ := d.explained(token, "-r", "demo"); got.Cache.State != "hit" || got.Cache.Verdict != "allowed" || got.Cache.LeftS <= 0 || got.TookMS == 0 {
		t.Errorf("%+v", got.Cache)
	}
	d.command("principal", "disable", "-r", "demo", "root")
	if got, _ := d.explained(token, "-r", "demo"); got.Cache.State != "miss" || got.Status != 403 || got.Reason != "principal_disabled" {
		t.Errorf("%d %s, %+v", got.Status, got.Reason, got.Cache)
	}
	if got, _ := d.explained(d.rootToken("forgetful"), "-r", "forgetful"); got.Cache.StoreS != 0 || !strings.Contains(got.Cache.StoreWhy, "max_age") {
		t.Errorf("%+v", got.Cache)
	}
}

func TestExplainAgainstAnotherConfiguration(t *testing.T) {
	t.Parallel()
	idp := oidctest.Start(t, oidctest.Options{})
	d := start(t, strings.ReplaceAll(explainedRealms, "ISSUER", idp.Issuer))
	carol := idp.Token(t, oidctest.TokenOptions{Claims: identity(7, "carol", "team-dev", "team-ops")})
	text, err := os.ReadFile(filepath.Join(d.dir, "config.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	write := func(old, now string) string {
		t.Helper()
		other := strings.Replace(string(text), old, now, 1)
		if other == string(text) {
			t.Fatalf("%q is not there", old)
		}
		path := filepath.Join(d.dir, "other.hcl")
		if err := os.WriteFile(path, []byte(other), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	got, _ := d.explained(carol, "-r", "filtered", "--against", write(`"team-.*"`, `"team-d.*"`))
	want := admin.Difference{What: "roles active", Here: "dev, ops", There: "dev"}
	if got.Other == nil || got.Other.Status != 200 || !slices.Contains(got.Differences, want) {
		t.Errorf("no difference %+v in %+v", want, got.Differences)
	}
	if same, _ := d.explained(carol, "-r", "filtered", "--against", write("realm \"inside\"", "realm \"elsewhere\"")); len(same.Differences) != 0 {
		t.Errorf("differences %+v", same.Differences)
	}
	for _, tt := range []struct{ old, now, want string }{
		{`"team-.*"`, `"("`, "other.hcl:"},
		{`path = "data/realmgate.db"`, `path = "data/other.db"`, "directory"},
		{`realm "filtered"`, `realm "renamed"`, "no such realm"},
		{`realm "filtered"`, `relm "filtered"`, "other.hcl:"},
	} {
		out, err := d.tryExplain(carol, "-r", "filtered", "--against", write(tt.old, tt.now))
		if err == nil || !strings.Contains(out, tt.want) {
			t.Errorf("%s: %v\n%s", tt.now, err, out)
		}
	}
	// What another configuration has started is in the audit log before it is; nothing is for a realm that it does not have.
	ran, evil := filepath.Join(t.TempDir(), "ran"), filepath.Join(t.TempDir(), "realmgate-plugin-evil")
	if err := os.WriteFile(evil, fmt.Appendf(nil, "#!/bin/sh\ncat %s >> %s\n", filepath.Join(d.dir, "data", "audit.log"), ran), 0o700); err != nil {
		t.Fatal(err)
	}
	plugin := fmt.Sprintf("plugin \"evil\" {\n  path = %q\n}\n", evil)
	_, _ = d.tryExplain(carol, "-r", "filtered", "--against", write(`realm "filtered"`, plugin+`realm "renamed"`))
	if _, err := os.Stat(ran); err == nil {
		t.Error("a plugin was started for a realm that is not there")
	}
	_, _ = d.tryExplain(carol, "-r", "filtered", "--against", write(`realm "filtered"`, plugin+`realm "filtered"`))
	if seen, err := os.ReadFile(ran); err != nil || !strings.Contains(string(seen), filepath.Join(d.dir, "other.hcl")) {
		t.Errorf("the audit log had no line when the plugin was started: %v\n%s", err, seen)
	}
	_ = os.Remove(ran)
	d.command("plugin", "lock")
	d.command("reload")
	elsewhere := filepath.Join(t.TempDir(), "unlocked.hcl")
	if err := os.WriteFile(elsewhere, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := d.tryExplain(carol, "-r", "filtered", "--against", elsewhere); err != nil || !strings.Contains(out, "in the same way") {
		t.Errorf("a configuration that lies elsewhere, under the lock that is in force: %v\n%s", err, out)
	}
	if err := os.WriteFile(elsewhere, fmt.Appendf(text, "\nplugin \"evil\" {\n  path = %q\n}\n", evil), 0o600); err != nil {
		t.Fatal(err)
	}
	_, _ = d.tryExplain(carol, "-r", "filtered", "--against", elsewhere)
	if _, err := os.Stat(ran); err == nil {
		t.Error("a plugin was started that the lock file does not have")
	}
	if out, err := d.tryExplain(carol, "-r", "filtered", "--against", filepath.Join(d.dir, "config.hcl")); err != nil || !strings.Contains(out, "in the same way") {
		t.Errorf("under the lock that is in force: %v\n%s", err, out)
	}
	if a := d.check("filtered", carol); a.status != 200 || a.header.Get("Realmgate-Roles") != "dev,ops" {
		t.Errorf("the daemon's own configuration was changed: %d %s", a.status, a.header.Get("Realmgate-Roles"))
	}
}

func TestExplainRefuses(t *testing.T) {
	t.Parallel()
	d := start(t, "realm \"demo\" {}\n")
	for _, tt := range []struct {
		token string
		args  []string
		want  string
	}{
		{"x", []string{"-r", "nowhere"}, "no such realm"},
		{"x", []string{"--host", "nowhere.example.com"}, "no realm has the host"},
		{"x", nil, "--realm or --host"},
		{" \n", []string{"-r", "demo"}, "no token on standard input"},
		{strings.Repeat("x", maxCredential+1), []string{"-r", "demo"}, "longer than"},
		{"GET / HTTP/1.1\nHost: x\nAuthorization: Bearer x\nX-Long: " + strings.Repeat("x", maxCredential), []string{"-r", "demo", "--request"}, "the request on standard input is longer than"},
		{"GET / HTTP/1.1\nHost: x\nAuthorization: Bearer x\n", []string{"-r", "demo", "--request", "--scheme", "basic"}, "--scheme and --request exclude each other"},
		{"x", []string{"-r", "demo", "--host", "x"}, "can't be used together"},
	} {
		if out, err := d.tryExplain(tt.token, tt.args...); err == nil || !strings.Contains(out, tt.want) {
			t.Errorf("%v: %v\n%s", tt.args, err, out)
		}
	}
}

// The variable with the realm counts only where neither a realm nor a host is typed.
func TestExplainTakesWhatIsTyped(t *testing.T) {
	t.Parallel()
	d := start(t, "realm \"demo\" {\n  hosts = [\"demo.example.com\"]\n}\n")
	for _, c := range []struct {
		realm string
		args  []string
	}{{"nowhere", []string{"--host", "demo.example.com"}}, {"nowhere", []string{"-r", "demo"}}, {"demo", nil}} {
		cmd := exec.Command("realmgate", append([]string{"explain"}, c.args...)...)
		cmd.Dir, cmd.Stdin, cmd.Env = d.dir, strings.NewReader("x"), append(os.Environ(), "REALMGATE_CLI_REALM="+c.realm)
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "realm      demo") {
			t.Errorf("%s %v: %v\n%s", c.realm, c.args, err, out)
		}
	}
}

// Whoever names another configuration than the one that is served hears that it does not count, and only then.
func TestExplainTellsWhichConfigurationCounts(t *testing.T) {
	t.Parallel()
	d := start(t, "realm \"demo\" {\n  authentication {\n    token_broker {\n      type = \"key-pair\"\n    }\n  }\n}\n")
	text, err := os.ReadFile(filepath.Join(d.dir, "config.hcl"))
	if err == nil {
		err = os.WriteFile(filepath.Join(d.dir, "other.hcl"), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]bool{"other.hcl": true, "config.hcl": false} {
		out, err := d.tryExplain(d.rootToken("demo"), "-r", "demo", "--config", file)
		if got := strings.Contains(out, "the daemon serves another configuration than "+filepath.Join(d.dir, file)); err != nil || got != want {
			t.Errorf("%s: %v\n%s", file, err, out)
		}
	}
}

// Who cannot tell is named, as is the reason, and a denial of a plugin that repeats the token does not show it.
func TestExplainTellsWhoCannotTell(t *testing.T) {
	t.Parallel()
	d := start(t, moodyConfig(testPlugin(t, "moody"), "one"))
	got, text := d.explained("fail", "-r", "mood")
	s := got.Routes[0].Stages[0]
	if got.Status != 503 || got.Reason != "unavailable" || s.Outcome != "failed" || s.Plugin.Name != "moody" || !strings.Contains(got.Summary, "this build takes nothing") || got.Cache.StoreS != 0 {
		t.Errorf("%s", text)
	}
	if got.Routes[0].Stages[1].Outcome != "not_reached" {
		t.Errorf("%s", text)
	}
	got, text = d.explained("x", "-r", "mood")
	if got.Status != 401 || got.Reason != "one" || !strings.Contains(got.Summary, "of plugin moody (one): by instance") {
		t.Errorf("%s", text)
	}
}

// What a part had resolved of secrets is not shown, whatever it says; nor is it told to who asks.
func TestExplainHidesTheSecretsOfParts(t *testing.T) {
	t.Parallel()
	const secret = "correct horse battery"
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "key"), []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	hcl := strings.Replace(moodyConfig(testPlugin(t, "moody"), "one"), `type = "moody"`, "type = \"moody\"\n      key = \"urn:realmgate-secret:files:key\"", 1)
	d := start(t, hcl+fmt.Sprintf("secret_store \"files\" {\n  type = \"file\"\n  dir = %q\n}\n", dir))
	got, text := d.explained("tell", "-r", "mood")
	if s := got.Routes[0].Stages[0]; got.Status != 401 || len(s.Notes) != 1 || s.Notes[0] != "signed with [secret]" || strings.Contains(text, secret) {
		t.Errorf("%s", text)
	}
	if a := d.check("mood", "tell"); a.status != 401 || !strings.Contains(a.text, "not signed with [secret]") || strings.Contains(a.text, secret) {
		t.Errorf("%d %s", a.status, a.text)
	}
}

// No explanation leaves of which the audit log has no line.
func TestExplainNeedsTheAuditLog(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("there is no /dev/full")
	}
	d := start(t, "realm \"demo\" {}\n")
	token := d.rootToken("demo")
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	d.stopped = false
	d.run("REALMGATE_AUDIT__PATH=/dev/full")
	if out, err := d.tryExplain(token, "-r", "demo"); err == nil || !strings.Contains(out, "audit log") || strings.Contains(out, "host-checks") {
		t.Errorf("%v\n%s", err, out)
	}
}

// A part that looks at the request gets it, and neither its signature nor its secrets are shown.
func TestExplainOfARequest(t *testing.T) {
	t.Parallel()
	d := start(t, "plugin \"witness\" {\n  path = \""+testPlugin(t, "witness")+"\"\n}\nrealm \"signed\" {\n  authentication {\n    token_broker {\n      type = \"witness\"\n    }\n  }\n}\nrealm \"demo\" {}\n")
	const request = "GET /a%2Fb?x=1 HTTP/1.1\nHost: catalog.example.com\nX-Amz-Security-Token: canary-session-4411\n" +
		"X-Amz-Date: 20260101T000000Z\nAuthorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE, SignedHeaders=host, Signature=0123456789abcdefcanary"
	got, text := d.explained(request, "-r", "signed", "--request")
	if got.Reason != "seen" || !strings.Contains(got.Summary, "GET catalog.example.com /a%2Fb?x=1") || !strings.Contains(got.Summary, "20260101T000000Z") || got.Cache.State != "off" {
		t.Errorf("%s", text)
	}
	if strings.Contains(text, "canary") {
		t.Errorf("a secret is shown: %s", text)
	}
	if got, text := d.explained(doctest.Only(t, "docs/explain.md", "http"), "-r", "signed", "--request"); got.Reason != "seen" || !strings.Contains(got.Summary, "GET app.example.com /v1/things") {
		t.Errorf("the page's request: %s", text)
	}
	if got, text := d.explained("x", "-r", "signed", "--scheme", "AWS4-HMAC-SHA256"); got.Reason != "no_request" {
		t.Errorf("%s", text)
	}
	if got, text := d.explained("x", "-r", "signed"); got.Status != 401 || got.Routes[0].Verdict != "not_asked" || !strings.Contains(got.Summary, "takes the schemes aws4-hmac-sha256") {
		t.Errorf("%s", text)
	}
	presigned := "GET /thing?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE&X-Amz-Security-Token=canary-session-4412&X-Amz-Signature=0123456789abcdefcanary HTTP/1.1\nHost: catalog.example.com\n"
	if got, text := d.explained(presigned, "-r", "signed", "--request"); got.Reason != "seen" || !strings.Contains(got.Summary, "GET catalog.example.com /thing?") || strings.Contains(text, "canary") {
		t.Errorf("%s", text)
	}
	bearer := "GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + d.rootToken("demo") + "\r\n\r\n"
	if got, text := d.explained(bearer, "-r", "demo", "--request"); got.Status != 200 || got.Cache.State != "miss" {
		t.Errorf("%s", text)
	}
	for in, want := range map[string]string{"nonsense": "no HTTP request", "GET / HTTP/1.1\nHost: x\n": "one Authorization header", "GET /?X-Amz-Algorithm=a&X-Amz-Algorithm=b HTTP/1.1\nHost: x\n": "one Authorization header", "GET / HTTP/1.1\nHost: x\nAuthorization: Bearer\n": "malformed"} {
		if out, err := d.tryExplain(in, "-r", "signed", "--request"); err == nil || !strings.Contains(out, want) {
			t.Errorf("%q: %v\n%s", in, err, out)
		}
	}
}
