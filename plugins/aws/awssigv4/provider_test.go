package awssigv4_test

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/plugins/aws/awssig"
	"github.com/realmgate/realmgate/sdk"
)

func TestIdentity(t *testing.T) {
	t.Parallel()
	x := newTenant(t, nil)
	id, reason, noStore := x.identify(signing{}.request(t))
	if reason != "" || !noStore || id.Subject != "42" || !slices.Equal(id.Roles, []string{"PRINCIPAL_ROLE:ALL"}) || !id.AuthTime.Equal(when) ||
		!id.Expires.Equal(when.Add(5*time.Minute)) || len(id.TokenID) != 16 {
		t.Errorf("%+v, %q, %v", id, reason, noStore)
	}
	for name, want := range map[string]string{"principal_id": "42", "principal_name": "alice", "access_key_id": keyID} {
		if got, _ := id.Claims.String(name); got != want {
			t.Errorf("the claim %s is %q, want %q", name, got, want)
		}
	}
	chosen := newTenant(t, map[string]any{"roles": []string{"PRINCIPAL_ROLE:reader"}})
	if id, _, _ := chosen.identify(signing{}.request(t)); !slices.Equal(id.Roles, []string{"PRINCIPAL_ROLE:reader"}) {
		t.Errorf("%q", id.Roles)
	}
	bearer := signing{}.request(t)
	bearer.Scheme = "bearer"
	x.want(t, "another scheme", bearer, sdk.ReasonNotMine)
	blind := signing{}.request(t)
	blind.HTTP = nil
	x.want(t, "no message", blind, "unavailable")
}

// Every way of signing that clients have.
func TestAccepted(t *testing.T) {
	t.Parallel()
	hash := strings.Repeat("ab", 32)
	for name, tt := range map[string]struct {
		settings map[string]any
		s        signing
	}{
		"a body":                   {nil, signing{method: "PUT", body: "abc", hash: hash}},
		"headers":                  {nil, signing{header: http.Header{"X-Amz-Meta-A": {" a   b ", "c"}, "Content-Type": {"text/plain"}}}},
		"five minutes ago":         {nil, signing{at: when.Add(-5*time.Minute + time.Second)}},
		"in five minutes":          {nil, signing{at: when.Add(5 * time.Minute)}},
		"s3":                       {map[string]any{"service": "s3"}, signing{service: "s3", once: true, target: "/bucket/a%20b//c/../d"}},
		"a path as it is":          {nil, signing{target: "/a//b/../c"}},
		"no hash":                  {map[string]any{"require_content_sha256": false}, signing{noHash: true}},
		"an unsigned body":         {map[string]any{"unsigned_payload": true}, signing{method: "PUT", body: "abc", hash: "UNSIGNED-PAYLOAD"}},
		"a stream":                 {map[string]any{"unsigned_payload": true}, signing{method: "PUT", body: "abc", hash: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"}},
		"presigned":                {map[string]any{"presigned": true}, signing{presign: true, target: "/a?X-Amz-Expires=60", noHash: true}},
		"presigned for s3":         {map[string]any{"presigned": true, "service": "s3"}, signing{presign: true, service: "s3", once: true, target: "/a%20b?X-Amz-Expires=60", noHash: true, hash: "UNSIGNED-PAYLOAD"}},
		"presigned, with the hash": {map[string]any{"presigned": true}, signing{method: "PUT", presign: true, target: "/a?X-Amz-Expires=60", hash: hash}},
		"presigned upload": {
			map[string]any{"presigned": true, "service": "s3", "unsigned_payload": true},
			signing{method: "PUT", presign: true, service: "s3", once: true, target: "/a?X-Amz-Expires=60", noHash: true, hash: "UNSIGNED-PAYLOAD"},
		},
	} {
		newTenant(t, tt.settings).want(t, name, tt.s.request(t), "")
	}
}

// Every single deviation from a good request is denied for what it is.
func TestDenied(t *testing.T) {
	t.Parallel()
	good := signing{}.request(t)
	body := signing{method: "PUT", body: "abc", hash: strings.Repeat("ab", 32)}.request(t)
	meta := signing{header: http.Header{"X-Amz-Meta-A": {"1"}}}.request(t)
	for name, tt := range map[string]struct {
		r      sdk.Request
		reason string
	}{
		"another method":                {message(good, func(m *sdk.HTTPMessage) { m.Method = "DELETE" }), "signature_invalid"},
		"another host":                  {message(good, func(m *sdk.HTTPMessage) { m.Host = "api.example.com.evil" }), "signature_invalid"},
		"another path":                  {message(good, func(m *sdk.HTTPMessage) { m.RawTarget = strings.Replace(m.RawTarget, "%2F", "/", 1) }), "signature_invalid"},
		"another escape":                {message(good, func(m *sdk.HTTPMessage) { m.RawTarget = strings.Replace(m.RawTarget, "%2F", "%2f", 1) }), "signature_invalid"},
		"another query":                 {message(good, func(m *sdk.HTTPMessage) { m.RawTarget += "&admin=1" }), "signature_invalid"},
		"a detour":                      {message(good, func(m *sdk.HTTPMessage) { m.RawTarget = "/x/.." + m.RawTarget }), "signature_invalid"},
		"no path":                       {message(good, func(m *sdk.HTTPMessage) { m.RawTarget = "*" }), "token_malformed"},
		"a plus in the query":           {message(good, func(m *sdk.HTTPMessage) { m.RawTarget += "&a=b+c" }), "token_malformed"},
		"another value":                 {with(meta, "x-amz-meta-a", "2"), "signature_invalid"},
		"one more value":                {and(meta, "x-amz-meta-a", "2"), "signature_invalid"},
		"a signed header, taken away":   {with(meta, "x-amz-meta-a", ""), "header_missing"},
		"a length that is gone":         {with(body, "content-length", ""), "header_missing"},
		"an x-amz- header more":         {and(good, "x-amz-acl", "public-read"), "header_not_signed"},
		"one that CGI takes for such":   {and(good, "x_amz_target", "Admin.Delete"), "header_not_signed"},
		"half of one":                   {and(good, "x-amz_target", "Admin.Delete"), "header_not_signed"},
		"a session token of that kind":  {and(good, "x_amz_security_token", "abc"), "session_token_not_allowed"},
		"an unsigned date":              {auth(t, good, ";x-amz-date", ""), "header_not_signed"},
		"an unsigned hash":              {auth(t, good, ";x-amz-content-sha256", ""), "header_not_signed"},
		"an unsigned host":              {auth(t, good, "=host;", "="), "token_malformed"},
		"another hash":                  {with(body, "x-amz-content-sha256", strings.Repeat("cd", 32)), "signature_invalid"},
		"no hash":                       {signing{noHash: true}.request(t), "payload_hash_missing"},
		"two hashes":                    {and(body, "x-amz-content-sha256", strings.Repeat("ab", 32)), "token_malformed"},
		"a hash in upper case":          {signing{hash: strings.Repeat("AB", 32)}.request(t), "token_malformed"},
		"an unsigned body":              {signing{hash: awssig.UnsignedPayload}.request(t), "payload_not_signed"},
		"a stream":                      {signing{hash: "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}.request(t), "payload_not_signed"},
		"another body":                  {message(body, func(m *sdk.HTTPMessage) { m.BodySHA256 = strings.Repeat("cd", 32) }), "payload_mismatch"},
		"another region":                {signing{region: "eu-west-2"}.request(t), "scope_mismatch"},
		"another service":               {signing{service: "sts"}.request(t), "scope_mismatch"},
		"another region, written over":  {auth(t, signing{region: "eu-west-2"}.request(t), "eu-west-2", region), "signature_invalid"},
		"another day":                   {auth(t, good, "20260504", "20260503"), "scope_mismatch"},
		"another terminator":            {auth(t, good, "aws4_request", "aws5_request"), "token_malformed"},
		"six minutes ago":               {signing{at: when.Add(-6 * time.Minute)}.request(t), "token_expired"},
		"five minutes ago":              {signing{at: when.Add(-5 * time.Minute)}.request(t), "token_expired"},
		"in six minutes":                {signing{at: when.Add(6 * time.Minute)}.request(t), "token_not_yet_valid"},
		"a date that is moved":          {with(good, "x-amz-date", when.Add(time.Minute).Format(awssig.TimeForm)), "signature_invalid"},
		"two dates":                     {and(good, "x-amz-date", when.Format(awssig.TimeForm)), "token_malformed"},
		"no date":                       {with(good, "x-amz-date", ""), "token_malformed"},
		"an unsigned plain date":        {and(with(good, "x-amz-date", ""), "date", when.Format(http.TimeFormat)), "header_not_signed"},
		"no time":                       {with(good, "x-amz-date", "now"), "token_malformed"},
		"another secret":                {signing{secret: secret + "x"}.request(t), "signature_invalid"},
		"an unknown key":                {signing{id: "RGAKZZZZZZZZZZZZZZZZ"}.request(t), "signature_invalid"},
		"the secret of no key":          {signing{id: "RGAKZZZZZZZZZZZZZZZZ", secret: strings.Repeat("0", 40)}.request(t), "signature_invalid"},
		"a session token":               {signing{token: "abc"}.request(t), "session_token_not_allowed"},
		"a session token, not signed":   {and(good, "x-amz-security-token", "abc"), "session_token_not_allowed"},
		"a session token in the query":  {message(good, func(m *sdk.HTTPMessage) { m.RawTarget += "&X-Amz-Security-Token=a" }), "session_token_not_allowed"},
		"signed twice":                  {message(good, func(m *sdk.HTTPMessage) { m.RawTarget += "&X-Amz-Signature=a" }), "token_malformed"},
		"a flipped signature":           {auth(t, good, "Signature="+signature(good)[:1], "Signature="+flip(signature(good)[:1])), "signature_invalid"},
		"a signature in upper case":     {auth(t, good, signature(good), strings.ToUpper(signature(good))), "token_malformed"},
		"presigned":                     {signing{presign: true, target: "/a?X-Amz-Expires=60"}.request(t), "presigned_not_allowed"},
		"a header that is there, in re": {auth(t, good, "host;", "authorization;host;"), "signature_invalid"},
	} {
		newTenant(t, nil).want(t, name, tt.r, tt.reason)
	}
}

func signature(r sdk.Request) string {
	_, s, _ := strings.Cut(r.Token, "Signature=")
	return s
}

func flip(digit string) string {
	n, _ := strconv.ParseUint(digit, 16, 8)
	return strconv.FormatUint(n^1, 16)
}

func TestPresignedDenied(t *testing.T) {
	t.Parallel()
	settings := map[string]any{"presigned": true}
	s := signing{presign: true, target: "/a?X-Amz-Expires=60", noHash: true}
	good := s.request(t)
	old := s
	old.at = when.Add(-time.Minute)
	early := s
	early.at = when.Add(6 * time.Minute)
	long := s
	long.target = "/a?X-Amz-Expires=901"
	post := s
	post.method = "POST"
	session := s
	session.token = "abc"
	replace := func(from, to string) sdk.Request {
		return message(good, func(m *sdk.HTTPMessage) {
			if !strings.Contains(m.RawTarget, from) {
				t.Fatalf("%s is not in %s", from, m.RawTarget)
			}
			m.RawTarget = strings.Replace(m.RawTarget, from, to, 1)
		})
	}
	for name, tt := range map[string]struct {
		r      sdk.Request
		reason string
	}{
		"at its end":               {old.request(t), "token_expired"},
		"from the future":          {early.request(t), "token_not_yet_valid"},
		"a long life":              {long.request(t), "token_malformed"},
		"a life that is changed":   {replace("Expires=60", "Expires=600"), "signature_invalid"},
		"no life":                  {replace("X-Amz-Expires=60&", ""), "token_malformed"},
		"two lives":                {replace("X-Amz-Expires=60", "X-Amz-Expires=60&x-amz-expires=600"), "token_malformed"},
		"no date":                  {replace("X-Amz-Date=", "X-Amz-Other="), "token_malformed"},
		"another host":             {message(good, func(m *sdk.HTTPMessage) { m.Host = "evil" }), "signature_invalid"},
		"a post":                   {post.request(t), "payload_hash_missing"},
		"a get, made a delete":     {message(good, func(m *sdk.HTTPMessage) { m.Method = "HEAD" }), "signature_invalid"},
		"an x-amz- header":         {and(good, "x-amz-acl", "public-read"), "header_not_signed"},
		"a session":                {session.request(t), "session_token_not_allowed"},
		"another algorithm":        {replace("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"), "token_malformed"},
		"a parameter more":         {replace("X-Amz-Expires", "admin=1&X-Amz-Expires"), "signature_invalid"},
		"a signature more":         {replace("X-Amz-Expires", "X-Amz-Signature=0&X-Amz-Expires"), "token_malformed"},
		"another day":              {replace("%2F20260504%2F", "%2F20260503%2F"), "scope_mismatch"},
		"the unsigned host header": {replace("SignedHeaders=host", "SignedHeaders=x"), "token_malformed"},
	} {
		newTenant(t, settings).want(t, name, tt.r, tt.reason)
	}
	x := newTenant(t, settings)
	x.advance(59 * time.Second)
	if id, reason, _ := x.identify(good); reason != "" || !id.Expires.Equal(when.Add(time.Minute)) {
		t.Errorf("%+v, %q", id, reason)
	}
	x.want(t, "used again", good, "")
	upload := signing{method: "PUT", presign: true, service: "s3", once: true, target: "/a?X-Amz-Expires=60", noHash: true, hash: awssig.UnsignedPayload}
	newTenant(t, map[string]any{"presigned": true, "service": "s3"}).want(t, "an upload", upload.request(t), "payload_hash_missing")
}

// Only the holder of the secret learns that the principal is disabled; that the host cannot tell is nobody's fault.
func TestStanding(t *testing.T) {
	t.Parallel()
	x := newTenant(t, nil)
	x.host.key.Enabled = false
	st := &sdk.State{Request: ptr(signing{}.request(t))}
	d := sdk.AsDenial(sdk.Step(sdk.WithHost(t.Context(), x.host), sdk.KindIdentityProvider, x.Provider, st))
	if d == nil || d.Reason != "principal_disabled" || !d.Forbidden {
		t.Errorf("%+v", d)
	}
	x.want(t, "with another secret", signing{secret: "x"}.request(t), "signature_invalid")
	x.host.key.Enabled, x.host.err = true, errors.New("the store is down")
	x.want(t, "no secret", signing{}.request(t), "unavailable")
	x.host.err, x.host.lookupErr = nil, errors.New("the directory is down")
	x.want(t, "no directory", signing{}.request(t), "unavailable")
	n := x.host.resolved
	x.want(t, "a request that is wrong in itself", signing{at: when.Add(-time.Hour)}.request(t), "token_expired")
	if x.host.resolved != n {
		t.Error("a secret was resolved for a request that could not be good")
	}
}

func ptr(r sdk.Request) *sdk.Request { return &r }

// A key that is not known and a signature that does not fit have the same answer, to the letter.
func TestSameAnswer(t *testing.T) {
	t.Parallel()
	answer := func(s signing) string {
		x := newTenant(t, nil)
		_, err := x.Identify(sdk.WithHost(t.Context(), x.host), s.request(t))
		if err == nil {
			t.Fatal("accepted")
		}
		return err.Error()
	}
	if a, b := answer(signing{id: "RGAKZZZZZZZZZZZZZZZZ"}), answer(signing{secret: "x"}); a != b {
		t.Errorf("%q and %q", a, b)
	}
}

func TestNormalizedPath(t *testing.T) {
	t.Parallel()
	r := message(signing{target: "/b/c"}.request(t), func(m *sdk.HTTPMessage) { m.RawTarget = "/a/../b//./c" })
	newTenant(t, nil).want(t, "as it is", r, "signature_invalid")
	newTenant(t, map[string]any{"normalize_path": true}).want(t, "normalized", r, "")
}

func TestPlainDate(t *testing.T) {
	t.Parallel()
	x := newTenant(t, nil)
	for _, form := range []string{http.TimeFormat, awssig.TimeForm} {
		p := awssig.Proof{
			KeyID: keyID, Scope: awssig.Scope{Day: "20260504", Region: region, Service: service},
			Signed: []string{"date", "host", "x-amz-content-sha256"}, Signature: strings.Repeat("0", 64),
		}
		m := &sdk.HTTPMessage{Method: "GET", Host: "h", RawTarget: "/", Header: []sdk.Header{
			{Name: "date", Value: when.Format(form)}, {Name: "x-amz-content-sha256", Value: awssig.EmptyPayload},
		}}
		read, err := awssig.Read(m)
		if err != nil {
			t.Fatal(err)
		}
		text, err := read.Canonical(p, awssig.EmptyPayload, awssig.Rules{})
		if err != nil {
			t.Fatal(err)
		}
		token := "Credential=" + keyID + "/" + p.Scope.String() + ", SignedHeaders=" + strings.Join(p.Signed, ";") + ", Signature=" + p.Sign([]byte(secret), when, text)
		r := with(sdk.Request{Scheme: "aws4-hmac-sha256", Token: token, HTTP: m}, "authorization", awssig.Algorithm+" "+token)
		x.want(t, form, r, "")
	}
}

func TestReplay(t *testing.T) {
	t.Parallel()
	x := newTenant(t, map[string]any{"replay_cache": 2, "presigned": true})
	one, two, three := signing{}.request(t), signing{target: "/2"}.request(t), signing{target: "/3"}.request(t)
	x.want(t, "once", one, "")
	x.want(t, "twice", one, "signature_replayed")
	elsewhere := one
	elsewhere.Realm = "another"
	x.want(t, "in another realm", elsewhere, "")
	x.want(t, "beyond the room", two, "unavailable")
	x.want(t, "wrong ones take no room", signing{secret: "x"}.request(t), "signature_invalid")
	presigned := signing{presign: true, target: "/a?X-Amz-Expires=60", noHash: true}.request(t)
	x.want(t, "a URL", presigned, "")
	x.want(t, "a URL, again", presigned, "")
	x.advance(5 * time.Minute)
	x.want(t, "too late", one, "token_expired")
	x.want(t, "room again", signing{at: x.now()}.request(t), "")
	x.want(t, "room again", signing{at: x.now(), target: "/3"}.request(t), "")
	free := newTenant(t, nil)
	free.want(t, "without it", three, "")
	free.want(t, "without it, again", three, "")
}
