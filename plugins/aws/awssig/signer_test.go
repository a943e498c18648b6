package awssig_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/realmgate/realmgate/plugins/aws/awssig"
	"github.com/realmgate/realmgate/sdk"
)

var (
	keys = aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
	when = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
)

// targets are paths and queries as they may be on the wire.
var targets = []string{
	"/", "/?", "/a/b", "/a%2Fb", "/a:b/c=d@e", "/%E2%98%83/x%20y", "/a//b/../c", "/tilde~/-._", "/v1/ns/a%1Fb/tables",
	"/?b=2&a=1", "/?a=2&a=1&a-b=3&a=", "/?q=a%20b%2Bc%26d%3De", "/?x=%E2%98%83&X=1", "/p?list-type=2&prefix=a%2F",
}

// message gives a request as a server sees it.
func message(r *http.Request, target string) *sdk.HTTPMessage {
	m := &sdk.HTTPMessage{Method: r.Method, Scheme: "https", Host: r.Host, RawTarget: target}
	for name, values := range r.Header {
		for _, v := range values {
			m.Header = append(m.Header, sdk.Header{Name: strings.ToLower(name), Value: v})
		}
	}
	return m
}

func request(t testing.TB, method, target string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, "https://example.amazonaws.com"+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The SDK's signer is the client: what it signs, in either form and by either rule for paths, fits, and no other secret,
// time or request does.
func TestSigner(t *testing.T) {
	t.Parallel()
	for _, target := range targets {
		for _, once := range []bool{true, false} {
			signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = once })
			rules := awssig.Rules{EscapeOnce: once}

			r := request(t, http.MethodPut, target)
			r.Header["X-Amz-Meta-A"] = []string{"  one   two ", "three"}
			r.Header.Set("Content-Type", "text/plain; charset=utf-8")
			if err := signer.SignHTTP(t.Context(), keys, r, awssig.EmptyPayload, "svc", "eu-west-1", when); err != nil {
				t.Fatal(err)
			}
			params, ok := strings.CutPrefix(r.Header.Get("Authorization"), awssig.Algorithm+" ")
			p, err := awssig.ParseAuthorization(params)
			if !ok || err != nil || p.KeyID != keys.AccessKeyID || p.Scope != (awssig.Scope{"20260504", "eu-west-1", "svc"}) {
				t.Fatalf("%q: %+v, %v", params, p, err)
			}
			check(t, "header "+target, message(r, target), p, rules)

			r = request(t, http.MethodGet, target)
			url, _, err := signer.PresignHTTP(t.Context(), keys, r, awssig.EmptyPayload, "svc", "eu-west-1", when)
			if err != nil {
				t.Fatal(err)
			}
			signed := strings.TrimPrefix(url, "https://example.amazonaws.com")
			m := message(r, signed)
			read, err := awssig.Read(m)
			if err != nil {
				t.Fatal(err)
			}
			if p, err = awssig.ParsePresigned(read.Query); err != nil {
				t.Fatal(err)
			}
			check(t, "presigned "+target, m, p, rules)
		}
	}
}

func check(t *testing.T, what string, m *sdk.HTTPMessage, p awssig.Proof, rules awssig.Rules) {
	t.Helper()
	secret := []byte(keys.SecretAccessKey)
	fits := func(m *sdk.HTTPMessage, secret []byte, at time.Time, p awssig.Proof) bool {
		r, err := awssig.Read(m)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		text, err := r.Canonical(p, awssig.EmptyPayload, rules)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		return p.Fits(secret, at, text)
	}
	if !fits(m, secret, when, p) {
		t.Errorf("%s: the signature does not fit", what)
	}
	another := func(change func(m *sdk.HTTPMessage)) *sdk.HTTPMessage {
		c := *m
		c.Header = append([]sdk.Header{}, m.Header...)
		change(&c)
		return &c
	}
	scope := p
	scope.Scope.Service = "other"
	for name, wrong := range map[string]bool{
		"secret":  fits(m, []byte(keys.SecretAccessKey+"x"), when, p),
		"time":    fits(m, secret, when.Add(time.Second), p),
		"scope":   fits(m, secret, when, scope),
		"method":  fits(another(func(m *sdk.HTTPMessage) { m.Method = "POST" }), secret, when, p),
		"host":    fits(another(func(m *sdk.HTTPMessage) { m.Host = "example.amazonaws.com.evil" }), secret, when, p),
		"path":    fits(another(func(m *sdk.HTTPMessage) { m.RawTarget = "/x" + m.RawTarget }), secret, when, p),
		"query":   fits(another(func(m *sdk.HTTPMessage) { m.RawTarget += "&x=y" }), secret, when, p) && strings.Contains(m.RawTarget, "?"),
		"a value": len(m.Header) > 0 && fits(another(func(m *sdk.HTTPMessage) { flip(m.Header) }), secret, when, p),
	} {
		if wrong {
			t.Errorf("%s: the signature fits another %s", what, name)
		}
	}
}

// flip changes the value of a header that the SDK signs.
func flip(hs []sdk.Header) {
	for i := range hs {
		if hs[i].Name == "content-type" {
			hs[i].Value += "x"
		}
	}
}

func TestCanonicalPaths(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		path, once, twice, normal string
	}{
		{"/", "/", "/", "/"},
		{"/a%2Fb:c", "/a%2Fb:c", "/a%252Fb%3Ac", "/a%252Fb%3Ac"},
		{"/a/../b/./c", "/a/../b/./c", "/a/../b/./c", "/b/c"},
		{"//a//b//", "//a//b//", "//a//b//", "/a/b/"},
		{"/..", "/..", "/..", "/"},
		{"/a/b/..", "/a/b/..", "/a/b/..", "/a/"},
		{"/a/.", "/a/.", "/a/.", "/a/"},
		{"/%2e%2e/a", "/%2e%2e/a", "/%252e%252e/a", "/%252e%252e/a"},
	} {
		for want, rules := range map[string]awssig.Rules{
			"1" + tt.once: {EscapeOnce: true}, "2" + tt.once: {EscapeOnce: true, Normalize: true}, "3" + tt.twice: {}, "4" + tt.normal: {Normalize: true},
		} {
			r, err := awssig.Read(&sdk.HTTPMessage{Method: "GET", Host: "h", RawTarget: tt.path})
			if err != nil {
				t.Fatal(err)
			}
			text, err := r.Canonical(awssig.Proof{Signed: []string{"host"}}, "p", rules)
			if want := "GET\n" + want[1:] + "\n\nhost:h\n\nhost\np"; err != nil || text != want {
				t.Errorf("%s, %+v: %q, %v, want %q", tt.path, rules, text, err, want)
			}
		}
	}
}
