package connection

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/sdk"
)

// TestPolarisBody: a body for Polaris' management API is taken, and what of it means nothing here is named.
func TestPolarisBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.ok("POST", "", `{"catalog":{"type":"EXTERNAL","name":"glue","properties":{"default-base-location":"s3://b/x"},"createTimestamp":1,"entityVersion":3,
		"storageConfigInfo":{"storageType":"S3","allowedLocations":["s3://b/"]},
		"connectionConfigInfo":{"connectionType":"ICEBERG_REST","uri":"https://glue.us-east-1.amazonaws.com/iceberg","remoteCatalogName":"123456789012","properties":{"a":"b"},
			"authenticationParameters":{"authenticationType":"SIGV4","roleArn":"arn:aws:iam::123456789012:role/catalog","roleSessionName":"polaris","externalId":null,
				"signingRegion":"us-east-1","signingName":"glue","sessionPolicy":"{\"Version\":\"2012-10-17\",\"Statement\":[{}]}"},
			"serviceIdentity":{"identityType":"AWS_IAM","iamArn":"arn:aws:iam::1:user/forged"}}}}`)
	want := Connection{
		Name: "glue", Properties: map[string]string{"default-base-location": "s3://b/x", "a": "b"}, SignHosts: []string{}, Created: c.Created, Updated: c.Updated, Version: c.Version,
		Info: Info{
			Type: TypeIcebergREST, URI: "https://glue.us-east-1.amazonaws.com/iceberg", RemoteCatalogName: "123456789012",
			Authentication: Authentication{
				Type: AuthSigV4, RoleARN: "arn:aws:iam::123456789012:role/catalog", RoleSessionName: "polaris", SigningRegion: "us-east-1", SigningName: "glue",
				SessionPolicy: `{"Version":"2012-10-17","Statement":[{}]}`,
			},
			ServiceIdentity: &ServiceIdentity{Type: IdentityAWSIAM, IAMARN: realmARN, Reference: "urn:realmgate-service-identity:realm:aws_iam"},
		},
		Ignored: []string{"catalog.storageConfigInfo", "catalog.createTimestamp", "catalog.connectionConfigInfo.serviceIdentity", "catalog.entityVersion"},
	}
	if !reflect.DeepEqual(c, want) || c.Version == 0 || c.Created.IsZero() {
		t.Errorf("%+v\nwant\n%+v", c, want)
	}
	want.Ignored = nil
	if got := w.ok("GET", "/glue", ""); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant\n%+v", got, want)
	}
	answer := w.do("r", operator, "GET", "/glue", "")
	if answer.Header().Get("ETag") != fmt.Sprintf("%q", fmt.Sprint(c.Version)) || answer.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%v", answer.Header())
	}
	// What was shown can be given back.
	back := w.ok("PUT", "/glue", answer.Body.String())
	if back.Version <= c.Version || !slices.Equal(back.Ignored, []string{"created", "updated", "connectionConfigInfo.serviceIdentity"}) {
		t.Errorf("%+v", back)
	}
}

// clean makes sure that no canary is in the database or the audit log, and that none is in an answer.
func (w *world) clean(what string, answers ...string) {
	w.t.Helper()
	all := append(answers, w.dump(), w.log.String())
	for _, text := range all {
		if i := strings.Index(text, "canary"); i >= 0 {
			w.t.Fatalf("%s: a secret: %.80q", what, text[max(0, i-20):])
		}
	}
}

// TestNoSecretInTheDatabase dumps the whole database after every operation.
func TestNoSecretInTheDatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.vendor.answer.Properties["token"] = sdk.NewSecret([]byte("canary-vended"))
	step := func(method, rest, body string, header ...string) string {
		t.Helper()
		answer := w.do("r", operator, method, rest, body, header...)
		if answer.Code/100 != 2 {
			t.Fatalf("%s %s: %d %s", method, rest, answer.Code, answer.Body)
		}
		if strings.HasSuffix(rest, "/credentials") {
			w.clean(method + " " + rest)
			return answer.Body.String()
		}
		w.clean(method+" "+rest, answer.Body.String())
		return ""
	}
	step("POST", "", bearer("b", "https://x.example.com/a", "canary-bearer", ""))
	step("POST", "", oauth("o", `,"scopes":["a"]`))
	step("POST", "", sigV4("s", `,"accessKeyId":"AKIAX","secretAccessKey":"canary-key","sessionToken":"canary-session"`))
	step("POST", "", sigV4("role", role))
	if got := w.store.paths(); len(got) != 4 {
		t.Fatalf("secrets at %v", got)
	}
	step("GET", "", "")
	step("GET", "/s", "")
	if got := step("POST", "/b/credentials", ""); !strings.Contains(got, "canary-vended") {
		t.Errorf("the credentials: %s", got)
	}
	step("POST", "/b/sign", `{"method":"GET","uri":"https://x.example.com/a?x=1","headers":{"x-secret":"h"}}`)
	step("POST", "/s/rotate-secret", `{"field":"secretAccessKey","value":"canary-rotated"}`)
	step("POST", "/role/repoint", `{"identity":"default"}`)
	v := w.ok("GET", "/o", "").Version
	step("PUT", "/o", oauth("o", ""), "If-Match", fmt.Sprintf("%q", fmt.Sprint(v)))
	v = w.ok("GET", "/b", "").Version
	step("PUT", "/b", fmt.Sprintf(`{"version":%d,"connectionConfigInfo":{"connectionType":"GENERIC_HTTP","uri":"https://x.example.com/b","authenticationParameters":{"authenticationType":"BEARER"}}}`, v))
	if got := w.store.paths(); len(got) != 4 {
		t.Errorf("secrets at %v", got)
	}
	for _, name := range []string{"b", "o", "s", "role"} {
		step("DELETE", "/"+name, "")
	}
	w.empty("after all were deleted")
}

// TestSecretsFollowTheConnection: which secrets there are after each change, and where they lead.
func TestSecretsFollowTheConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	value := func(c Connection, field string) string {
		t.Helper()
		v, err := w.secrets.ResolveGranted(t.Context(), "r", c.SecretReferences[field])
		if err != nil {
			t.Fatal(err)
		}
		return string(v.Reveal())
	}
	c := w.ok("POST", "", oauth("o", ""))
	ref := c.SecretReferences[FieldClientSecret]
	if !strings.HasPrefix(ref.String(), "urn:realmgate-secret:local:r/connections/o/") || !strings.HasSuffix(ref.Path(), "/clientSecret") || value(c, FieldClientSecret) != "canary-oauth" {
		t.Errorf("%v", ref)
	}
	d, err := w.dir.GetConnection(t.Context(), "r", "o")
	if err != nil || !strings.Contains(string(d.Authentication), `"clientSecret":"`+ref.String()+`"`) {
		t.Errorf("stored: %s %v", d.Authentication, err)
	}
	c2 := w.ok("POST", "/o/rotate-secret", fmt.Sprintf(`{"field":"clientSecret","value":"canary-2","version":%d}`, c.Version))
	if c2.SecretReferences[FieldClientSecret] == ref || value(c2, FieldClientSecret) != "canary-2" || len(w.store.paths()) != 1 {
		t.Errorf("%v %v", c2.SecretReferences, w.store.paths())
	}
	// A reference in the place of the secret; the secret that we wrote goes, the other's stays for good.
	w.store.put("r/own/secret", "canary-own")
	c3 := w.ok("POST", "/o/rotate-secret", `{"field":"clientSecret","value":"urn:polaris-secret:local:r/own/secret"}`)
	if value(c3, FieldClientSecret) != "canary-own" || !slices.Equal(w.store.paths(), []string{"r/own/secret"}) {
		t.Errorf("%v %v", c3.SecretReferences, w.store.paths())
	}
	w.ok("DELETE", "/o", "", "If-Match", fmt.Sprintf("%q", fmt.Sprint(c3.Version)))
	if !slices.Equal(w.store.paths(), []string{"r/own/secret"}) || w.count("written_secrets") != 0 {
		t.Errorf("%v", w.store.paths())
	}

	// A new key without a session token has none.
	s := w.ok("POST", "", sigV4("s", `,"accessKeyId":"AKIAX","secretAccessKey":"k1","sessionToken":"t1"`))
	s = w.ok("PUT", "/s", sigV4("s", `,"accessKeyId":"AKIAX","secretAccessKey":"k2"`), "If-Match", fmt.Sprint(s.Version))
	if len(s.SecretReferences) != 1 || value(s, FieldSecretAccessKey) != "k2" || len(w.store.paths()) != 2 {
		t.Errorf("%v %v", s.SecretReferences, w.store.paths())
	}
	// From keys to a role and back.
	s = w.ok("PUT", "/s", sigV4("s", role), "If-Match", fmt.Sprint(s.Version))
	if len(s.SecretReferences) != 0 || s.Info.ServiceIdentity == nil || len(w.store.paths()) != 1 {
		t.Errorf("%+v %v", s, w.store.paths())
	}
	answer := w.do("r", operator, "PUT", "/s", sigV4("s", `,"accessKeyId":"AKIAX"`), "If-Match", fmt.Sprint(s.Version))
	if got := fault(answer); got != auth("secretAccessKey") {
		t.Error(got)
	}
}

// TestSecretsGoNowhereElse: who may change a connection may not thereby have its secret sent to another place.
func TestSecretsGoNowhereElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	put := func(name, body string) string {
		t.Helper()
		return fault(w.do("r", operator, "PUT", "/"+name, body, "If-Match", fmt.Sprint(w.ok("GET", "/"+name, "").Version)))
	}
	without := func(body string) string {
		return strings.NewReplacer(`,"clientSecret":"canary-oauth"`, "", `,"bearerToken":"canary-token"`, "").Replace(body)
	}
	w.ok("POST", "", oauth("o", ""))
	w.ok("POST", "", bearer("b", "https://x.example.com/a", "canary-token", ""))
	for _, tt := range []struct{ name, body, want string }{
		{"o", without(oauth("o", `,"tokenUri":"https://evil.example.com/"`)), auth("clientSecret")},
		{"o", strings.Replace(without(oauth("o", "")), "polaris.example.com", "evil.example.com", 1), auth("clientSecret")},
		{"o", strings.Replace(without(oauth("o", "")), "api/catalog", "evil", 1), auth("clientSecret")},
		{"b", without(bearer("b", "https://evil.example.com/a", "canary-token", "")), auth("bearerToken")},
		{"b", without(bearer("b", "http://x.example.com/a", "canary-token", "")), auth("bearerToken")},
		{"b", without(bearer("b", "https://x.example.com:8443/a", "canary-token", "")), auth("bearerToken")},
		{"b", strings.Replace(without(bearer("b", "https://x.example.com/a", "canary-token", "")), "{", `{"signHosts":["evil.example.com"],`, 1), auth("bearerToken")},
		{"o", strings.Replace(without(oauth("o", "")), "{", `{"signHosts":["*.evil.example.com"],`, 1), auth("clientSecret")},
		{"b", strings.Replace(without(oauth("b", "")), "polaris.example.com", "x.example.com", 1), auth("clientSecret")},
	} {
		if got := put(tt.name, tt.body); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.body, got, tt.want)
		}
		// The reference that is there already stands for the secret itself.
		have := w.ok("GET", "/"+tt.name, "").SecretReferences
		for field, ref := range have {
			again := strings.Replace(tt.body, `"authenticationParameters":{`, fmt.Sprintf(`"authenticationParameters":{%q:%q,`, field, ref), 1)
			if got := put(tt.name, again); !strings.HasPrefix(got, "40") {
				t.Errorf("%s: %s", again, got)
			}
		}
	}
	for _, body := range []string{without(bearer("b", "https://X.example.com:443/c", "canary-token", "")), bearer("b", "https://evil.example.com/a", "canary-new", "")} {
		if answer := w.do("r", operator, "PUT", "/b", body, "If-Match", fmt.Sprint(w.ok("GET", "/b", "").Version)); answer.Code != 200 {
			t.Errorf("%s: %d %s", body, answer.Code, answer.Body)
		}
	}
}

// TestReferencesThatAreNotYours: a caller's reference reaches nothing that the realm was not granted, and no secret that
// was handed in for something else.
func TestReferencesThatAreNotYours(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.store.put("other/x", "canary")
	victim := w.ok("POST", "", bearer("victim", "https://x.example.com", "canary-victim", "")).SecretReferences[FieldBearerToken]
	key, err := sdk.ParseSecretRef("urn:realmgate-secret:local:r/access-keys/RGAKX")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.dir.PlanSecrets(t.Context(), "r", directory.AccessKeyOwner("RGAKX"), []sdk.SecretRef{key}); err != nil {
		t.Fatal(err)
	}
	before := w.count("connections")
	for _, ref := range []string{
		"urn:realmgate-secret:local:other/x", "urn:realmgate-secret:env:r/HOME", "urn:realmgate-secret:nowhere:r/x", "urn:realmgate-secret:local:r", "urn:realmgate-secret:local:rr/x",
		// Other names of the same, for the store or whoever resolves, and the place of such.
		victim.String() + ":AWSCURRENT", victim.String() + "/", "urn:realmgate-secret:local:r/connections/x", "urn:realmgate-secret:local:r/./connections/x/y", "urn:realmgate-secret:local:r/access-keys/x",
		"urn:realmgate-secret:local:r/CONNECTIONS/x", "urn:realmgate-secret:second:r/connections/x", "urn:realmgate-secret:second:r/old/connections/a/0123456789abcdef0123456789abcdef/f",
		"urn:realmgate-secret:second:r/old/access-keys/RGAKABCDEFGHIJKLMNOP:AWSCURRENT", "urn:realmgate-secret:second:r/arn:aws:x:r/connections/x",
		victim.String(), victim.String() + "#a", victim.String() + "?=version=1", strings.Replace(victim.String(), "realmgate", "polaris", 1), key.String(), key.String() + "#secret",
	} {
		if got := fault(w.do("r", operator, "POST", "", bearer("thief", "https://evil.example.com", ref, ""))); got != "403 not_granted connectionConfigInfo.authenticationParameters.bearerToken" && got != auth("bearerToken") {
			t.Errorf("%s: %s", ref, got)
		}
		if strings.HasSuffix(ref, victim.Path()) { // it has that one
			continue
		}
		if got := fault(w.do("r", operator, "POST", "/victim/rotate-secret", fmt.Sprintf(`{"field":"bearerToken","value":%q}`, ref))); got != "403 not_granted value" && got != "400 invalid value" {
			t.Errorf("%s: %s", ref, got)
		}
	}
	if w.count("connections") != before {
		t.Error("something was stored")
	}
}

// TestWhoMayRefer: it takes a role of its own to say which secret of the realm goes where.
func TestWhoMayRefer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.store.put("r/own", "canary-own")
	w.store.put("r/another", "canary-another")
	const own, another = "urn:realmgate-secret:local:r/own", "urn:realmgate-secret:local:r/another"
	manager := Actor{Principal: sdk.Principal{Name: "m"}, Roles: []string{"manager"}}
	both := Actor{Principal: manager.Principal, Roles: []string{"manager", "referrer"}}
	uri := "https://x.example.com"
	put := func(a Actor, name, body string) string {
		return fault(w.do("r", a, "PUT", "/"+name, body, "If-Match", fmt.Sprint(w.ok("GET", "/"+name, "").Version)))
	}
	const refused = "403 forbidden connectionConfigInfo.authenticationParameters.bearerToken"
	if got := fault(w.do("r", manager, "POST", "", bearer("thief", "https://evil.example.com", own, ""))); got != refused {
		t.Error(got)
	}
	if got := fault(w.do("r", Actor{Roles: []string{"referrer"}}, "POST", "", bearer("thief", uri, own, ""))); got != "403 forbidden" {
		t.Errorf("by that role alone: %s", got)
	}
	for name, a := range map[string]Actor{"a": both, "b": operator} {
		if answer := w.do("r", a, "POST", "", bearer(name, uri, own, "")); answer.Code != http.StatusCreated {
			t.Fatalf("%d %s", answer.Code, answer.Body)
		}
	}
	// A manager may keep the reference that is there, but not another one, nor send it elsewhere.
	for body, want := range map[string]string{
		bearer("a", uri+"/c", own, ""):                      "",
		bearer("a", uri, another, ""):                       refused,
		bearer("a", uri, own+"#f", ""):                      refused,
		bearer("a", "https://evil.example.com", own, ""):    auth("bearerToken"),
		bearer("a", uri+"/d", "canary-a-value-instead", ""): "",
	} {
		got := put(manager, "a", body)
		if want == "" && !strings.HasPrefix(got, "200") || want != "" && got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
		if want == "" {
			w.ok("POST", "/a/rotate-secret", fmt.Sprintf(`{"field":"bearerToken","value":%q}`, another))
			w.ok("POST", "/a/rotate-secret", fmt.Sprintf(`{"field":"bearerToken","value":%q}`, own))
		}
	}
	if got := fault(w.do("r", manager, "POST", "/b/rotate-secret", fmt.Sprintf(`{"field":"bearerToken","value":%q}`, another))); got != "403 forbidden value" {
		t.Errorf("rotate: %s", got)
	}
	if answer := w.do("r", both, "POST", "/b/rotate-secret", fmt.Sprintf(`{"field":"bearerToken","value":%q}`, another)); answer.Code != 200 {
		t.Errorf("rotate: %d %s", answer.Code, answer.Body)
	}
}

// TestEveryFailureLeavesNothing makes each call fail in turn, before and after it does its work.
func TestEveryFailureLeavesNothing(t *testing.T) {
	t.Parallel()
	const two = `,"accessKeyId":"AKIAX","secretAccessKey":"canary-1","sessionToken":"canary-2"`
	for _, tt := range []struct {
		name, method, rest, body string
		prepare                  func(*world) []string
	}{
		{"create", "POST", "", sigV4("s", two), func(*world) []string { return nil }},
		{"update", "PUT", "/s", sigV4("s", two), func(w *world) []string {
			c := w.ok("POST", "", sigV4("s", `,"accessKeyId":"AKIAX","secretAccessKey":"old-1","sessionToken":"old-2"`))
			return []string{"If-Match", fmt.Sprint(c.Version)}
		}},
		{"rotate", "POST", "/s/rotate-secret", `{"field":"sessionToken","value":"canary-3"}`, func(w *world) []string {
			w.ok("POST", "", sigV4("s", two))
			return nil
		}},
		{"delete", "DELETE", "/s", "", func(w *world) []string {
			w.ok("POST", "", sigV4("s", two))
			return nil
		}},
	} {
		for _, after := range []bool{false, true} {
			for n := 1; ; n++ {
				w := newWorld(t)
				header := tt.prepare(w)
				w.faults.set(n, after)
				answer := w.do("r", operator, tt.method, tt.rest, tt.body, header...)
				happened := w.faults.happened()
				w.faults.set(0, false)
				w.settled(fmt.Sprintf("%s, call %d, after %v: %d", tt.name, n, after, answer.Code))
				if !happened {
					if answer.Code/100 != 2 || n < 3 {
						t.Errorf("%s: %d calls, then %d %s", tt.name, n, answer.Code, answer.Body)
					}
					break
				}
			}
		}
	}
}

// settled makes sure, after a sweep, that the secrets in the store are those of the connections, each readable, and that
// nothing else is left; then that nothing at all is left once the connections are deleted.
func (w *world) settled(what string) {
	w.t.Helper()
	w.sweep("r")
	want := []string{}
	list, _, err := w.svc["r"].List(w.t.Context(), operator, directory.Page{})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range list {
		for field, ref := range c.SecretReferences {
			if _, err := w.secrets.ResolveGranted(w.t.Context(), "r", ref); err != nil {
				w.t.Errorf("%s: the secret %s is lost: %v", what, field, err)
			}
			want = append(want, ref.Path())
		}
	}
	slices.Sort(want)
	if got := w.store.paths(); !slices.Equal(got, want) && len(got)+len(want) > 0 || w.count("written_secrets") != len(want) {
		w.t.Errorf("%s: secrets %v, want %v, %d references", what, got, want, w.count("written_secrets"))
	}
	w.clean(what)
	for _, c := range list {
		w.ok("DELETE", "/"+c.Name, "")
	}
	w.empty(what)
}

// TestFailureIsUndoneAtOnce: where only the last step fails, nothing waits for a sweep.
func TestFailureIsUndoneAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.faults.set(4, false) // look up, plan, write, keep
	if got := fault(w.do("r", operator, "POST", "", bearer("b", "https://x.example.com", "canary", ""))); !strings.HasPrefix(got, "503 unavailable") {
		t.Error(got)
	}
	w.empty("at once")
}

// TestDeletedThoughTheStoreIsDown: the connection is gone, its secret follows.
func TestDeletedThoughTheStoreIsDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ok("POST", "", bearer("b", "https://x.example.com", "canary", ""))
	w.faults.set(3, false) // delete, doomed, delete the secret
	w.ok("DELETE", "/b", "")
	if len(w.store.paths()) != 1 || w.count("written_secrets") != 1 {
		t.Fatalf("%v", w.store.paths())
	}
	w.sweep("r")
	w.empty("after a sweep")
}

// crashing dies in the midst of keeping a connection, as a process does: nothing behind it is executed.
type crashing struct{ Store }

func (crashing) CreateConnection(context.Context, string, directory.NewConnection) (directory.Connection, error) {
	panic("killed")
}

// TestCrash: a process that is killed between writing a secret and keeping its connection leaves no secret for ever.
func TestCrash(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.svc["r"]
	dying := *s
	dying.c.Store = crashing{s.c.Store}
	w.svc["r"] = &dying
	func() {
		defer func() {
			if recover() == nil {
				t.Fatal("it lives")
			}
		}()
		w.do("r", operator, "POST", "", bearer("b", "https://x.example.com", "canary", ""))
	}()
	if len(w.store.paths()) != 1 || w.count("written_secrets") != 1 || w.count("connections") != 0 {
		t.Fatalf("the crash came too early or too late: %v", w.store.paths())
	}
	w.clean("after the crash")
	w.svc["r"] = s
	if _, err := w.custody["r"].Sweep(t.Context()); err != nil || len(w.store.paths()) != 1 {
		t.Errorf("what may still be under way was swept: %v", err)
	}
	w.ok("POST", "", bearer("b", "https://x.example.com", "canary", "")) // the name is free
	w.settled("after the crash")
}

// TestRace: of two that create the same name, one does, and the other leaves nothing.
func TestRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var mu sync.Mutex
	codes := map[int]int{}
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			answer := w.do("r", operator, "POST", "", bearer("b", "https://x.example.com", fmt.Sprint("canary-", i), ""))
			mu.Lock()
			defer mu.Unlock()
			codes[answer.Code]++
		})
	}
	wg.Wait()
	if codes[201] != 1 || codes[409] != 5 {
		t.Errorf("%v", codes)
	}
	w.settled("after the race")
}

// TestUpdateWithoutVersion: whatever form the body has, a change that does not say what it is based on changes nothing.
func TestUpdateWithoutVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.ok("POST", "", sigV4("s", role))
	named := sigV4("s", role)
	nameless := strings.Replace(named, `"name":"s",`, "", 1)
	polaris := func(body, rest string) string {
		return `{"catalog":` + strings.Replace(body, "{", `{"type":"EXTERNAL",`+rest, 1) + "}"
	}
	for what, form := range map[string]struct {
		key  string
		body func(body, version string) string
	}{
		"plain": {"version", func(body, version string) string {
			return strings.Replace(body, "{", "{"+version, 1)
		}},
		"Polaris": {"catalog.entityVersion", polaris},
	} {
		key := strings.TrimPrefix(form.key, "catalog.")
		for name, body := range map[string]string{"with a name": named, "without": nameless} {
			for _, tt := range []struct{ body, match, want string }{
				{"", "", "400 invalid " + form.key},
				{fmt.Sprintf(`"%s":0,`, key), "", "400 invalid " + form.key},
				{fmt.Sprintf(`"%s":null,`, key), "", "400 invalid " + form.key},
				{"", "*", "400 invalid " + form.key},
				{fmt.Sprintf(`"%s":%d,`, key, c.Version+5), "", "409 conflict version"},
				{"", fmt.Sprint(c.Version + 5), "409 conflict version"},
			} {
				var header []string
				if tt.match != "" {
					header = []string{"If-Match", tt.match}
				}
				if got := fault(w.do("r", operator, "PUT", "/s", form.body(body, tt.body), header...)); got != tt.want {
					t.Errorf("%s, %s, %q, If-Match %q: %.200s, want %s", what, name, tt.body, tt.match, got, tt.want)
				}
			}
			if got := w.ok("GET", "/s", ""); got.Version != c.Version {
				t.Fatalf("%s, %s: it was changed: %+v", what, name, got)
			}
			c = w.ok("PUT", "/s", form.body(body, fmt.Sprintf(`"%s":%d,`, key, c.Version)))
			c = w.ok("PUT", "/s", form.body(body, ""), "If-Match", fmt.Sprint(c.Version))
		}
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.ok("POST", "", sigV4("s", role))
	if got := fault(w.do("r", operator, "POST", "", sigV4("s", role))); got != "409 exists name" {
		t.Error(got)
	}
	newer := w.ok("PUT", "/s", sigV4("s", role), "If-Match", fmt.Sprintf("%q", fmt.Sprint(c.Version)))
	old := fmt.Sprint(c.Version)
	versioned := func(v string) string { return strings.Replace(sigV4("s", role), "{", `{"version":`+v+",", 1) }
	for _, tt := range []struct{ method, rest, body, match, want string }{
		{"PUT", "/s", sigV4("s", role), "", "400 invalid version"},
		{"PUT", "/s", sigV4("s", role), old, "409 conflict version"},
		{"PUT", "/s", versioned(old), "", "409 conflict version"},
		{"PUT", "/s", versioned(old), fmt.Sprint(newer.Version), "400 invalid version"},
		{"PUT", "/s", versioned("-1"), "", "400 invalid version"},
		{"PUT", "/s", versioned("1.5"), "", "400 invalid version"},
		{"PUT", "/s", sigV4("s", role), "x", "400 invalid If-Match"},
		{"PUT", "/s", sigV4("t", role), fmt.Sprint(newer.Version), "400 invalid name"},
		{"PUT", "/t", sigV4("t", role), "7", "404 not_found"},
		{"DELETE", "/s", "", old, "409 conflict version"},
		{"DELETE", "/t", "", "", "404 not_found"},
		{"POST", "/s/repoint", `{"identity":"default"}`, old, "409 conflict version"},
		{"POST", "/s/repoint", `{"identity":"aws"}`, "", "400 invalid identity"},
		{"POST", "/s/rotate-secret", `{"field":"clientSecret","value":"x"}`, "", "400 invalid field"},
		{"POST", "/s/rotate-secret", `{"field":"clientSecret","valu":"x"}`, "", "400 invalid valu"},
	} {
		var header []string
		if tt.match != "" {
			header = []string{"If-Match", tt.match}
		}
		if got := fault(w.do("r", operator, tt.method, tt.rest, tt.body, header...)); got != tt.want {
			t.Errorf("%s %s %.60s %s: %s, want %s", tt.method, tt.rest, tt.body, tt.match, got, tt.want)
		}
	}
	if got := w.ok("GET", "/s", ""); got.Version != newer.Version {
		t.Errorf("%+v", got)
	}
}

// TestRealms: what one realm does is not seen in another.
func TestRealms(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.ok("POST", "", bearer("b", "https://x.example.com", "canary-r", ""))
	for _, tt := range []struct{ method, rest, body string }{
		{"GET", "/b", ""}, {"DELETE", "/b", ""}, {"PUT", "/b", strings.Replace(bearer("b", "https://y.example.com", "t", ""), "{", `{"version":`+fmt.Sprint(c.Version)+`,`, 1)},
		{"POST", "/b/rotate-secret", `{"field":"bearerToken","value":"x"}`}, {"POST", "/b/repoint", `{"identity":"realm"}`},
		{"POST", "/b/credentials", ""}, {"POST", "/b/sign", `{"method":"GET","uri":"https://x.example.com/"}`}, {"POST", "/b/test", ""},
	} {
		if got := fault(w.do("other", operator, tt.method, tt.rest, tt.body)); got != "404 not_found" {
			t.Errorf("%s %s: %s", tt.method, tt.rest, got)
		}
	}
	if got := fault(w.do("other", operator, "POST", "", bearer("b", "https://x.example.com", c.SecretReferences[FieldBearerToken].String(), ""))); !strings.HasPrefix(got, "403 not_granted") {
		t.Error(got)
	}
	if answer := w.do("other", operator, "POST", "", bearer("b", "https://y.example.com", "canary-other", "")); answer.Code != 201 {
		t.Fatal(answer.Body)
	}
	if answer := w.do("other", operator, "GET", "", ""); strings.Contains(answer.Body.String(), "x.example.com") {
		t.Errorf("%s", answer.Body)
	}
	if answer := w.do("other", operator, "DELETE", "/b", ""); answer.Code != 204 {
		t.Fatal(answer.Body)
	}
	if got := w.store.paths(); len(got) != 1 || !strings.HasPrefix(got[0], "r/") {
		t.Errorf("%v", got)
	}
	if len(w.vendor.vends)+len(w.vendor.signs) != 0 {
		t.Error("a vendor was asked")
	}
	// A realm without a service identity can take no role on, and one without a store takes references only.
	if got := fault(w.do("other", operator, "POST", "", sigV4("s", role))); got != auth("roleArn") {
		t.Error(got)
	}
	w.build("other", "")
	if answer := w.do("other", operator, "POST", "", bearer("c", "https://y.example.com", "canary-other", "")); answer.Code != 400 || !strings.Contains(answer.Body.String(), "secret_store") {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
	if answer := w.do("other", operator, "POST", "", bearer("c", "https://y.example.com", "urn:realmgate-secret:local:other/mine", "")); answer.Code != 201 {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range []string{"b", "a", "c"} {
		w.ok("POST", "", sigV4(name, role))
	}
	var p Page
	for _, tt := range []struct{ query, want, next string }{{"?limit=2", "a b", "b"}, {"?limit=2&after=b", "c", ""}, {"", "a b c", ""}} {
		answer := w.do("r", operator, "GET", tt.query, "")
		p = Page{}
		if err := json.Unmarshal(answer.Body.Bytes(), &p); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range p.Connections {
			got = append(got, c.Name)
		}
		if strings.Join(got, " ") != tt.want || p.Next != tt.next {
			t.Errorf("%s: %v, next %q", tt.query, got, p.Next)
		}
	}
	if answer := w.do("other", operator, "GET", "", ""); strings.TrimSpace(answer.Body.String()) != `{"connections":[]}` {
		t.Errorf("%s", answer.Body)
	}
	for query, want := range map[string]string{"?limit=0": "400 invalid limit", "?x=1": "400 invalid x", "?limit=1&limit=2": "400 invalid limit", "?after=%00": "400 invalid after"} {
		if got := fault(w.do("r", operator, "GET", query, "")); got != want {
			t.Errorf("%s: %s", query, got)
		}
	}
}

// TestUnaudited: what no line can be written of is not done.
func TestUnaudited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ok("POST", "", bearer("b", "https://x.example.com", "canary", ""))
	full, err := audit.Open(audit.Config{Path: audit.Stdout, Stdout: fullDisk{}, Refuse: true})
	if err != nil {
		t.Fatal(err)
	}
	before := w.store.paths()
	s := *w.svc["r"]
	s.c.Audit = full
	w.svc["r"] = &s
	for _, tt := range []struct{ method, rest, body string }{
		{"POST", "", bearer("c", "https://x.example.com", "canary", "")}, {"DELETE", "/b", ""}, {"POST", "/b/rotate-secret", `{"field":"bearerToken","value":"x"}`},
		{"PUT", "/b", strings.Replace(bearer("b", "https://x.example.com", "x", ""), "{", `{"version":1,`, 1)},
		{"POST", "/b/credentials", ""}, {"POST", "/b/sign", `{"method":"GET","uri":"https://x.example.com/"}`}, {"POST", "/b/test", ""},
	} {
		answer := w.do("r", operator, tt.method, tt.rest, tt.body)
		if got := fault(answer); got != "503 unaudited" || strings.Contains(answer.Body.String(), "vended") {
			t.Errorf("%s %s: %s", tt.method, tt.rest, answer.Body)
		}
	}
	if !slices.Equal(w.store.paths(), before) || w.count("connections") != 1 {
		t.Errorf("changed: %v", w.store.paths())
	}
	if answer := w.do("r", operator, "GET", "/b", ""); answer.Code != http.StatusOK {
		t.Error("reading needs no line")
	}
}

// fullDisk refuses every line.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("disk full") }
