package connection

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// signing creates a connection for which requests are signed.
func signing(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.ok("POST", "", strings.Replace(sigV4("s", role), `"name"`, `"signHosts":["S3.us-east-1.amazonaws.com","*.s3.us-east-1.amazonaws.com","minio.example.com:9000"],"name"`, 1))
	return w
}

func TestSign(t *testing.T) {
	t.Parallel()
	w := signing(t)
	hash := strings.Repeat("a", 64)
	answer := w.do("r", alice("user"), "POST", "/s/sign", fmt.Sprintf(`{"method":"PUT","uri":"https://GLUE.us-east-1.amazonaws.com/a%%2Fb//c/../d:e?x=%%20&X=&y","payloadSha256":%q,
		"headers":{"X-B":["2","1"],"Content-Type":"text/plain","host":"glue.us-east-1.amazonaws.com","Transfer-Encoding":"chunked","Connection":"x"}}`, hash))
	if got := strings.TrimSpace(answer.Body.String()); got != `{"uri":"https://glue.us-east-1.amazonaws.com/a%2Fb//c/../d:e?x=%20&X=&y","headers":{"authorization":["signed"],"content-type":["text/plain"],"x-b":["2","1"]}}` {
		t.Errorf("%d %s", answer.Code, got)
	}
	want := sdk.HTTPMessage{
		Method: "PUT", Scheme: "https", Host: "glue.us-east-1.amazonaws.com", RawTarget: "/a%2Fb//c/../d:e?x=%20&X=&y", BodySHA256: hash,
		Header: []sdk.Header{{Name: "content-type", Value: "text/plain"}, {Name: "x-b", Value: "2"}, {Name: "x-b", Value: "1"}},
	}
	if got := w.vendor.signs[0]; !reflect.DeepEqual(got.HTTP, want) || got.Presign || got.Caller.Name != "alice" || got.Connection.ServiceIdentity.ARN != realmARN {
		t.Errorf("asked\n%+v\nwant\n%+v", got, want)
	}
	if got := w.lastLine(); got != "connection.sign done alice s" {
		t.Errorf("audit: %s", got)
	}
	if strings.Contains(w.log.String(), "d:e") || !strings.Contains(w.log.String(), "PUT https://glue.us-east-1.amazonaws.com") {
		t.Errorf("audit: %s", w.log.String())
	}
	// What the signer leaves out, a credential of before above all, is not sent.
	all := w.vendor.signed
	w.vendor.signed = func(r sdk.SignRequest) sdk.SignedRequest {
		s := all(r)
		s.Header = slices.DeleteFunc(s.Header, func(h sdk.Header) bool { return h.Name == "x-amz-security-token" })
		return s
	}
	answer = w.do("r", alice("user"), "POST", "/s/sign", `{"method":"GET","uri":"https://glue.us-east-1.amazonaws.com/","headers":{"X-Amz-Security-Token":"stale","X-A":"1"}}`)
	if got := strings.TrimSpace(answer.Body.String()); got != `{"uri":"https://glue.us-east-1.amazonaws.com/","headers":{"authorization":["signed"],"x-a":["1"]}}` {
		t.Errorf("%d %s", answer.Code, got)
	}
	w.vendor.signed, w.vendor.signs = all, w.vendor.signs[:1]
	// Iceberg's S3SignRequest.
	answer = w.do("r", alice("user"), "POST", "/s/sign", `{"region":"us-east-1","method":"POST","uri":"https://b.s3.us-east-1.amazonaws.com?delete","headers":{"amz-sdk-request":["attempt=1"]},
		"properties":{"s3.signer.uri":"x"},"body":"<Delete/>","provider":"s3"}`)
	if got := strings.TrimSpace(answer.Body.String()); got != `{"uri":"https://b.s3.us-east-1.amazonaws.com/?delete","headers":{"amz-sdk-request":["attempt=1"],"authorization":["signed"]}}` {
		t.Errorf("%d %s", answer.Code, got)
	}
	sum := sha256.Sum256([]byte("<Delete/>"))
	if got := w.vendor.signs[1].HTTP; got.RawTarget != "/?delete" || got.BodySHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("%+v", got)
	}
	w.vendor.signed = func(r sdk.SignRequest) sdk.SignedRequest {
		return sdk.SignedRequest{URL: "https://" + r.HTTP.Host + "/x?X-Amz-Signature=1", Expires: w.clock.Add(time.Minute), AuditID: "session-1"}
	}
	answer = w.do("r", alice("user"), "POST", "/s/sign", `{"method":"GET","uri":"https://b.s3.us-east-1.amazonaws.com/x","presign":true,"expiresInSeconds":60}`)
	if !strings.Contains(answer.Body.String(), "X-Amz-Signature=1") || !strings.Contains(answer.Body.String(), `"expiresAt"`) || w.vendor.signs[2].Lifetime != time.Minute || !w.vendor.signs[2].Presign {
		t.Errorf("%s %+v", answer.Body, w.vendor.signs[2])
	}
	if got := w.lastLine(); got != "connection.sign done alice s session-1" {
		t.Errorf("audit: %s", got)
	}
}

// TestSignHosts: a signature is given for the connection's own hosts only.
func TestSignHosts(t *testing.T) {
	t.Parallel()
	w := signing(t)
	for uri, may := range map[string]bool{
		"https://glue.us-east-1.amazonaws.com/": true, "https://GLUE.US-EAST-1.amazonaws.com:443/x": true, "https://s3.us-east-1.amazonaws.com/b": true, "https://b.s3.us-east-1.amazonaws.com/": true,
		"https://a.b.s3.us-east-1.amazonaws.com/": true, "https://minio.example.com:9000/": true,
		"http://glue.us-east-1.amazonaws.com/": false, "http://glue.us-east-1.amazonaws.com:443/": false, "https://glue.us-east-1.amazonaws.com:80/": false, "https://glue.us-east-1.amazonaws.com.evil.example.com/": false,
		"https://xglue.us-east-1.amazonaws.com/": false, "https://glue.us-east-1.amazonaws.com./": false, "https://evils3.us-east-1.amazonaws.com/": false, "https://.s3.us-east-1.amazonaws.com/": false,
		"https://b.s3.us-east-1.amazonaws.com:8443/": false, "http://b.s3.us-east-1.amazonaws.com/": false, "https://minio.example.com/": false, "https://minio.example.com:443/": false, "https://a.minio.example.com:9000/": false,
		"https://b.s3.us-west-2.amazonaws.com/": false, "https://evil.example.com/glue.us-east-1.amazonaws.com": false, "https://evil.example.com?glue.us-east-1.amazonaws.com": false,
	} {
		answer := w.do("r", alice("user"), "POST", "/s/sign", fmt.Sprintf(`{"method":"GET","uri":%q}`, uri))
		if got := fault(answer); may && answer.Code != 200 || !may && got != "403 host_refused uri" {
			t.Errorf("%s: %d %s", uri, answer.Code, answer.Body)
		}
	}
	if n := len(w.vendor.signs); n != 6 {
		t.Errorf("the vendor was asked %d times", n)
	}
	// With a connection by http its sign hosts may be reached that way too.
	w.ok("POST", "", strings.Replace(bearer("h", "http://[::1]:9000", "t", ""), `"name"`, `"signHosts":["x.example.com"],"name"`, 1))
	for uri, may := range map[string]bool{"http://[::1]:9000/x": true, "http://x.example.com/": true, "https://x.example.com/": true, "https://[::1]:9000/x": false, "http://x.example.com:443/": false, "http://[::1]/": false} {
		if answer := w.do("r", alice("user"), "POST", "/h/sign", fmt.Sprintf(`{"method":"GET","uri":%q}`, uri)); (answer.Code == 200) != may {
			t.Errorf("%s: %d %s", uri, answer.Code, answer.Body)
		}
	}
	// A host by its name may be the connection's, a refused address is not, whatever was configured since.
	w.ok("POST", "", bearer("m", "http://10.0.0.9", "t", ""))
	s := w.svc["r"]
	var err error
	if s.c.Deny, err = parseDeny("10.0.0.0/8"); err != nil {
		t.Fatal(err)
	}
	if got := fault(w.do("r", alice("user"), "POST", "/m/sign", `{"method":"GET","uri":"http://10.0.0.9/"}`)); got != "403 host_refused uri" {
		t.Error(got)
	}
}

func TestSignRefuses(t *testing.T) {
	t.Parallel()
	w := signing(t)
	const own = `"uri":"https://glue.us-east-1.amazonaws.com/"`
	for body, want := range map[string]string{
		``: "400 invalid uri", `{"method":"GET"}`: "400 invalid uri", `{` + own + `}`: "400 invalid method", `{"method":"get",` + own + `}`: "400 invalid method", `{"method":"A B",` + own + `}`: "400 invalid method",
		`{"method":"GET","uri":"glue"}`: "400 invalid uri", `{"method":"GET","uri":"https:///x"}`: "400 invalid uri", `{"method":"GET","uri":"https://glue.us-east-1.amazonaws.com/x?a=b c"}`: "400 invalid uri", `{"method":"GET","uri":"ftp://glue.us-east-1.amazonaws.com/"}`: "400 invalid uri",
		`{"method":"GET","uri":"https://a:b@glue.us-east-1.amazonaws.com/"}`: "400 invalid uri", `{"method":"GET","uri":"https://glue.us-east-1.amazonaws.com/#f"}`: "400 invalid uri",
		`{"method":"GET","uri":"https://glue.us-east-1.amazonaws.com\\@evil/"}`: "400 invalid uri", `{"method":"GET","uri":"https://glue.us-east-1.amazonaws.com/\r\nx"}`: "400 invalid uri",
		`{"method":"GET","uri":"https://glue.us-east-1.amazonaws.com/` + strings.Repeat("x", 17<<10) + `"}`: "400 invalid uri",
		`{"method":"GET",` + own + `,"headers":{"a b":"x"}}`:                                                "400 invalid headers.a b", `{"method":"GET",` + own + `,"headers":{"a":"x\ny"}}`: "400 invalid headers.a", `{"method":"GET",` + own + `,"headers":{"a":[1]}}`: "400 invalid headers.a",
		`{"method":"GET",` + own + `,"headers":{"host":"evil.example.com"}}`: "400 invalid headers.host", `{"method":"GET",` + own + `,"headers":{"a":"` + strings.Repeat("x", 65<<10) + `"}}`: "400 invalid headers",
		`{"method":"GET",` + own + `,"headers":{"a":["` + strings.Repeat(`x","`, 128) + `x"]}}`: "400 invalid headers", `{"method":"GET",` + own + `,"headers":[]}`: "400 invalid headers",
		`{"method":"GET",` + own + `,"payloadSha256":"xyz"}`: "400 invalid payloadSha256", `{"method":"GET",` + own + `,"payloadSha256":"` + strings.Repeat("a", 64) + `","body":"x"}`: "400 invalid payloadSha256",
		`{"method":"GET",` + own + `,"region":"eu-west-1"}`: "400 invalid region", `{"method":"GET",` + own + `,"expiresInSeconds":5}`: "400 invalid expiresInSeconds", `{"method":"GET",` + own + `,"presign":1}`: "400 invalid presign",
		`{"method":"GET",` + own + `,"presign":true,"expiresInSeconds":604801}`: "400 invalid expiresInSeconds", `{"method":"GET",` + own + `,"provider":"gcs"}`: "400 invalid provider", `{"method":"GET",` + own + `,"x":1}`: "400 invalid x",
		`{"method":"GET","body":"` + strings.Repeat("x", 1<<20) + `"}`: "413 too_large",
	} {
		if got := fault(w.do("r", alice("user"), "POST", "/s/sign", body)); got != want {
			t.Errorf("%.100s: %s, want %s", body, got, want)
		}
	}
	if len(w.vendor.signs) != 0 {
		t.Error("the vendor was asked")
	}
}

// endless is a body that never ends, and counts what is read of it.
type endless struct{ read int64 }

func (e *endless) Read(p []byte) (int, error) {
	e.read += int64(len(p))
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// TestHugeBody: a body of 100 MB is refused, and no more of it is read than the bound, or nothing if it says how long it is.
func TestHugeBody(t *testing.T) {
	t.Parallel()
	w := signing(t)
	for _, length := range []int64{-1, 100 << 20} {
		body := &endless{}
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/", io.NopCloser(io.LimitReader(body, 100<<20)))
		r.ContentLength = length
		answer := httptest.NewRecorder()
		w.svc["r"].Serve(answer, r, alice("user"), "/s/sign")
		if got := fault(answer); got != "413 too_large" || body.read > 2<<20 || length > 0 && body.read != 0 {
			t.Errorf("length %d: %s after %d bytes", length, got, body.read)
		}
	}
}

// TestSignersAreNotBelieved: an answer for another host, or none, comes to no caller.
func TestSignersAreNotBelieved(t *testing.T) {
	t.Parallel()
	good := []sdk.Header{{Name: "authorization", Value: "signed"}}
	for name, tt := range map[string]struct {
		change func(*world)
		want   string
	}{
		"another host": {func(w *world) {
			w.vendor.signed = answers(sdk.SignedRequest{URL: "https://evil.example.com/", Header: good})
		}, "503 unavailable"},
		"another scheme": {func(w *world) {
			w.vendor.signed = answers(sdk.SignedRequest{URL: "http://glue.us-east-1.amazonaws.com/", Header: good})
		}, "503 unavailable"},
		"no URL": {func(w *world) { w.vendor.signed = answers(sdk.SignedRequest{Header: good}) }, "503 unavailable"},
		"no signature": {func(w *world) {
			w.vendor.signed = answers(sdk.SignedRequest{URL: "https://glue.us-east-1.amazonaws.com/"})
		}, "503 unavailable"},
		"expired": {func(w *world) {
			w.vendor.signed = answers(sdk.SignedRequest{URL: "https://glue.us-east-1.amazonaws.com/", Header: good, Expires: w.clock.Add(-time.Second)})
		}, "503 unavailable"},
		"a forged header": {func(w *world) {
			w.vendor.signed = answers(sdk.SignedRequest{URL: "https://glue.us-east-1.amazonaws.com/", Header: []sdk.Header{{Name: "a", Value: "b\r\nc: d"}}})
		}, "503 unavailable"},
		"fails":       {func(w *world) { w.vendor.err = errors.New("canary") }, "503 unavailable"},
		"denies":      {func(w *world) { w.vendor.err = sdk.Forbid("payload_hash", "no") }, "403 payload_hash"},
		"cannot sign": {func(w *world) { w.vendor.mute = true }, "501 unsupported"},
	} {
		w := signing(t)
		tt.change(w)
		answer := w.do("r", alice("user"), "POST", "/s/sign", `{"method":"GET","uri":"https://glue.us-east-1.amazonaws.com/"}`)
		if got := fault(answer); got != tt.want || strings.Contains(answer.Body.String(), "canary") {
			t.Errorf("%s: %s", name, answer.Body)
		}
		if got := w.lastLine(); !strings.HasPrefix(got, "connection.sign ") || strings.HasPrefix(got, "connection.sign done") {
			t.Errorf("%s: audit: %s", name, got)
		}
	}
	w := signing(t)
	w.vendor.signed = answers(sdk.SignedRequest{URL: "https://glue.us-east-1.amazonaws.com/"})
	if got := fault(w.do("r", alice("user"), "POST", "/s/sign", `{"method":"GET","uri":"https://glue.us-east-1.amazonaws.com/","presign":true}`)); got != "503 unavailable" {
		t.Errorf("a presigned URL without a signature: %s", got)
	}
}

func answers(s sdk.SignedRequest) func(sdk.SignRequest) sdk.SignedRequest {
	return func(sdk.SignRequest) sdk.SignedRequest { return s }
}

// TestTrial asks real servers.
func TestTrial(t *testing.T) {
	t.Parallel()
	var asked sync.Map
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		asked.Store(r.Method+" "+r.URL.Path+" "+r.Header.Get("Authorization"), true)
		switch r.URL.Path {
		case "/redirect":
			http.Redirect(rw, r, "/elsewhere", http.StatusFound)
		case "/broken":
			rw.WriteHeader(http.StatusBadGateway)
		case "/hangs-up":
			panic(http.ErrAbortHandler)
		case "/long":
			for range 100 {
				if _, err := rw.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		default:
			rw.WriteHeader(http.StatusUnauthorized)
			_, _ = rw.Write([]byte("canary-body"))
		}
	}))
	defer srv.Close()
	w := newWorld(t)
	w.vendor.answer.Properties["token"] = sdk.NewSecret([]byte("canary"))
	test := func(name, uri string) string {
		t.Helper()
		w.ok("POST", "", bearer(name, uri, "t", ""))
		answer := w.do("r", alice("manager"), "POST", "/"+name+"/test", "")
		if answer.Code != 200 || strings.Contains(answer.Body.String(), "canary") {
			t.Fatalf("%d %s", answer.Code, answer.Body)
		}
		return answer.Body.String()
	}
	const vended = `{"credentials":{"ok":true,"properties":["token"],"expiresAt":`
	for path, want := range map[string]string{
		"a": `"ok":true,"uri":"%s","status":401}`, "redirect": `"status":302,"message":"a redirect, which was not followed"}`, "broken": `"ok":false,"uri":"%s","status":502`,
		"hangs-up": `"ok":false,"uri":"%s","message":"no HTTP answer"`, "long": `"ok":true,"uri":"%s","status":200`,
	} {
		uri := srv.URL + "/" + path
		got := test(path, uri)
		if !strings.HasPrefix(got, vended) || !strings.Contains(got, strings.ReplaceAll(want, "%s", uri)) {
			t.Errorf("%s: %s", path, got)
		}
	}
	was := func(request string) bool { _, ok := asked.Load(request); return ok }
	if was("GET /elsewhere ") || !was("GET /a ") {
		t.Error("a redirect was followed, or a secret was sent")
	}
	if got := w.lastLine(); !strings.HasPrefix(got, "connection.test done alice ") || !strings.HasSuffix(got, " session-1") {
		t.Errorf("audit: %s", got)
	}
	// An address that is refused when it is dialled, under a name.
	deny, err := parseDeny("127.0.0.0/8", "::1")
	if err != nil {
		t.Fatal(err)
	}
	w.ok("POST", "", bearer("name", strings.Replace(srv.URL, "127.0.0.1", "localhost", 1)+"/refused", "t", ""))
	w.svc["r"].c.Deny, w.svc["r"].c.Dial = deny, deny.Dialer().DialContext
	if got := w.do("r", alice("manager"), "POST", "/name/test", "").Body.String(); !strings.Contains(got, "an address that is refused") || was("GET /refused ") {
		t.Errorf("%s", got)
	}
	w.vendor.err = errors.New("canary of STS")
	answer := w.do("r", alice("manager"), "POST", "/name/test", "")
	if !strings.Contains(answer.Body.String(), `{"credentials":{"ok":false,"code":"unavailable"`) || strings.Contains(answer.Body.String(), "canary") {
		t.Error(answer.Body)
	}
	if got := w.lastLine(); got != "connection.test failed alice name unavailable" {
		t.Errorf("audit: %s", got)
	}
	w.ok("POST", "", `{"name":"i","connectionConfigInfo":{"connectionType":"HADOOP","uri":"file:///data","authenticationParameters":{"authenticationType":"IMPLICIT"}}}`)
	if got := w.do("r", alice("manager"), "POST", "/i/test", "").Body.String(); strings.Contains(got, "remote") {
		t.Error(got)
	}
}
