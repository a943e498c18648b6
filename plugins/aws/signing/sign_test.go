package signing_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/realmgate/realmgate/plugins/aws/internal/awstest"
	"github.com/realmgate/realmgate/plugins/aws/signing"
	"github.com/realmgate/realmgate/sdk"
)

const (
	keyID  = "AKIDEXAMPLE"
	secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

func keys() aws.Credentials { return aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secret} }

func hashOf(body string) string {
	s := sha256.Sum256([]byte(body))
	return hex.EncodeToString(s[:])
}

// service is a server that checks signatures by the rules of the services execute-api and s3 and says 200 or 403 and why.
func service(t *testing.T, name string) string {
	t.Helper()
	v := awstest.Verifier{Keys: awstest.Keys{keyID: secret}, Region: "eu-central-1", Service: name, Once: name == "s3", AsIs: name == "s3"}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if _, err := v.Verify(r, body); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
		}
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// send writes a signed request as it is, which no HTTP library does.
func send(t *testing.T, method string, s sdk.SignedRequest, body string) (int, string) {
	t.Helper()
	rest, ok := strings.CutPrefix(s.URL, "http://")
	host, target, _ := strings.Cut(rest, "/")
	if !ok {
		t.Fatalf("the URL is %s", s.URL)
	}
	c, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	text := method + " /" + target + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n"
	length := false
	for _, h := range s.Header {
		text += h.Name + ": " + h.Value + "\r\n"
		length = length || h.Name == "content-length"
	}
	if !length && body != "" {
		text += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	if _, err := io.WriteString(c, text+"\r\n"+body); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	said, _ := io.ReadAll(answer.Body)
	return answer.StatusCode, string(said)
}

// TestWire signs requests as headers and as URLs, for both kinds of services, and has a verifier of its own check what
// arrives. Then one byte is changed.
func TestWire(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"execute-api", "s3"} {
		host := service(t, name)
		for what, tt := range map[string]struct {
			method, target, body string
			header               []sdk.Header
		}{
			"root":             {target: "/"},
			"colon":            {target: "/v1/a:b/c"},
			"encoded slash":    {target: "/v1/namespaces/a%2Fb"},
			"unit separator":   {target: "/v1/namespaces/a%1Fb"},
			"slashes":          {target: "/a//b///c/"},
			"dots":             {target: "/a/./b/../c"},
			"dots at the end":  {target: "/a/b/.."},
			"beyond the root":  {target: "/../../a"},
			"only dots":        {target: "/a/../"},
			"unicode":          {target: "/%E1%88%B4/%F0%9F%98%80"},
			"raw unicode":      {target: "/ሴ"},
			"lower-case hex":   {target: "/%e1%88%b4"},
			"space":            {target: "/a%20b"},
			"plus":             {target: "/a+b"},
			"needless escape":  {target: "/%41~%7E"},
			"odd characters":   {target: "/!$&'()*,;=@"},
			"query":            {target: "/?b=2&a=1"},
			"repeated keys":    {target: "/?a=2&a=1&a"},
			"key without =":    {target: "/?uploads"},
			"empty key":        {target: "/?=x"},
			"plus in query":    {target: "/?q=a+b%2Bc"},
			"unicode in query": {target: "/?%E1%88%B4=bar&x=%20"},
			"equals in value":  {target: "/?a=b=c&d=%3D%26"},
			"header spaces":    {target: "/", header: []sdk.Header{{Name: "My-Header", Value: "  a   b  "}}},
			"repeated header":  {target: "/", header: []sdk.Header{{Name: "X-A", Value: "2"}, {Name: "x-a", Value: "1"}}},
			"body":             {method: "POST", target: "/a", body: "Param1=value1", header: []sdk.Header{{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}}},
			"length":           {method: "PUT", target: "/a", body: "abc", header: []sdk.Header{{Name: "content-length", Value: "3"}}},
			"hop by hop":       {target: "/", header: []sdk.Header{{Name: "User-Agent", Value: "x"}, {Name: "Te", Value: "trailers"}, {Name: "X-Forwarded-For", Value: "::1"}}},
			"former signature": {target: "/", header: []sdk.Header{
				{Name: "Authorization", Value: "AWS4-HMAC-SHA256 Credential=x"}, {Name: "X-Amz-Date", Value: "20150830T123600Z"}, {Name: "X-Amz-Security-Token", Value: "x"}, {Name: "Host", Value: "elsewhere"},
			}},
		} {
			t.Run(name+"/"+what, func(t *testing.T) {
				t.Parallel()
				if tt.method == "" {
					tt.method = "GET"
				}
				in := signing.Input{
					Message: sdk.HTTPMessage{Method: tt.method, Scheme: "http", Host: host, RawTarget: tt.target, Header: tt.header, BodySHA256: hashOf(tt.body)},
					Keys:    keys(), Region: "eu-central-1", Service: name, Rules: signing.RulesOf(name), At: time.Now(),
				}
				h, err := signing.Headers(t.Context(), in)
				if err != nil {
					t.Fatal(err)
				}
				p, err := signing.Presign(t.Context(), in, time.Minute)
				if err != nil {
					t.Fatal(err)
				}
				for form, s := range map[string]sdk.SignedRequest{"headers": h, "URL": p} {
					if status, said := send(t, tt.method, s, tt.body); status != 200 {
						t.Errorf("%s: %d, sent %+v: %s", form, status, s, said)
					}
					path, query, _ := strings.Cut(s.URL, "?")
					s.URL = path + "x?" + query
					if status, _ := send(t, tt.method, s, tt.body); status != 403 {
						t.Errorf("%s: %d after a byte of the path was changed", form, status)
					}
				}
				if path, _, _ := strings.Cut(tt.target, "?"); !strings.HasPrefix(h.URL, "http://"+host+path) {
					t.Errorf("the path became %s", h.URL)
				}
			})
		}
	}
}

func input(target string, header ...sdk.Header) signing.Input {
	return signing.Input{
		Message: sdk.HTTPMessage{Method: "GET", Scheme: "https", Host: "example.amazonaws.com", RawTarget: target, Header: header},
		Keys:    keys(), Region: "us-east-1", Service: "service", Rules: signing.RulesOf("service"), At: time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC),
	}
}

func header(s sdk.SignedRequest, name string) string {
	for _, h := range s.Header {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

// The example of the specification.
func TestKnownSignature(t *testing.T) {
	t.Parallel()
	s, err := signing.Headers(t.Context(), input("/"))
	const want = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, " +
		"Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
	if err != nil || header(s, "authorization") != want || header(s, "x-amz-date") != "20150830T123600Z" {
		t.Errorf("%+v, %v", s, err)
	}
	if want := time.Date(2015, 8, 30, 12, 41, 0, 0, time.UTC); !s.Expires.Equal(want) {
		t.Errorf("expires at %v", s.Expires)
	}
}

// Two secrets under one key id, as in two realms or after a rotation, give two signatures.
func TestSecretCounts(t *testing.T) {
	t.Parallel()
	one := input("/")
	two := input("/")
	two.Keys.SecretAccessKey = "another"
	a, err := signing.Headers(t.Context(), one)
	if err != nil {
		t.Fatal(err)
	}
	b, err := signing.Headers(t.Context(), two)
	if err != nil {
		t.Fatal(err)
	}
	if header(a, "authorization") == header(b, "authorization") {
		t.Error("the former secret signs")
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	h := func(name, value string) sdk.Header { return sdk.Header{Name: name, Value: value} }
	many := make([]sdk.Header, 201)
	for i := range many {
		many[i] = h("a", "b")
	}
	change := func(in signing.Input, f func(*signing.Input)) signing.Input { f(&in); return in }
	for name, tt := range map[string]struct {
		in   signing.Input
		want string
	}{
		"line break in a value": {input("/", h("a", "b\r\nc: d")), "headers: "},
		"NUL in a value":        {input("/", h("a", "\x00")), "headers: "},
		"name":                  {input("/", h("a b", "c")), "headers: "},
		"no name":               {input("/", h("", "c")), "headers: "},
		"too many headers":      {input("/", many...), "headers: "},
		"too long headers":      {input("/", h("a", strings.Repeat("x", 65<<10))), "headers: "},
		"length":                {input("/", h("content-length", "-1")), "headers: content-length"},
		"two lengths":           {input("/", h("content-length", "1"), h("Content-Length", "1")), "headers: content-length"},
		"two hashes":            {input("/", h("x-amz-content-sha256", hashOf("a")), h("x-amz-content-sha256", hashOf("b"))), "headers: x-amz-content-sha256"},
		"no path":               {input(""), "uri: "},
		"asterisk":              {input("*"), "uri: "},
		"line break in the URL": {input("/a\nb"), "uri: "},
		"fragment":              {input("/a#b"), "uri: "},
		"semicolon":             {input("/?a=1;b=2"), "uri: the query"},
		"broken escape":         {input("/?a=%zz"), "uri: the query"},
		"signed already":        {input("/?x-amz-signature=1"), "uri: it is signed already"},
		"long URL":              {input("/" + strings.Repeat("x", 33<<10)), "uri: it is longer"},
		"method":                {change(input("/"), func(in *signing.Input) { in.Message.Method = "GET /" }), "method: "},
		"scheme":                {change(input("/"), func(in *signing.Input) { in.Message.Scheme = "ftp" }), "uri: "},
		"host":                  {change(input("/"), func(in *signing.Input) { in.Message.Host = "u@h" }), "uri: "},
		"no hash of a length":   {input("/", h("content-length", "1")), "payloadSha256: by its content-length"},
		"not a hash":            {change(input("/"), func(in *signing.Input) { in.Message.BodySHA256 = "abc" }), "payloadSha256: "},
		"unsigned":              {change(input("/"), func(in *signing.Input) { in.Message.BodySHA256 = "UNSIGNED-PAYLOAD" }), "payloadSha256: UNSIGNED-PAYLOAD is not possible"},
		"another hash":          {change(input("/", h("x-amz-content-sha256", hashOf("a"))), func(in *signing.Input) { in.Message.BodySHA256 = hashOf("b") }), "headers: x-amz-content-sha256"},
		"signed chunks":         {change(input("/", h("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")), func(in *signing.Input) { in.Rules = signing.RulesOf("s3") }), "payloadSha256: chunks"},
		"broken escape, s3":     {change(input("/%zz"), func(in *signing.Input) { in.Rules = signing.RulesOf("s3") }), "uri: the path"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, err := range []error{second(signing.Headers(t.Context(), tt.in)), second(signing.Presign(t.Context(), tt.in, time.Minute))} {
				d := sdk.AsDenial(err)
				if d == nil || d.Reason != signing.Reason || !strings.HasPrefix(d.Detail, tt.want) {
					t.Errorf("%v, want %q", err, tt.want)
				}
			}
		})
	}
}

func second(_ sdk.SignedRequest, err error) error { return err }

func TestUnsignedPayload(t *testing.T) {
	t.Parallel()
	in := input("/key")
	in.Message.Method, in.Rules, in.Message.BodySHA256 = "PUT", signing.RulesOf("s3"), signing.UnsignedPayload
	s, err := signing.Headers(t.Context(), in)
	if err != nil || header(s, "x-amz-content-sha256") != "UNSIGNED-PAYLOAD" {
		t.Errorf("%+v, %v", s, err)
	}
	in.Message.BodySHA256 = ""
	if s, err := signing.Headers(t.Context(), in); err != nil || header(s, "x-amz-content-sha256") != hashOf("") {
		t.Errorf("without being asked to, a body is left out: %+v, %v", s, err)
	}
	s, err = signing.Presign(t.Context(), in, time.Minute)
	if err != nil || header(s, "x-amz-content-sha256") != "" {
		t.Errorf("%+v, %v", s, err)
	}
}

// A plus sign is a space to all, in the query that is signed and in the one that is sent.
func TestPlusInTheQuery(t *testing.T) {
	t.Parallel()
	in, spelt := input("/a+b?q=a+b%2Bc"), input("/a+b?q=a%20b%2Bc")
	got, err := signing.Headers(t.Context(), in)
	want, _ := signing.Headers(t.Context(), spelt)
	if err != nil || got.URL != "https://example.amazonaws.com/a+b?q=a%20b%2Bc" || header(got, "authorization") != header(want, "authorization") {
		t.Errorf("%+v, %v", got, err)
	}
	signed, err := signing.Presign(t.Context(), in, time.Minute)
	if err != nil || !strings.Contains(signed.URL, "/a+b?") || !strings.Contains(signed.URL, "q=a%20b%2Bc") {
		t.Errorf("%+v, %v", signed, err)
	}
}

// Of whatever method, a request without a word of a body has none.
func TestNoBody(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"GET", "POST", "PUT", "DELETE", "PURGE"} {
		for _, length := range [][]sdk.Header{nil, {{Name: "content-length", Value: "0"}}} {
			in, said := input("/", length...), input("/", length...)
			in.Message.Method, said.Message.Method, said.Message.BodySHA256 = method, method, hashOf("")
			got, err := signing.Headers(t.Context(), in)
			want, _ := signing.Headers(t.Context(), said)
			if err != nil || header(got, "authorization") != header(want, "authorization") {
				t.Errorf("%s %v: %+v, %v", method, length, got, err)
			}
		}
	}
}

func TestLives(t *testing.T) {
	t.Parallel()
	in := input("/")
	for _, life := range []time.Duration{0, -time.Second, 999 * time.Millisecond, signing.MaxLifetime + 1} {
		if _, err := signing.Presign(t.Context(), in, life); sdk.AsDenial(err) == nil {
			t.Errorf("%v: %v", life, err)
		}
	}
	in.Keys.CanExpire, in.Keys.Expires, in.Keys.SessionToken = true, in.At.Add(90*time.Second+time.Millisecond), "to/ken="
	s, err := signing.Presign(t.Context(), in, time.Hour)
	u, _ := url.Parse(s.URL)
	if err != nil || u.Query().Get("X-Amz-Expires") != "90" || !s.Expires.Equal(in.At.Add(90*time.Second)) || u.Query().Get("X-Amz-Security-Token") != "to/ken=" {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := signing.Headers(t.Context(), in); err != nil || !s.Expires.Equal(in.Keys.Expires) || header(s, "x-amz-security-token") != "to/ken=" {
		t.Errorf("%+v, %v", s, err)
	}
	in.Keys.Expires = in.At
	if _, err := signing.Presign(t.Context(), in, time.Hour); err == nil || sdk.AsDenial(err) != nil {
		t.Errorf("keys without a life: %v", err)
	}
}

// The token of a service that wants it unsigned is sent all the same.
func TestUnsignedToken(t *testing.T) {
	t.Parallel()
	in := input("/")
	plain, err := signing.Headers(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	in.Keys.SessionToken, in.Rules.SignToken = "token", false
	s, err := signing.Headers(t.Context(), in)
	if err != nil || header(s, "x-amz-security-token") != "token" || header(s, "authorization") != header(plain, "authorization") {
		t.Errorf("%+v, %v", s, err)
	}
	p, err := signing.Presign(t.Context(), in, time.Minute)
	if err != nil || !strings.HasSuffix(p.URL, "&X-Amz-Security-Token=token") {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestDefaultPort(t *testing.T) {
	t.Parallel()
	in := input("/a")
	plain, _ := signing.Headers(t.Context(), in)
	in.Message.Host += ":443"
	s, err := signing.Headers(t.Context(), in)
	if err != nil || s.URL != "https://example.amazonaws.com/a" || header(s, "authorization") != header(plain, "authorization") {
		t.Errorf("%+v, %v", s, err)
	}
}
