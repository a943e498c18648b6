package plugintest

import (
	"context"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

func TestReadCases(t *testing.T) {
	t.Parallel()
	got, err := ReadCases([]byte(`[
		{"kind": "principal-mapper", "type": "badge", "settings": {"claim": "badge"}, "claims": {"badge": "7"}, "tenant": "t"},
		{"name": "x", "kind": "secret-resolver", "type": "env", "store": "s", "environment": {"K": "v"}, "unset": ["L"], "elsewhere": {"a": 1}, "secrets": {"urn:realmgate-secret:s:p": "v"}},
		{"kind": "credential-vendor", "type": "teller", "vend": {"connection": {"uri": "https://x", "service_identity": {"credentials": "urn:realmgate-secret:s:p"}}},
		 "sign": {"method": "GET", "target": "/a", "header": {"B": "2", "A": "1"}}},
		{"kind": "authenticator", "type": "greeter", "realm": "r", "principals": [{"id": "1", "disabled": true}], "access_keys": [{"id": "k", "secret": "urn:realmgate-secret:s:p"}]}
	]`))
	if err != nil {
		t.Fatal(err)
	}
	if c := got[0]; c.Kind != sdk.KindPrincipalMapper || c.Settings != `{"claim": "badge"}` || c.Call == nil || c.Setup.Tenant != "t" {
		t.Errorf("%+v", c)
	}
	if c := got[1]; c.Name != "x" || c.Call != nil || c.Elsewhere != `{"a": 1}` || string(c.Setup.Environment["K"].Reveal()) != "v" || len(c.Setup.Unset) != 1 || c.Secrets["urn:realmgate-secret:s:p"] != "v" {
		t.Errorf("%+v", c)
	}
	if c := got[2]; c.Vend.Connection.URI != "https://x" || c.Vend.Connection.ServiceIdentity.Credentials.Path() != "p" || c.Sign.HTTP.Header[0] != (sdk.Header{Name: "a", Value: "1"}) {
		t.Errorf("%+v", c)
	}
	if c := got[3]; c.Principals[0].Enabled || c.Principals[0].Realm != "r" || c.AccessKeys[0].Secret.Path() != "p" {
		t.Errorf("%+v", c)
	}
	for text, want := range map[string]string{
		``:                          "not a case",
		`[]`:                        "there is no case",
		`{"kynd": 1}`:               `unknown field "kynd"`,
		`{"kind": "mapper"}`:        `the kind "mapper" is none of identity-provider, principal-mapper, `,
		`[{}] {}`:                   "behind the cases",
		`{"kind": "authenticator"}`: "it has no type",
		`{"kind": "authenticator", "type": "x", "token": "t"}`:                 "token is for an identity-provider only",
		`{"kind": "authenticator", "type": "x", "claims": {}}`:                 "claims and roles are for a mapper only",
		`{"kind": "authenticator", "type": "x", "vend": {}}`:                   "vend and sign are for a credential-vendor only",
		`{"kind": "authenticator", "type": "x", "secrets": {"password": "x"}}`: "case 1: secrets: ",
	} {
		if _, err := ReadCases([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// The suite is part of a daemon: it does not import what is for tests.
func TestWithoutTesting(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range f.Imports {
			if i.Path.Value == `"testing"` {
				t.Errorf("%s imports testing", name)
			}
		}
	}
}

// collected keeps what Verify reports.
type collected []Result

// Report is Reporter's.
func (c *collected) Report(r Result) { *c = append(*c, r) }

// A case without a call is judged by what any honest part may answer; what nobody can judge is skipped, and says why.
func TestVerify(t *testing.T) {
	t.Parallel()
	var got collected
	Verify(t.Context(), InProcess(good()...), Options{}, &got)
	outcomes := map[string]Result{}
	for _, r := range got {
		if r.Outcome == Failed {
			t.Errorf("%+v", r)
		}
		outcomes[strings.TrimSpace(r.Kind+" "+r.Check)] = r
	}
	for check, want := range map[string]string{
		"principal-mapper settings":         "required are claim",
		"authenticator settings":            "required are password",
		"credential-vendor credentials":     "no Vend",
		"secret-resolver written secrets":   "no Elsewhere",
		"secret-resolver call":              "",
		"principal-mapper unknown key":      "",
		"secret-resolver two instances":     "",
		"malformed messages":                "",
		"authenticator realms side by side": "needs settings that are taken",
		"shutdown":                          "-", // there is no process
	} {
		r, ran := outcomes[check]
		text := strings.Join(r.Got, "\n")
		switch {
		case ran != (want != "-"):
			t.Errorf("%s: ran: %v", check, ran)
		case want == "" && r.Outcome != OK, want != "" && ran && (r.Outcome != Skipped || !strings.Contains(text, want)):
			t.Errorf("%s: %s %s, want %q", check, r.Outcome, text, want)
		}
	}
}

// What was printed and not kept may have had a secret in it.
func TestUnseenOutput(t *testing.T) {
	t.Parallel()
	for unseen, want := range map[int]string{0: "", 7: "prints too much: 7 bytes"} {
		n := &notes{plugins: []*Plugin{{Log: func() string { return "" }, Unseen: func() int { return unseen }}}}
		if err := n.checkSecrecy(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%d: %v, want %q", unseen, err, want)
		}
	}
}

// realmed is an identity provider that serves one realm, with its key.
type realmed struct {
	Key sdk.SecretRef `json:"key"`
}

func (r *realmed) Identify(ctx context.Context, q sdk.Request) (sdk.Identity, error) {
	if _, err := r.Key.Value(ctx); err != nil {
		return sdk.Identity{}, err
	}
	if q.Realm != "r1" || q.Token != "the-good-token" {
		return sdk.Identity{}, sdk.NotMine()
	}
	return sdk.Identity{Issuer: "i", Subject: "s", Claims: sdk.NewClaims([]byte(`{}`))}, nil
}

// A case does what its document says: a reference without a value gets a made-up one, and its realm is the one that is served.
func TestCasesAreWhatTheySay(t *testing.T) {
	t.Parallel()
	impls := []sdk.Implementation{sdk.IdentityProviderType("realmed", func(_ context.Context, _ sdk.Setup, r realmed) (*realmed, error) { return &r, nil })}
	for realm, want := range map[string]string{"r1": "", "r2": "(it has made-up secrets, for references in its settings whose values the case does not give)"} {
		cases, err := ReadCases([]byte(`{"kind": "identity-provider", "type": "realmed", "settings": {"key": "urn:realmgate-secret:s:key"}, "token": "the-good-token", "realm": "` + realm + `"}`))
		if err != nil {
			t.Fatal(err)
		}
		var all collected
		Verify(t.Context(), InProcess(impls...), Options{Cases: casesIn(cases...)}, &all)
		for _, r := range all {
			text := strings.Join(r.Got, "\n")
			if r.Outcome == Failed && (want == "" || r.Check != "call" || !strings.Contains(text, want)) || r.Check == "call" && (r.Outcome == OK) != (want == "") {
				t.Errorf("%s: %s: %s %s", realm, r.Check, r.Outcome, text)
			}
		}
	}
}
