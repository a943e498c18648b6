package connection

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/sdk"
)

// alice is a caller of realm r.
func alice(roles ...string) Actor {
	return Actor{Principal: sdk.Principal{Realm: "r", ID: "7", Name: "alice", Enabled: true, Roles: []string{"granted"}}, Roles: roles}
}

// lines gives the lines of the audit log, as "event outcome principal connection reason".
func (w *world) lines() []string {
	w.t.Helper()
	var out []string
	for line := range strings.Lines(w.log.String()) {
		var e audit.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			w.t.Fatal(err)
		}
		out = append(out, strings.Join(strings.Fields(fmt.Sprint(e.Name, " ", e.Outcome, " ", e.Principal, " ", e.Connection, " ", e.AuditID, " ", e.Reason)), " "))
	}
	return out
}

func (w *world) lastLine() string {
	all := w.lines()
	return all[len(all)-1]
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.ok("POST", "", strings.Replace(sigV4("s", role), `"name"`, `"properties":{"a":"b"},"name"`, 1))
	answer := w.do("r", alice("user"), "POST", "/s/credentials", `{"narrowTo":["s3://b/x"],"minLifetimeSeconds":900}`)
	var got Vended
	if err := json.Unmarshal(answer.Body.Bytes(), &got); err != nil || answer.Code != 200 {
		t.Fatal(err, answer.Body)
	}
	end := w.clock.Add(time.Hour).UTC()
	if got.Connection != "s" || got.Properties["token"] != "vended" || len(got.Properties) != 1 || !got.ExpiresAt.Equal(end) || got.Short || got.AuditID != "session-1" {
		t.Errorf("%#v", answer.Body)
	}
	if answer.Header().Get("Cache-Control") != "no-store" {
		t.Error("credentials may be kept")
	}
	if got := w.lastLine(); got != "connection.credentials done alice s session-1" {
		t.Errorf("audit: %s", got)
	}
	d, err := w.dir.GetConnection(t.Context(), "r", "s")
	if err != nil {
		t.Fatal(err)
	}
	want := sdk.VendRequest{
		Connection: sdk.Connection{
			Realm: "r", Name: "s", Version: made.Version, Type: TypeIcebergREST, URI: "https://glue.us-east-1.amazonaws.com/iceberg", AuthenticationType: AuthSigV4,
			Authentication: d.Authentication, Properties: map[string]string{"a": "b", "remoteCatalogName": "123456789012"},
			ServiceIdentity: &sdk.ServiceIdentity{Type: IdentityAWSIAM, ARN: realmARN, DefaultChain: true},
		},
		Caller: alice().Principal, RequestID: "request-1", NarrowTo: []string{"s3://b/x"}, MinLifetime: 15 * time.Minute,
	}
	if !reflect.DeepEqual(w.vendor.vends[0], want) {
		t.Errorf("asked\n%+v\nwant\n%+v", w.vendor.vends[0], want)
	}
	if answer := w.do("r", operator, "POST", "/s/credentials", ""); answer.Code != 200 {
		t.Error(answer.Body)
	}
	if c := w.vendor.vends[1].Caller; !reflect.DeepEqual(c, sdk.Principal{Realm: "r", Enabled: true}) {
		t.Errorf("the operator is %+v", c)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if s := fmt.Sprintf(verb, got); strings.Contains(s, "vended") {
			t.Errorf("%s shows %s", verb, s)
		}
	}
}

// TestVendorsAreNotBelieved: what no honest vendor answers comes to no caller.
func TestVendorsAreNotBelieved(t *testing.T) {
	t.Parallel()
	value := func(s string) sdk.Secret { return sdk.NewSecret([]byte(s)) }
	for name, tt := range map[string]struct {
		change       func(*world)
		want, reason string
	}{
		"empty":           {func(w *world) { w.vendor.answer.Properties = nil }, "503 unavailable", "unavailable unavailable"},
		"empty value":     {func(w *world) { w.vendor.answer.Properties["x"] = value("") }, "503 unavailable", "unavailable unavailable"},
		"no name":         {func(w *world) { w.vendor.answer.Properties[""] = value("canary") }, "503 unavailable", "unavailable unavailable"},
		"huge":            {func(w *world) { w.vendor.answer.Properties["x"] = value(strings.Repeat("canary", 10_000)) }, "503 unavailable", "unavailable unavailable"},
		"expired":         {func(w *world) { w.vendor.answer.Expires = w.clock }, "503 unavailable", "unavailable unavailable"},
		"fails":           {func(w *world) { w.vendor.err = errors.New("STS: canary") }, "503 unavailable", "unavailable unavailable"},
		"denies":          {func(w *world) { w.vendor.err = sdk.Forbid("assume_role_denied", "roleArn: no\n") }, "403 assume_role_denied", "refused assume_role_denied"},
		"denies with 401": {func(w *world) { w.vendor.err = sdk.Deny("X{", "") }, "403 denied", "refused denied"},
		"no vendor":       {func(w *world) { w.novend = errors.New("not started: canary") }, "503 unavailable", "unavailable unavailable"},
		"identity gone":   {func(w *world) { delete(w.ids["r"], NewIdentityRef(ScopeRealm, IdentityAWSIAM)) }, "503 unavailable", "unavailable unavailable"},
		"identity is another one": {func(w *world) {
			w.ids["r"][NewIdentityRef(ScopeRealm, IdentityAWSIAM)] = sdk.ServiceIdentity{Type: IdentityAWSIAM, ARN: userARN}
		}, "503 unavailable", "unavailable unavailable"},
	} {
		w := newWorld(t)
		w.ok("POST", "", sigV4("s", role))
		tt.change(w)
		answer := w.do("r", alice("user"), "POST", "/s/credentials", "")
		if got := fault(answer); got != tt.want || strings.Contains(answer.Body.String(), "canary") {
			t.Errorf("%s: %s", name, answer.Body)
		}
		outcome, reason, _ := strings.Cut(tt.reason, " ")
		if got := w.lastLine(); got != "connection.credentials "+outcome+" alice s "+reason {
			t.Errorf("%s: audit: %s", name, got)
		}
		if strings.HasPrefix(name, "identity") {
			if !strings.Contains(answer.Body.String(), "urn:realmgate-service-identity:realm:aws_iam") || len(w.vendor.vends) != 0 {
				t.Errorf("%s: %s, %d calls", name, answer.Body, len(w.vendor.vends))
			}
		}
		if answer.Header().Get("Realmgate-Reason") == "" {
			t.Errorf("%s: no reason in the header", name)
		}
	}
}

// TestCredentialsAsTheyAre: without an end, with an early one, and none at all where none are needed.
func TestCredentialsAsTheyAre(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ok("POST", "", sigV4("s", role))
	w.vendor.answer.Expires = time.Time{}
	if b := w.do("r", operator, "POST", "/s/credentials", `{"minLifetimeSeconds":900}`).Body.String(); strings.Contains(b, "expiresAt") || strings.Contains(b, "shorter") {
		t.Error(b)
	}
	w.vendor.answer.Expires = w.clock.Add(time.Minute)
	if b := w.do("r", operator, "POST", "/s/credentials", `{"minLifetimeSeconds":900}`).Body.String(); !strings.Contains(b, `"shorterThanAsked":true`) {
		t.Error(b)
	}
	w.vendor.answer = sdk.ConnectionCredentials{}
	w.ok("POST", "", `{"name":"i","connectionConfigInfo":{"connectionType":"HADOOP","uri":"file:///data","warehouse":"file:///data/w","authenticationParameters":{"authenticationType":"IMPLICIT"}}}`)
	if answer := w.do("r", operator, "POST", "/i/credentials", ""); answer.Code != 200 || !strings.Contains(answer.Body.String(), `"properties":{}`) {
		t.Error(answer.Body)
	}
	if p := w.vendor.vends[len(w.vendor.vends)-1].Connection.Properties; !reflect.DeepEqual(p, map[string]string{"warehouse": "file:///data/w"}) {
		t.Errorf("%v", p)
	}
	for body, want := range map[string]string{
		`{"minLifetimeSeconds":43201}`: "400 invalid minLifetimeSeconds", `{"minLifetimeSeconds":-1}`: "400 invalid minLifetimeSeconds", `{"minLifetimeSeconds":9e9}`: "400 invalid minLifetimeSeconds",
		`{"minLifetimeSeconds":9223372036854775806}`: "400 invalid minLifetimeSeconds", `{"narrowTo":[""]}`: "400 invalid narrowTo[0]", `{"narrowTo":"x"}`: "400 invalid narrowTo", `{"x":1}`: "400 invalid x",
		`{"narrowTo":["` + strings.Repeat(`a","`, 64) + `a"]}`: "400 invalid narrowTo", `"` + strings.Repeat("x", 65<<10) + `"`: "413 too_large",
	} {
		if got := fault(w.do("r", operator, "POST", "/s/credentials", body)); got != want {
			t.Errorf("%.60s: %s, want %s", body, got, want)
		}
	}
}

// TestIdentityStays: configuration that comes later changes no connection; who re-points it does.
func TestIdentityStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.ids["r"]
	own := NewIdentityRef(ScopeRealm, IdentityAWSIAM)
	mine := ids[own]
	delete(ids, own)
	c := w.ok("POST", "", sigV4("s", role))
	if id := c.Info.ServiceIdentity; id.IAMARN != userARN || id.Reference != "urn:realmgate-service-identity:default:aws_iam" {
		t.Fatalf("%+v", id)
	}
	ids[own] = mine
	arn := func() string {
		t.Helper()
		if answer := w.do("r", operator, "POST", "/s/credentials", ""); answer.Code != 200 {
			t.Fatal(answer.Body)
		}
		return w.vendor.vends[len(w.vendor.vends)-1].Connection.ServiceIdentity.ARN
	}
	if got := arn(); got != userARN {
		t.Errorf("a block that came later changed the identity: %s", got)
	}
	c = w.ok("PUT", "/s", sigV4("s", role+`,"externalId":"xy"`), "If-Match", fmt.Sprint(c.Version))
	if got := arn(); got != userARN || c.Info.ServiceIdentity.IAMARN != userARN {
		t.Errorf("an update changed the identity: %s", got)
	}
	c = w.ok("POST", "/s/repoint", `{"identity":"realm"}`)
	if got := arn(); got != realmARN || c.Info.ServiceIdentity.IAMARN != realmARN {
		t.Errorf("re-pointed to %s", got)
	}
	delete(ids, own)
	if b := w.do("r", alice("user"), "POST", "/s/credentials", "").Body.String(); !strings.Contains(b, "unavailable") || !strings.Contains(b, "is not in the configuration any more") {
		t.Errorf("without its identity: %s", b)
	}
	if got := fault(w.do("r", operator, "POST", "/s/repoint", `{"identity":"realm"}`)); got != "400 invalid identity" {
		t.Errorf("to what is not there: %s", got)
	}
	w.ok("POST", "", bearer("b", "https://x.example.com", "t", ""))
	if got := fault(w.do("r", operator, "POST", "/b/repoint", `{"identity":"default"}`)); got != "400 invalid identity" {
		t.Errorf("of a connection without one: %s", got)
	}
}

// TestWhoMayWhat goes through every operation with every kind of role.
func TestWhoMayWhat(t *testing.T) {
	t.Parallel()
	const manage, use = "manager", "user"
	closed := newWorld(t)
	closed.ok("POST", "", sigV4("s", role))
	for _, tt := range []struct{ method, rest, body, roles string }{
		{"POST", "", sigV4("new", role), manage}, {"GET", "", "", manage + use}, {"GET", "/s", "", manage + use},
		{"PUT", "/s", strings.Replace(sigV4("s", role), "{", `{"version":1,`, 1), manage}, {"POST", "/s/rotate-secret", `{"field":"x","value":"x"}`, manage},
		{"POST", "/s/repoint", `{"identity":"default"}`, manage}, {"POST", "/s/test", "", manage}, {"DELETE", "/s", "", manage},
		{"POST", "/s/credentials", "", use}, {"POST", "/s/sign", `{"method":"GET","uri":"https://glue.us-east-1.amazonaws.com/"}`, use},
		{"GET", "/unknown", "", manage + use}, {"DELETE", "/unknown", "", manage}, {"POST", "/unknown/credentials", "", use},
	} {
		for _, a := range []Actor{alice(), alice("granted"), alice("Manager", "manager "), alice(manage), alice(use), alice("x", manage, use), operator} {
			may := a.Operator
			for _, r := range a.Roles {
				may = may || (r == manage || r == use) && strings.Contains(tt.roles, r)
			}
			w := closed // to those who may not, nothing changes
			if may {
				w = newWorld(t)
				w.ok("POST", "", sigV4("s", role))
			}
			answer := w.do("r", a, tt.method, tt.rest, tt.body)
			if (answer.Code == 403) == may {
				t.Errorf("%s %s with %v: %d %s", tt.method, tt.rest, a.Roles, answer.Code, answer.Body)
			}
			if !may && (w.count("connections") != 1 || len(w.vendor.vends)+len(w.vendor.signs) > 0) {
				t.Errorf("%s %s with %v: done all the same", tt.method, tt.rest, a.Roles)
			}
			if !may && fault(answer) != "403 forbidden" {
				t.Errorf("%s", answer.Body)
			}
			if !may && strings.Contains(tt.rest, "credentials") && w.lastLine() != "connection.credentials refused alice forbidden" {
				t.Errorf("%s %v: audit: %s", tt.rest, a.Roles, w.lastLine())
			}
		}
	}
}

func TestPathsAndMethods(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ok("POST", "", sigV4("s", role))
	for _, tt := range []struct{ method, rest, want string }{
		{"GET", "/", "404 not_found"}, {"GET", "/s/", "404 not_found"}, {"GET", "/s/x", "404 not_found"}, {"POST", "/s/sign/x", "404 not_found"}, {"GET", "/%2e%2e", "404 not_found"},
		{"GET", "/a%2Fs", "404 not_found"}, {"GET", "/%zz", "404 not_found"}, {"GET", "/%73", "200"}, {"PATCH", "/s", "405 method_not_allowed"}, {"GET", "/s/sign", "405 method_not_allowed"}, {"PUT", "", "405 method_not_allowed"},
	} {
		answer := w.do("r", operator, tt.method, tt.rest, "")
		if got := fault(answer); tt.want == "200" && answer.Code != 200 || tt.want != "200" && got != tt.want {
			t.Errorf("%s %s: %s, want %s", tt.method, tt.rest, got, tt.want)
		}
		if answer.Code == 405 && answer.Header().Get("Allow") == "" {
			t.Error("405 without Allow")
		}
	}
}
