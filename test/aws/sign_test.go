package aws

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

// sign signs a request for an object, as headers or as a URL.
func (f *fixture) sign(t *testing.T, presign bool, method, target, hash string, header ...sdk.Header) sdk.SignedRequest {
	t.Helper()
	s, err := f.Sign(f.ctx, sdk.SignRequest{
		Connection: lakeOf(nil), Caller: sdk.Principal{Name: "alice"}, Presign: presign,
		HTTP: sdk.HTTPMessage{Method: method, Scheme: "http", Host: strings.TrimPrefix(f.minio.URL, "http://"), RawTarget: target, BodySHA256: hash, Header: header},
	})
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	return s
}

// send sends a signed request with its path as it is.
func send(t *testing.T, method string, s sdk.SignedRequest, body io.Reader) (int, string) {
	t.Helper()
	at, query, _ := strings.Cut(s.URL, "?")
	host, path, _ := strings.Cut(strings.TrimPrefix(at, "http://"), "/")
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+host, body)
	if err != nil {
		t.Fatal(err)
	}
	r.URL = &url.URL{Scheme: "http", Host: host, Opaque: "//" + host + "/" + path, RawQuery: query}
	for _, h := range s.Header {
		if h.Name != "content-length" {
			r.Header.Add(h.Name, h.Value)
		}
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(said)
}

func hashOf(body string) string {
	s := sha256.Sum256([]byte(body))
	return hex.EncodeToString(s[:])
}

// Objects with awkward names are written and read with requests that Realmgate signed, in both forms. One byte that is
// changed is refused.
func TestSignedRequests(t *testing.T) {
	t.Parallel()
	f := start(t)
	for _, target := range []string{
		"/lake/plain", "/lake/a:b", "/lake/a%3Ab", "/lake/a%2Fb", "/lake/a%2fb", "/lake/a+b", "/lake/a%2Bb", "/lake/a%20b", "/lake/%E1%88%B4", "/lake/%e1%88%b5", "/lake/a@b=c&d,e;f", "/lake/~%7E",
		"/lake/(a)!*'", "/lake/a%25b", "/lake/%41",
	} {
		for _, presign := range []bool{false, true} {
			body := fmt.Sprint(target, presign)
			hash := hashOf(body)
			s := f.sign(t, presign, "PUT", target, hash, sdk.Header{Name: "Content-Type", Value: "text/plain"}, sdk.Header{Name: "X-Amz-Meta-Who", Value: "a   b"})
			if status, said := send(t, "PUT", s, strings.NewReader(body)); status != 200 {
				t.Errorf("PUT %s, presigned %v: %d %s", target, presign, status, said)
				continue
			}
			got := f.sign(t, presign, "GET", target+"?response-content-type=text%2Fplain&x-id=GetObject", "")
			if status, said := send(t, "GET", got, nil); status != 200 || said != body {
				t.Errorf("GET %s, presigned %v: %d %s", target, presign, status, said)
			}
			for what, bad := range map[string]sdk.SignedRequest{"path": change(got, "lake/", "lake/x"), "query": change(got, "x-id=Get", "x-id=Put"), "signature": flip(got)} {
				if status, said := send(t, "GET", bad, nil); status != 403 || !strings.Contains(said, "SignatureDoesNotMatch") {
					t.Errorf("GET %s, presigned %v, another %s: %d %s", target, presign, what, status, said)
				}
			}
			if status, _ := send(t, "PUT", s, strings.NewReader("X"+body[1:])); status < 400 {
				t.Errorf("PUT %s, presigned %v, another body: %d", target, presign, status)
			}
			if status, _ := send(t, "DELETE", got, nil); status != 403 {
				t.Errorf("GET %s, presigned %v, sent as DELETE: %d", target, presign, status)
			}
		}
	}
}

func change(s sdk.SignedRequest, from, to string) sdk.SignedRequest {
	s.URL = strings.Replace(s.URL, from, to, 1)
	return s
}

// flip changes one bit of the signature.
func flip(s sdk.SignedRequest) sdk.SignedRequest {
	last := func(text string) string {
		return text[:len(text)-1] + string("1032547698badcfe"[strings.IndexByte("0123456789abcdef", text[len(text)-1])])
	}
	if strings.Contains(s.URL, "X-Amz-Signature=") {
		s.URL = last(s.URL)
		return s
	}
	s.Header = append([]sdk.Header(nil), s.Header...)
	for i, h := range s.Header {
		if h.Name == "authorization" {
			s.Header[i].Value = last(h.Value)
		}
	}
	return s
}

// A body that nobody has seen yet is sent with a signature that leaves it out.
func TestUnsignedPayload(t *testing.T) {
	t.Parallel()
	f := start(t)
	for _, presign := range []bool{false, true} {
		s := f.sign(t, presign, "PUT", "/lake/stream", "UNSIGNED-PAYLOAD")
		if status, said := send(t, "PUT", s, strings.NewReader(strings.Repeat("x", 1<<20))); status != 200 {
			t.Errorf("presigned %v: %d %s", presign, status, said)
		}
	}
	s := f.sign(t, true, "PUT", "/lake/stream", "") // a URL for whoever has the body
	if status, said := send(t, "PUT", s, strings.NewReader("x")); status != 200 {
		t.Errorf("presigned without a hash: %d %s", status, said)
	}
}

// The query of S3's subresources, repeated keys and odd characters.
func TestQueries(t *testing.T) {
	t.Parallel()
	f := start(t)
	for _, target := range []string{
		"/lake?location", "/lake?list-type=2&prefix=a/&delimiter=%2F", "/lake/?prefix=a+b&list-type=2", "/lake/?prefix=%E1%88%B4&list-type=2", "/lake/?versions&prefix=~", "/lake/?list-type=2&prefix=a&prefix=b",
	} {
		for _, presign := range []bool{false, true} {
			if status, said := send(t, "GET", f.sign(t, presign, "GET", target, ""), nil); status != 200 {
				t.Errorf("%s, presigned %v: %d %s", target, presign, status, said)
			}
		}
	}
}
