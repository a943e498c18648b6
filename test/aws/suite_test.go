package aws

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/connection"
	"github.com/realmgate/realmgate/plugins/aws/awssig"
	"github.com/realmgate/realmgate/sdk"
)

// suite is the official test suite of Signature Version 4, in the layout of awslabs/aws-c-auth: a folder per case.
const suite = "../../../shared/sigv4-suite"

// suiteContext is a case's context.json.
type suiteContext struct {
	Credentials struct {
		ID     string `json:"access_key_id"`
		Secret string `json:"secret_access_key"`
		Token  string `json:"token"`
	} `json:"credentials"`
	Expiration *int64    `json:"expiration_in_seconds"`
	Normalize  bool      `json:"normalize"`
	Region     string    `json:"region"`
	Service    string    `json:"service"`
	SignBody   bool      `json:"sign_body"`
	OmitToken  bool      `json:"omit_session_token"`
	Timestamp  time.Time `json:"timestamp"`
}

// suiteCase is a request to be signed.
type suiteCase struct {
	suiteContext
	message sdk.HTTPMessage
	// spaces: the suite writes a path with spaces as it is before it is encoded, which is not how a request is sent. It is sent
	// encoded, to a service that takes the path as it is sent.
	spaces bool
}

func newCase(t *testing.T, context, request string) *suiteCase {
	t.Helper()
	c := &suiteCase{}
	if err := json.Unmarshal([]byte(context), &c.suiteContext); err != nil {
		t.Fatal(err)
	}
	var body string
	c.message, body = parseRequest(t, request)
	c.message.BodySHA256 = hashOf(body)
	if c.SignBody {
		c.message.Header = append(c.message.Header, sdk.Header{Name: "x-amz-content-sha256", Value: c.message.BodySHA256})
	}
	if path, rest, _ := strings.Cut(c.message.RawTarget, "?"); strings.Contains(path, " ") {
		c.spaces = true
		c.message.RawTarget = strings.TrimSuffix(strings.ReplaceAll(path, " ", "%20")+"?"+rest, "?")
	}
	return c
}

// life is that of a presigned URL, in seconds.
func (c *suiteCase) life() int64 {
	if c.Expiration != nil {
		return *c.Expiration
	}
	return 3600
}

// The official cases through the endpoint for signatures, in both forms.
func TestOfficialSuite(t *testing.T) {
	t.Parallel()
	var folders []string
	_ = filepath.WalkDir(suite, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Name() == "context.json" && filepath.Base(filepath.Dir(filepath.Dir(path))) != "v4a" {
			folders = append(folders, filepath.Dir(path))
		}
		return nil
	})
	if len(folders) == 0 {
		t.Skipf("the official suite is not in %s", suite)
	}
	if len(folders) < 38 {
		t.Errorf("the suite has %d cases, 38 are known", len(folders))
	}
	for _, dir := range folders {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			c := newCase(t, readCase(t, dir, "context.json"), readCase(t, dir, "request.txt"))
			e := newEndpoint(t, c.Timestamp)
			e.create(c)
			want, _ := parseRequest(t, readCase(t, dir, "header-signed-request.txt"))
			if got := e.sign(c, false).Headers["authorization"]; len(got) != 1 || !slices.Contains(want.Values("authorization"), got[0]) {
				t.Errorf("headers: %s, want %q", got, want.Values("authorization"))
			}
			want, _ = parseRequest(t, readCase(t, dir, "query-signed-request.txt"))
			if got, want := queryOf(e.sign(c, true).URI), queryOf(want.RawTarget); got.Get("X-Amz-Signature") != want.Get("X-Amz-Signature") || got.Get("X-Amz-SignedHeaders") != want.Get("X-Amz-SignedHeaders") {
				t.Errorf("URL: %v, want %v", got, want)
			}
		})
	}
}

func readCase(t *testing.T, dir, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(raw), "\r\n", "\n")
}

// caseContext is one in the suite's form.
const caseContext = `{"credentials": {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"%s},
"expiration_in_seconds": 3600, "normalize": %t, "region": "us-east-1", "service": "service", "sign_body": %t, "omit_session_token": %t, "timestamp": "2015-08-30T12:36:00Z"}`

// Cases of our own, in the suite's form and through the same endpoint, verified by the half of the plugin that reads signatures.
// One byte that is changed is refused.
func TestSigningEndpoint(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]string{
		"root": "GET / HTTP/1.1\nHost:example.amazonaws.com", "colon and slash": "GET /v1/a:b/c%2Fd/e%1Ff HTTP/1.1\nHost:example.amazonaws.com",
		"dots and slashes": "GET /a/./b/..//c/ HTTP/1.1\nHost:example.amazonaws.com", "space": "GET /a b/c HTTP/1.1\nHost:example.amazonaws.com",
		"unicode": "GET /ሴ?ሴ=bar HTTP/1.1\nHost:example.amazonaws.com", "query": "GET /?b=2&a=1&a=0&-=_&%20=+ HTTP/1.1\nHost:example.amazonaws.com",
		"headers": "GET / HTTP/1.1\nHost:example.amazonaws.com\nMy-Header1: b  c \nmy-header2:2\nMy-Header1:a",
		"lines":   "GET / HTTP/1.1\nHost:example.amazonaws.com\nMy-Header1:value1\n  value2\n     value3",
		"form":    "POST / HTTP/1.1\nContent-Type:application/x-www-form-urlencoded\nHost:example.amazonaws.com\nContent-Length:13\n\nParam1=value1",
	} {
		for variant, context := range map[string]string{
			"normalized": fmt.Sprintf(caseContext, "", true, false, false), "as it is": fmt.Sprintf(caseContext, "", false, true, false),
			"token": fmt.Sprintf(caseContext, `, "token": "to/ken+="`, true, true, false), "token beside": fmt.Sprintf(caseContext, `, "token": "to/ken+="`, true, false, true),
		} {
			t.Run(name+"/"+variant, func(t *testing.T) {
				t.Parallel()
				c := newCase(t, context, request)
				e := newEndpoint(t, c.Timestamp)
				e.create(c)
				for _, presign := range []bool{false, true} {
					c.verify(t, e.sign(c, presign), presign)
				}
			})
		}
	}
	// The example in the documentation.
	c := newCase(t, fmt.Sprintf(caseContext, "", true, false, false), "GET / HTTP/1.1\nHost:example.amazonaws.com\nX-Amz-Date:20150830T123600Z")
	e := newEndpoint(t, c.Timestamp)
	e.create(c)
	const want = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, " +
		"Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
	if got := e.sign(c, false).Headers["authorization"]; !slices.Equal(got, []string{want}) {
		t.Errorf("%s, want %s", got, want)
	}
}

// verify reads what was signed, as whoever gets the request would.
func (c *suiteCase) verify(t *testing.T, s connection.Signed, presigned bool) {
	t.Helper()
	target, ok := strings.CutPrefix(s.URI, "https://"+c.message.Host)
	if !ok {
		t.Fatalf("the URL is %s", s.URI)
	}
	m := sdk.HTTPMessage{Method: c.message.Method, Scheme: "https", Host: c.message.Host, RawTarget: target}
	for name, values := range s.Headers {
		for _, v := range values {
			m.Header = append(m.Header, sdk.Header{Name: name, Value: v})
		}
	}
	if !presigned && len(m.Values("authorization")) != 1 {
		t.Fatalf("headers %v", s.Headers)
	}
	for _, h := range c.message.Header {
		if !slices.Equal(m.Values(h.Name), c.message.Values(h.Name)) {
			t.Errorf("presigned %v: the header %s is sent as %q", presigned, h.Name, m.Values(h.Name))
		}
	}
	fits := func(m sdk.HTTPMessage) bool {
		r, err := awssig.Read(&m)
		if err != nil {
			t.Fatal(err)
		}
		var p awssig.Proof
		if presigned {
			p, err = awssig.ParsePresigned(r.Query)
		} else {
			p, err = awssig.ParseAuthorization(strings.TrimPrefix(m.Values("authorization")[0], awssig.Algorithm+" "))
		}
		if err != nil {
			t.Fatal(err)
		}
		if p.Presigned && c.OmitToken { // it was added afterwards
			r.Query = r.Query.Without(awssig.ParamToken)
		}
		if token := c.Credentials.Token != "" && !c.OmitToken; !presigned && token != p.Signs("x-amz-security-token") || presigned && token != r.Query.Has(awssig.ParamToken) {
			t.Errorf("of the token: signed headers %v, query %v", p.Signed, r.Query)
		}
		if c.Normalize {
			r.Path = strings.Replace(r.Path, "/a/./b/..//c/", "/a/c/", 1)
		}
		canonical, err := r.Canonical(p, c.message.BodySHA256, awssig.Rules{EscapeOnce: c.spaces})
		if err != nil {
			t.Fatal(err)
		}
		return p.Fits([]byte(c.Credentials.Secret), c.Timestamp, canonical)
	}
	if !fits(m) {
		t.Errorf("presigned %v: the signature does not fit %+v", presigned, s.URI)
	}
	m.RawTarget = "/x" + m.RawTarget[1:]
	if fits(m) {
		t.Errorf("presigned %v: the signature fits another path", presigned)
	}
}

func queryOf(target string) url.Values {
	_, raw, _ := strings.Cut(target, "?")
	values, _ := url.ParseQuery(raw)
	return values
}

// parseRequest reads a request in the suite's form: the target may have spaces in it, and a line that begins with one goes on
// with the header before it, as a further value.
func parseRequest(t *testing.T, text string) (sdk.HTTPMessage, string) {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(strings.TrimRight(head, "\n"), "\n")
	method, rest, ok := strings.Cut(lines[0], " ")
	target, isHTTP := strings.CutSuffix(rest, " HTTP/1.1")
	if !ok || !isHTTP {
		t.Fatalf("the request line is %q", lines[0])
	}
	m := sdk.HTTPMessage{Method: method, Scheme: "https", RawTarget: target}
	name := ""
	for _, line := range lines[1:] {
		value := line
		if !strings.HasPrefix(line, " ") && !strings.HasPrefix(line, "\t") {
			name, value, ok = strings.Cut(line, ":")
			if !ok {
				t.Fatalf("the header is %q", line)
			}
		}
		if strings.EqualFold(name, "host") {
			m.Host = strings.TrimSpace(value)
			continue
		}
		m.Header = append(m.Header, sdk.Header{Name: strings.ToLower(name), Value: strings.TrimSpace(value)})
	}
	return m, body
}
