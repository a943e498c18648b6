package accesstoken

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

var (
	now   = time.Unix(1700000100, 500_000_000)
	setup = sdk.Setup{Realm: "realm1", Issuer: "https://auth.example.com/realms/realm1", Audience: []string{"realmgate:realm1"}}
)

func realm(t testing.TB) Realm {
	t.Helper()
	r, err := ForRealm(setup, sdk.Duration(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func grant() sdk.Grant {
	return sdk.Grant{
		Principal: sdk.PrincipalRef{ID: "17", Name: "alice"}, ClientID: "client", Scope: []string{"PRINCIPAL_ROLE:a", "PRINCIPAL_ROLE:b"},
		Realm: setup.Realm, Issuer: setup.Issuer, Audience: setup.Audience, Lifetime: 10 * time.Minute, TokenID: "token-1",
		AuthTime: time.Unix(1700000000, 0), SecretVersion: "3",
	}
}

func signAs(algorithm string) func(string) ([]byte, error) {
	return func(signed string) ([]byte, error) { return []byte(algorithm + signed[:8]), nil }
}

func only(algorithm string) func(string) bool { return func(a string) bool { return a == algorithm } }

func reason(err error) string {
	if d := sdk.AsDenial(err); d != nil {
		return d.Reason
	}
	if err != nil {
		return "error: " + err.Error()
	}
	return ""
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	r := realm(t)
	c, err := r.Claims(grant(), now, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	token, err := Sign(c, "X1", "k", signAs("X1"))
	if err != nil || token.ID != "token-1" || token.Type != "Bearer" || token.Expires.Unix() != now.Add(10*time.Minute).Unix() {
		t.Fatalf("%+v %v", token, err)
	}
	p, err := r.Parse(sdk.Request{Scheme: "bearer", Token: token.Value}, only("X1"))
	if err != nil || p.Algorithm != "X1" || p.KeyID != "k" || !strings.HasPrefix(token.Value, p.Signed+".") || string(p.Signature) != "X1"+p.Signed[:8] {
		t.Fatalf("%+v %v", p, err)
	}
	got, err := r.Credential(p.Claims, now)
	want := sdk.Credential{
		Realm: "realm1", Source: sdk.SourceInternal, Principal: sdk.PrincipalRef{ID: "17", Name: "alice"}, RequestedRoles: []string{"PRINCIPAL_ROLE:a", "PRINCIPAL_ROLE:b"},
		Issuer: setup.Issuer, Audience: setup.Audience, TokenID: "token-1", ClientID: "client", IssuedAt: time.Unix(now.Unix(), 0),
		AuthTime: time.Unix(1700000000, 0), SecretVersion: "3", Expires: token.Expires,
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v %v, want %+v", got, err, want)
	}
}

func TestLives(t *testing.T) {
	t.Parallel()
	r := realm(t)
	for name, x := range map[string]struct {
		life     time.Duration
		notAfter time.Time
		want     int64
	}{
		"the grant's":      {life: 10 * time.Minute, want: now.Unix() + 600},
		"the longest":      {life: 0, want: now.Unix() + 3600},
		"no longer":        {life: 2 * time.Hour, want: now.Unix() + 3600},
		"as its key":       {life: 0, notAfter: now.Add(time.Minute), want: now.Unix() + 60},
		"shorter than key": {life: time.Minute, notAfter: now.Add(time.Hour), want: now.Unix() + 60},
	} {
		g := grant()
		g.Lifetime = x.life
		if c, err := r.Claims(g, now, x.notAfter); err != nil || c.Expires != x.want {
			t.Errorf("%s: %d %v, want %d", name, c.Expires, err, x.want)
		}
	}
	g := grant()
	g.TokenID, g.Audience, g.AuthTime = "", nil, time.Time{}
	c, err := r.Claims(g, now, time.Time{})
	if err != nil || len(c.ID) < 20 || c.Audience[0] != setup.Audience[0] || c.AuthTime != 0 {
		t.Errorf("%+v %v", c, err)
	}
}

func TestGrantsThatAreNone(t *testing.T) {
	t.Parallel()
	r := realm(t)
	for name, change := range map[string]func(*sdk.Grant){
		"another realm":    func(g *sdk.Grant) { g.Realm = "realm2" },
		"another issuer":   func(g *sdk.Grant) { g.Issuer += "/" },
		"another audience": func(g *sdk.Grant) { g.Audience = []string{setup.Audience[0], "x"} },
		"nobody":           func(g *sdk.Grant) { g.Principal = sdk.PrincipalRef{} },
		"a negative life":  func(g *sdk.Grant) { g.Lifetime = -1 },
	} {
		g := grant()
		change(&g)
		if c, err := r.Claims(g, now, time.Time{}); err == nil || sdk.AsDenial(err) != nil || c.ID != "" {
			t.Errorf("%s: %+v %v", name, c, err)
		}
	}
	g := grant()
	g.Scope = []string{strings.Repeat("x", MaxLength)}
	c, err := r.Claims(g, now, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Sign(c, "X1", "k", func(string) ([]byte, error) { t.Error("it is signed"); return nil, nil }); !errors.Is(err, errTooLong) {
		t.Errorf("a huge scope: %v", err)
	}
}

// forge encodes any header and payload.
func forge(header, payload string) string {
	return encoding.EncodeToString([]byte(header)) + "." + encoding.EncodeToString([]byte(payload)) + ".c2ln"
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	r := realm(t)
	const head = `{"alg":"X1","kid":"k","typ":"at+jwt"}`
	good := `{"iss":"` + setup.Issuer + `"}`
	for name, x := range map[string]struct{ token, want string }{
		"good":                  {forge(head, good), ""},
		"a type in capitals":    {forge(`{"alg":"X1","typ":"AT+JWT"}`, good), ""},
		"empty":                 {"", "not_mine"},
		"opaque":                {"opaque", "not_mine"},
		"a megabyte of dots":    {strings.Repeat(".", 1<<20), "not_mine"},
		"a huge part":           {strings.Repeat("a", MaxLength) + ".a.a", "not_mine"},
		"five parts":            {"a.b.c.d.e", "not_mine"},
		"a header in no base64": {"!" + forge(head, good), "not_mine"},
		"no header":             {forge(`7`, good), "not_mine"},
		"a padded payload":      {encoding.EncodeToString([]byte(head)) + ".e30=.", "not_mine"},
		"another issuer":        {forge(head, `{"iss":"https://idp.example.com"}`), "not_mine"},
		"issuer with a slash":   {forge(head, `{"iss":"`+setup.Issuer+`/"}`), "not_mine"},
		"no object":             {forge(head, `"x"`), "not_mine"},
		"claims of wrong kinds": {forge(head, `{"aud":{},"iss":"`+setup.Issuer+`"}`), "token_malformed"},
		"none":                  {forge(`{"alg":"none","typ":"at+jwt"}`, good), "algorithm_not_allowed"},
		"no algorithm":          {forge(`{"typ":"at+jwt"}`, good), "algorithm_not_allowed"},
		"ALG":                   {forge(`{"ALG":"X1","typ":"at+jwt"}`, good), "algorithm_not_allowed"},
		"another type":          {forge(`{"alg":"X1","typ":"JWT"}`, good), "type_not_allowed"},
		"no type":               {forge(`{"alg":"X1"}`, good), "type_not_allowed"},
		"critical extensions":   {forge(`{"alg":"X1","typ":"at+jwt","crit":[]}`, good), "token_malformed"},
		"a line end":            {forge(head, good) + "\n", "not_mine"},
		"a sloppy signature":    {strings.TrimSuffix(forge(head, good), "c2ln") + "c2l", "token_malformed"},
	} {
		p, err := r.Parse(sdk.Request{Scheme: "bearer", Token: x.token}, only("X1"))
		if reason(err) != x.want || err != nil && !reflect.DeepEqual(p, Presented{}) {
			t.Errorf("%s: %+v %v, want %q", name, p, err, x.want)
		}
	}
	if _, err := r.Parse(sdk.Request{Scheme: "basic", Token: forge(head, good)}, only("X1")); reason(err) != "not_mine" {
		t.Errorf("another scheme: %v", err)
	}
}

func TestCredentialRefuses(t *testing.T) {
	t.Parallel()
	r := realm(t)
	for name, x := range map[string]struct {
		change func(*Claims)
		want   string
	}{
		"good":             {func(*Claims) {}, ""},
		"another realm":    {func(c *Claims) { c.Realm = "realm2" }, "realm_mismatch"},
		"another audience": {func(c *Claims) { c.Audience = Audience{"x"} }, "audience_mismatch"},
		"no audience":      {func(c *Claims) { c.Audience = nil }, "audience_mismatch"},
		"expired":          {func(c *Claims) { c.Expires = now.Unix() }, "token_expired"},
		"no expiry":        {func(c *Claims) { c.Expires = 0 }, "token_expired"},
		"nobody":           {func(c *Claims) { c.Subject, c.PrincipalName = "", "" }, "token_malformed"},
		"a name alone":     {func(c *Claims) { c.Subject = "" }, ""},
		"no id":            {func(c *Claims) { c.ID = "" }, "token_malformed"},
	} {
		c, err := r.Claims(grant(), now, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		x.change(&c)
		if got, err := r.Credential(c, now); reason(err) != x.want || err != nil && got.Realm != "" {
			t.Errorf("%s: %+v %v, want %q", name, got, err, x.want)
		}
	}
}

func TestForRealm(t *testing.T) {
	t.Parallel()
	for _, life := range []time.Duration{0, time.Second, 31 * 24 * time.Hour} {
		_, err := ForRealm(setup, sdk.Duration(life))
		if p := sdk.Problems(err); len(p) != 1 || p[0].Path != "/max_token_generation" {
			t.Errorf("%v: %v", life, err)
		}
	}
	for _, s := range []sdk.Setup{{}, {Realm: "r", Issuer: "i"}, {Realm: "r", Audience: []string{"a"}}, {Issuer: "i", Audience: []string{"a"}}} {
		if _, err := ForRealm(s, sdk.Duration(time.Hour)); err == nil {
			t.Errorf("%+v is a realm", s)
		}
	}
}

// What parses has one spelling, and names the realm's issuer.
func FuzzParse(f *testing.F) {
	r := realm(f)
	c, err := r.Claims(grant(), now, time.Time{})
	if err != nil {
		f.Fatal(err)
	}
	token, err := Sign(c, "X1", "k", signAs("X1"))
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{token.Value, "a.b.c", "..", "", forge(`{"alg":"X1","typ":"at+jwt"}`, `{"iss":"x","aud":"y"}`), forge(`null`, `null`)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := r.Parse(sdk.Request{Scheme: "bearer", Token: text}, only("X1"))
		if err != nil {
			if sdk.AsDenial(err) == nil || !reflect.DeepEqual(p, Presented{}) {
				t.Fatalf("%+v %v", p, err)
			}
			return
		}
		if p.Signed+"."+encoding.EncodeToString(p.Signature) != text {
			t.Fatalf("%q has another spelling", text)
		}
		if p.Algorithm != "X1" || p.Claims.Issuer != setup.Issuer {
			t.Fatalf("%+v is not ours", p)
		}
		if raw, err := json.Marshal(p.Claims); err != nil || bytes.Contains(raw, []byte(`"iss":""`)) {
			t.Fatalf("%s %v", raw, err)
		}
	})
}
