package proxy

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

// A door with a token takes it in each of the three places, and nothing else.
func TestAdmits(t *testing.T) {
	t.Parallel()
	const token = "t0ken"
	want := guardOf(sdk.NewSecret([]byte(token)))
	for name, tt := range map[string]struct {
		header http.Header
		ok     bool
	}{
		"its header":             {http.Header{tokenHeader: {token}}, true},
		"bearer":                 {http.Header{"Authorization": {"bearer " + token}}, true},
		"a key id":               {http.Header{"Authorization": {"AWS4-HMAC-SHA256 Credential=" + token + "/20260101/r/s/aws4_request, SignedHeaders=host, Signature=00"}}, true},
		"nothing":                {nil, false},
		"another":                {http.Header{tokenHeader: {token + "x"}}, false},
		"a part":                 {http.Header{tokenHeader: {token[:4]}}, false},
		"empty":                  {http.Header{tokenHeader: {""}}, false},
		"the second one":         {http.Header{tokenHeader: {"x", token}}, false},
		"its header goes first":  {http.Header{tokenHeader: {"x"}, "Authorization": {"Bearer " + token}}, false},
		"another scheme":         {http.Header{"Authorization": {"Basic " + token}}, false},
		"no scheme":              {http.Header{"Authorization": {token}}, false},
		"a hash in place of it":  {http.Header{tokenHeader: {string(want[:])}}, false},
		"another signature form": {http.Header{"Authorization": {"AWS4-ECDSA-P256-SHA256 Credential=" + token + "/x"}}, false},
	} {
		if got := admits(want, tt.header); got != tt.ok {
			t.Errorf("%s: %v", name, got)
		}
	}
	if guardOf(sdk.Secret{}) != nil || !admits(nil, nil) {
		t.Error("a socket for its owner alone demands a token")
	}
}

// What belongs to this one connection, to the proxy or to a signature of the client's own does not go on; all else does.
func TestHeadersOf(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, name := range append(slices.Clone(ours), "X-Hop", "X-Other-Hop") {
		r.Header.Set(name, "x")
	}
	r.Header["Connection"] = []string{"close, x-hop", "X-Other-Hop"}
	r.Header["Accept"], r.Header["X-Amz-Meta-A"], r.Header["User-Agent"] = []string{"a", "b"}, []string{"  c"}, []string{"ü"}
	got, f := headersOf(r)
	want := http.Header{"Accept": {"a", "b"}, "X-Amz-Meta-A": {"  c"}, "User-Agent": {"ü"}}
	if f != nil || !maps.EqualFunc(got, want, slices.Equal[[]string]) {
		t.Errorf("%v %v", got, f)
	}
	for _, secret := range []string{"Authorization", "Proxy-Authorization", tokenHeader, "X-Amz-Security-Token"} {
		if !slices.Contains(ours, secret) {
			t.Errorf("%s goes on", secret)
		}
	}
	r.Header.Set("X-Latin", "\xfc")
	if _, f := headersOf(r); f == nil || f.status != http.StatusBadRequest {
		t.Errorf("a value that is not UTF-8: %v", f)
	}
}

func TestUnsupported(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		method, header, value string
		status                int
	}{
		"connect":             {"CONNECT", "", "", http.StatusNotImplemented},
		"web socket":          {"GET", "Upgrade", "h2c, WebSocket", http.StatusNotImplemented},
		"another expectation": {"PUT", "Expect", "miracles", http.StatusExpectationFailed},
		"an expectation":      {"PUT", "Expect", "100-Continue", 0},
		"an upgrade":          {"GET", "Upgrade", "h2c", 0},
		"plain":               {"PROPFIND", "", "", 0},
	} {
		r := &http.Request{Method: tt.method, Header: http.Header{}}
		if tt.header != "" {
			r.Header.Set(tt.header, tt.value)
		}
		status := 0
		if f := unsupported(r); f != nil {
			status = f.status
		}
		if status != tt.status {
			t.Errorf("%s: %d, want %d", name, status, tt.status)
		}
	}
}

func TestTargetPath(t *testing.T) {
	t.Parallel()
	for target, ok := range map[string]bool{
		"/": true, "/a:b//../c%2F%1F?x=a+b&%20": true, "/ü": true, "*": false, "": false, "http://elsewhere/": false, "/a#b": false, "/\xfc": false,
	} {
		got, f := targetPath(&http.Request{RequestURI: target})
		if (f == nil) != ok || ok && got != target {
			t.Errorf("%q: %q %v", target, got, f)
		}
	}
}

// What is signed of a body, and which bodies are read first for it.
func TestPayloadOf(t *testing.T) {
	t.Parallel()
	hash := strings.Repeat("ab", 32)
	signed, s3, plain := target{signed: true}, target{signed: true, unsigned: true}, target{}
	for name, tt := range map[string]struct {
		t        target
		length   int64
		declared []string
		hash     string
		read     bool
		status   int
	}{
		"nothing is signed":           {plain, 5, nil, "", false, 0},
		"nothing is signed, a hash":   {plain, 5, []string{"x", "y"}, "", false, 0},
		"no body":                     {signed, 0, nil, emptyHash, false, 0},
		"no body, S3":                 {s3, 0, []string{unsignedPayload}, emptyHash, false, 0},
		"a body":                      {signed, 5, nil, "", true, 0},
		"a body of unknown length":    {signed, -1, nil, "", true, 0},
		"a hash":                      {signed, 5, []string{strings.ToUpper(hash)}, hash, false, 0},
		"a hash, S3":                  {s3, -1, []string{hash}, hash, false, 0},
		"unsigned, S3":                {s3, 5, nil, unsignedPayload, false, 0},
		"unsigned, as said, S3":       {s3, 5, []string{unsignedPayload}, unsignedPayload, false, 0},
		"unsigned where that is not":  {signed, 5, []string{unsignedPayload}, "", true, 0},
		"a checksum behind, S3":       {s3, 5, []string{unsignedTrailer}, unsignedTrailer, false, 0},
		"a checksum behind":           {signed, 5, []string{unsignedTrailer}, "", false, http.StatusNotImplemented},
		"chunks signed by the client": {s3, 5, []string{"STREAMING-AWS4-HMAC-SHA256-PAYLOAD"}, "", false, http.StatusNotImplemented},
		"two hashes":                  {signed, 5, []string{hash, hash}, "", false, http.StatusBadRequest},
		"no hash":                     {signed, 5, []string{"abc"}, "", false, http.StatusBadRequest},
	} {
		got, read, f := payloadOf(&http.Request{ContentLength: tt.length, Header: http.Header{hashHeader: tt.declared}}, tt.t)
		status := 0
		if f != nil {
			status = f.status
		}
		if got != tt.hash || read != tt.read || status != tt.status {
			t.Errorf("%s: %q %v %v", name, got, read, f)
		}
	}
}

// The proxy's own answers name their code in a header, so that nobody takes them for the remote system's.
func TestFaultsAreToldApart(t *testing.T) {
	t.Parallel()
	up := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(up.Close)
	for name, tt := range map[string]struct {
		uri, code string
		status    int
	}{
		"a refused address":    {"http://169.254.169.254", codeUnavailable, http.StatusServiceUnavailable},
		"nobody there":         {"http://127.0.0.1:1", codeRemote, http.StatusBadGateway},
		"a certificate":        {up.URL, codeRemote, http.StatusBadGateway},
		"no web address":       {"thrift://127.0.0.1:9083", codeUnavailable, http.StatusServiceUnavailable},
		"one without TLS":      {strings.Replace(up.URL, "https:", "http:", 1), "", http.StatusBadRequest},
		"a name that resolves": {"http://localhost:1", codeRemote, http.StatusBadGateway},
	} {
		res, err := http.Get(serve(t, &lying{uri: tt.uri, sign: signs}) + "/x")
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != tt.status || res.Header.Get(errorHeader) != tt.code {
			t.Errorf("%s: %d %q, want %d %q", name, res.StatusCode, res.Header.Get(errorHeader), tt.status, tt.code)
		}
	}
}
