package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Several connections at once, each on its own listener. A socket is its owner's; a loopback address wants the token, in
// one of three forms, which does not go out.
func TestProxyDoors(t *testing.T) {
	t.Parallel()
	d := start(t, connected)
	a, b := listenWire(t, answerFine), listenWire(t, answerFine)
	d.bearerTo("a", a.url, "hunter2-a")
	d.bearerTo("b", b.url, "hunter2-b")
	s := d.proxy(t, 3, "--connection", "a", "--connection", "b", "--connection", "a=127.0.0.1:0", "--health", "127.0.0.1:0")
	for path, want := range map[string]os.FileMode{"a.sock": 0o600, "b.sock": 0o600, "token": 0o600, ".": 0o700} {
		if info, err := os.Stat(filepath.Join(s.dir, path)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v %v", path, info, err)
		}
	}
	for name, up := range map[string]*wire{"a": a, "b": b} {
		s.raw(name, "GET /of-"+name+" HTTP/1.1\r\nHost: h\r\n\r\n")
		if head, n := up.last(); n != 1 || !strings.HasPrefix(head, "GET /of-"+name+" ") || !headHas(head, "Authorization: Bearer hunter2-"+name) {
			t.Errorf("%s: %d requests, the last one:\n%s", name, n, head)
		}
	}
	raw, err := os.ReadFile(filepath.Join(s.dir, "token"))
	if err != nil {
		t.Fatal(err)
	}
	token := strings.TrimSpace(string(raw))
	address := s.address("a")
	ask := func(headers string) (*http.Response, string) {
		t.Helper()
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		say(c, "GET / HTTP/1.1\r\nHost: h\r\n"+headers+"\r\n")
		return readAnswer(t, c, nil)
	}
	_, before := a.last()
	for what, headers := range map[string]string{
		"nothing": "", "an empty one": "Realmgate-Proxy-Token:\r\n", "another one": "Authorization: Bearer " + token[1:] + "\r\n", "a longer one": "Authorization: Bearer " + token + "x\r\n",
		"Basic":             "Authorization: Basic " + token + "\r\n",
		"another key id":    "Authorization: AWS4-HMAC-SHA256 Credential=AKID/20260101/r/s3/aws4_request, SignedHeaders=host, Signature=" + token + "\r\n",
		"a wrong one first": "Realmgate-Proxy-Token: x\r\nAuthorization: Bearer " + token + "\r\n",
		"lower case":        "Authorization: Bearer " + strings.ToLower(token) + "\r\n",
	} {
		if res, text := ask(headers); res.StatusCode != 401 || res.Header.Get("WWW-Authenticate") == "" || strings.Contains(text, token) {
			t.Errorf("%s: %s %s", what, res.Status, text)
		}
	}
	if _, n := a.last(); n != before {
		t.Errorf("%d requests without the token went out", n-before)
	}
	for what, headers := range map[string]string{
		"its own header": "Realmgate-Proxy-Token: " + token + "\r\nAuthorization: Bearer of-the-client\r\n", "a bearer token": "authorization: bearer " + token + "\r\n",
		"a key id": "Authorization: AWS4-HMAC-SHA256 Credential=" + token + "/20260101/eu-central-1/s3/aws4_request, SignedHeaders=host, Signature=0\r\n",
	} {
		res, text := ask(headers)
		if head, _ := a.last(); res.StatusCode != 200 || strings.Contains(strings.ToLower(head), strings.ToLower(token)) || strings.Contains(head, "of-the-client") {
			t.Errorf("%s: %s %s, sent:\n%s", what, res.Status, text, head)
		}
	}
	if strings.Contains(s.log.String(), token) {
		t.Error("the log has the token")
	}
}

// The listeners that would be open to others are refused at the start, as is all else that is wrong.
func TestProxyRefusesToStart(t *testing.T) {
	t.Parallel()
	d := start(t, connected)
	d.bearerTo("a", "https://203.0.113.7/", "hunter2-a")
	d.command("connection", "create", "-r", "demo", "files", "--type", "HADOOP", "--uri", "hdfs://203.0.113.7/", "--auth", "IMPLICIT", "--warehouse", "w")
	open := filepath.Join(d.dir, "open")
	if err := os.WriteFile(open, []byte(strings.Repeat("x", 20)), 0o644); err != nil {
		t.Fatal(err)
	}
	short := filepath.Join(d.dir, "short")
	if err := os.WriteFile(short, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	busy := freeAddress(t)
	l, err := net.Listen("tcp", busy)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, tt := range []struct {
		want string
		args []string
	}{
		{"other machines can reach it", []string{"--connection", "a=0.0.0.0:0"}},
		{"other machines can reach it", []string{"--connection", "a=:0"}},
		{"other machines can reach it", []string{"--connection", "a=example.com:80"}},
		{"neither the path of a socket", []string{"--connection", "a=8080"}},
		{"others can read", []string{"--connection", "a=127.0.0.1:0", "--listen-token-file", open}},
		{"less than 16 characters", []string{"--connection", "a=127.0.0.1:0", "--listen-token-file", short}},
		{"no such file", []string{"--connection", "a=127.0.0.1:0", "--listen-token-file", "nothing"}},
		{"address already in use", []string{"--connection", "a=" + busy}},
		{"another process listens", []string{"--connection", "a", "--connection", "a"}},
		{"no such connection", []string{"--connection", "b"}},
		{"neither an http nor an https", []string{"--connection", "files"}},
		{"203.0.113.7 lies in 203.0.113.0/24", []string{"--connection", "a", "--deny-addresses", "203.0.113.0/24"}},
		{"neither an address nor a prefix", []string{"--connection", "a", "--deny-addresses", "x"}},
		{"a number of bytes", []string{"--connection", "a", "--max-body", "much"}},
		{"has no certificate", []string{"--connection", "a", "--ca-file", short}},
		{"missing flags: --connection", nil},
		{"is it running?", []string{"--connection", "a", "--socket", "nothing.sock"}},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		if out, err := d.fails(ctx, append([]string{"proxy", "-r", "demo", "--dir", "p"}, tt.args...)...); err == nil || !strings.Contains(out, tt.want) {
			t.Errorf("%v: %v\n%s", tt.args, err, out)
		}
		cancel()
	}
}

func TestProxyHealth(t *testing.T) {
	t.Parallel()
	d := start(t, connected)
	d.bearerTo("healthz", "https://203.0.113.7/", "hunter2-a")
	at := freeAddress(t)
	d.proxy(t, 1, "--connection", "healthz", "--health", at)
	get := func(path string) (int, string) {
		t.Helper()
		res, err := http.Get("http://" + at + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(text)
	}
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/": 404} {
		if status, text := get(path); status != want {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	_ = d.stop()
	if status, text := get("/readyz"); status != 503 || !strings.Contains(text, "signature_unavailable") {
		t.Errorf("without a daemon: %d %s", status, text)
	}
	if status, text := get("/healthz"); status != 200 {
		t.Errorf("without a daemon: %d %s", status, text)
	}
}

// A body that the signature covers is kept to a bound, first in memory and then in a file without a name; beyond the bound
// nothing goes out.
func TestProxySpools(t *testing.T) {
	t.Parallel()
	d, _ := startWithEcho(t)
	var kept atomic.Value // names of what is in the temporary folder while the request is under way
	var tmp string
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var names []string
		entries, _ := os.ReadDir(tmp)
		for _, e := range entries {
			names = append(names, e.Name())
		}
		kept.Store(names)
		sum := sha256.New()
		n, _ := io.Copy(sum, r.Body)
		fmt.Fprintf(w, "%d %s %s %d", n, hex.EncodeToString(sum.Sum(nil)), r.Header.Get("X-Echo-Payload"), r.ContentLength)
	}))
	t.Cleanup(up.Close)
	d.roleTo("aws", up.URL, "execute-api")
	d.roleTo("plain-s3", up.URL, "s3") // over http the body is signed
	s := d.proxy(t, 2, "--connection", "aws", "--connection", "plain-s3", "--max-body", "3MiB")
	tmp = s.tmp
	put := func(name, body string, header ...string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://x/", io.NopCloser(strings.NewReader(body)))
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = int64(len(body))
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		if r.Header.Get("X-Length") == "no" {
			r.ContentLength = -1
		}
		res, err := s.client(name).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(text)
	}
	for _, name := range []string{"aws", "plain-s3"} {
		for _, size := range []int{0, 1, 1<<20 - 1, 1 << 20, 1<<20 + 1, 3 << 20} {
			for _, length := range []string{"yes", "no"} {
				body := strings.Repeat("x", size)
				sum := sha256.Sum256([]byte(body))
				want := fmt.Sprintf("%d %x %x %d", size, sum, sum, size)
				if status, text := put(name, body, "X-Length", length, "X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"); status != 200 || text != want {
					t.Errorf("%s, %d bytes, length %s: %d %s, want %s", name, size, length, status, text, want)
				}
				if names := kept.Load().([]string); len(names) > 0 {
					t.Errorf("%d bytes: there are %v", size, names)
				}
			}
		}
	}
	kept.Store([]string{"untouched"})
	for _, length := range []string{"yes", "no"} {
		if status, text := put("aws", strings.Repeat("x", 3<<20+1), "X-Length", length); status != 413 || !strings.Contains(text, "--max-body") {
			t.Errorf("too long, length %s: %d %s", length, status, text)
		}
	}
	for what, word := range map[string]string{"signed chunks": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "a trailer": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"} {
		if status, text := put("plain-s3", "x", "X-Amz-Content-Sha256", word); status != 501 {
			t.Errorf("%s: %d %s", what, status, text)
		}
	}
	if status, text := put("aws", "x", "X-Amz-Content-Sha256", "nonsense"); status != 400 {
		t.Errorf("nonsense as a hash: %d %s", status, text)
	}
	c := s.dial("aws")
	say(c, "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf")
	_ = c.(*net.UnixConn).CloseWrite()
	if res, text := readAnswer(t, c, nil); res.StatusCode != 400 || res.Header.Get("Realmgate-Proxy-Error") != "body_incomplete" {
		t.Errorf("half a body: %s %s", res.Status, text)
	}
	if names := kept.Load().([]string); len(names) != 1 || names[0] != "untouched" {
		t.Error("what was refused went out")
	}
	// A client that says the hash itself is believed: the remote system compares. So nothing is kept, whatever the length.
	body := strings.Repeat("x", 8<<20)
	sum := sha256.Sum256([]byte(body))
	want := fmt.Sprintf("%d %x %x %d", len(body), sum, sum, len(body))
	if status, text := put("aws", body, "X-Amz-Content-Sha256", hex.EncodeToString(sum[:])); status != 200 || text != want {
		t.Errorf("with a hash: %d %s", status, text)
	}
	if left, err := os.ReadDir(s.tmp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// S3 over https takes bodies that are not signed: they are streamed, unless the operator wants them signed.
func TestProxyUnsignedPayload(t *testing.T) {
	t.Parallel()
	d, _ := startWithEcho(t)
	started := make(chan string, 1)
	up := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		started <- r.Header.Get("X-Echo-Payload")
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	t.Cleanup(up.Close)
	ca := filepath.Join(d.dir, "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: up.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	d.roleTo("lake", up.URL, "s3")
	s := d.proxy(t, 1, "--connection", "lake", "--ca-file", ca, "--max-body", "10")
	begin := func(s *signing, header string) net.Conn {
		c := s.dial("lake")
		say(c, "PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n"+header+"\r\n"+strings.Repeat("x", 100000))
		return c
	}
	for header, want := range map[string]string{
		"": "UNSIGNED-PAYLOAD", "X-Amz-Content-Sha256: UNSIGNED-PAYLOAD\r\n": "UNSIGNED-PAYLOAD", "X-Amz-Content-Sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\n": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
	} {
		c := begin(s, header)
		select {
		case word := <-started:
			if word != want {
				t.Errorf("%q: %s", header, word)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%q: nothing arrives before the end is sent", header)
		}
		say(c, strings.Repeat("x", 100000))
		if res, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || res.StatusCode != 200 {
			t.Errorf("%v %v", res, err)
		}
	}
	signed := d.beginProxy(t, "--connection", "lake", "--ca-file", ca, "--max-body", "10", "--sign-payload", "--dir", "q")
	signed.dir = filepath.Join(d.dir, "q")
	await(t, func() bool { return strings.Contains(signed.log.String(), ": listening") })
	c := begin(signed, "")
	if res, text := readAnswer(t, c, nil); res.StatusCode != 413 {
		t.Errorf("signed: %s %s", res.Status, text)
	}
}
