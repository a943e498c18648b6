package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What stands in the request line goes out byte by byte; the client's own signature, its token and what belongs to its
// connection do not, all else does.
func TestProxyKeepsTheWire(t *testing.T) {
	t.Parallel()
	d := start(t, connected)
	up := listenWire(t, answerFine)
	d.bearerTo("c", up.url+"/base", "hunter2-c")
	s := d.proxy(t, 1, "--connection", "c")
	for _, target := range []string{
		"/", "/a:b", "/a%3Ab", "/a%2Fb", "/a%2fb", "//a", "//a//b/", "/a/../b", "/a/./b", "/a/", "/a+b", "/a%20b", "/a%2Bb", "/%E1%88%B4",
		"/a@b=c&d,e;f", "/~%7E", "/(a)!*'", "/%41", "/a%00", "/?", "/?a", "/?a=b+c&a=%20&;", "/a?x=%2F&y=:&z=//", "/a?b?c", "/[a]", "/a|b^c", `/a"b`,
	} {
		res, text := s.raw("c", "GET "+target+" HTTP/1.1\r\nHost: anything\r\n\r\n")
		head, _ := up.last()
		if res.StatusCode != 200 || text != "fine" || !strings.HasPrefix(head, "GET "+target+" HTTP/1.1\r\n") {
			t.Errorf("%s: %s %s, sent:\n%s", target, res.Status, text, head)
		}
		if !headHas(head, "Authorization: Bearer hunter2-c") || !headHas(head, "Host: "+strings.TrimPrefix(up.url, "http://")) || strings.Contains(head, "anything") {
			t.Errorf("%s: sent:\n%s", target, head)
		}
	}
	s.raw("c", "POST /x HTTP/1.1\r\nHost: h\r\nAuthorization: AWS4-HMAC-SHA256 Credential=AKIDOWN/x, Signature=s\r\nX-Amz-Date: 20260101T000000Z\r\nX-Amz-Security-Token: own\r\n"+
		"X-Amz-Content-Sha256: "+strings.Repeat("0", 64)+"\r\nRealmgate-Proxy-Token: own\r\nConnection: X-Hop, keep-alive\r\nX-Hop: own\r\nKeep-Alive: own\r\nProxy-Authorization: own\r\nUpgrade: h2c\r\n"+
		"X-Two: 1\r\nX-Two: 2\r\nX-Amz-Meta-A: b  c\r\nContent-Type: text/plain\r\nCookie: a=b\r\nContent-Length: 4\r\n\r\nbody")
	head, _ := up.last()
	for _, gone := range []string{"AKIDOWN", "20260101", "own", strings.Repeat("0", 64), "X-Hop", "Upgrade", "User-Agent", "Accept-Encoding", "X-Forwarded"} {
		if strings.Contains(head, gone) {
			t.Errorf("%s goes out:\n%s", gone, head)
		}
	}
	for _, kept := range []string{"X-Two: 1", "X-Two: 2", "X-Amz-Meta-A: b  c", "Content-Type: text/plain", "Cookie: a=b", "Content-Length: 4"} {
		if !headHas(head, kept) {
			t.Errorf("%s does not go out:\n%s", kept, head)
		}
	}
	_, before := up.last()
	for what, text := range map[string]string{
		"a proxy's request": "GET http://elsewhere/ HTTP/1.1\r\nHost: elsewhere\r\n\r\n", "an asterisk": "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
		"a header that is not UTF-8": "GET / HTTP/1.1\r\nHost: h\r\nX-A: \xe4\r\n\r\n", "a path that is not UTF-8": "GET /\xe4 HTTP/1.1\r\nHost: h\r\n\r\n",
	} {
		if res, text := s.raw("c", text); res.StatusCode != 400 || res.Header.Get("Realmgate-Proxy-Error") != "request_invalid" {
			t.Errorf("%s: %s %s", what, res.Status, text)
		}
	}
	for what, text := range map[string]string{
		"a web socket": "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "a tunnel": "CONNECT elsewhere:443 HTTP/1.1\r\nHost: elsewhere:443\r\n\r\n",
	} {
		if res, text := s.raw("c", text); res.StatusCode != 501 {
			t.Errorf("%s: %s %s", what, res.Status, text)
		}
	}
	if _, n := up.last(); n != before {
		t.Errorf("%d of the refused requests went out", n-before)
	}
	s.raw("c", "GET /path?secret=hunter2-query HTTP/1.1\r\nHost: h\r\n\r\n")
	await(t, func() bool { return strings.Contains(s.log.String(), "path=/path ") })
	if strings.Contains(s.log.String(), "hunter2") || strings.Contains(d.log.String(), "hunter2") {
		t.Error("a log has a secret")
	}
	d.keepsNo("hunter2-c", "hunter2-query")
}

// Answers go back as they are: redirects, HEAD, early hints, trailers, and what has no length.
func TestProxyAnswers(t *testing.T) {
	t.Parallel()
	d := start(t, connected)
	up := listenWire(t, func(c net.Conn, head string, _ *bufio.Reader) {
		switch target := strings.Fields(head)[1]; target {
		case "/redirect":
			say(c, "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		case "/head":
			say(c, "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\nETag: \"x\"\r\nConnection: close\r\n\r\n")
		case "/hints":
			say(c, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"+fine)
		case "/trailer":
			say(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\nConnection: close\r\n\r\n4\r\nfine\r\n0\r\nX-Sum: 1\r\n\r\n")
		case "/gzip":
			say(c, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfine")
		case "/403":
			say(c, "HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfine")
		case "/broken":
			say(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nfine")
		}
	})
	d.bearerTo("c", up.url, "hunter2-c")
	s := d.proxy(t, 1, "--connection", "c")
	get := func(method, path string) (*http.Response, string) {
		c := s.dial("c")
		say(c, method+" "+path+" HTTP/1.1\r\nHost: h\r\nTE: trailers\r\n\r\n")
		return readAnswer(t, c, &http.Request{Method: method})
	}
	if res, _ := get("GET", "/redirect"); res.StatusCode != 307 || res.Header.Get("Location") != "http://127.0.0.1:1/x" {
		t.Errorf("a redirect: %v", res)
	}
	if res, _ := get("HEAD", "/head"); res.StatusCode != 200 || res.ContentLength != 12345 || res.Header.Get("ETag") != `"x"` {
		t.Errorf("HEAD: %v", res)
	}
	if res, text := get("GET", "/trailer"); text != "fine" || res.Trailer.Get("X-Sum") != "1" {
		t.Errorf("trailers: %v %s", res, text)
	}
	if res, text := get("GET", "/gzip"); text != "fine" || res.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("an encoding: %v %s", res, text)
	}
	if res, text := get("GET", "/403"); res.StatusCode != 403 || text != "fine" || res.Header.Get("Realmgate-Proxy-Error") != "" {
		t.Errorf("a refusal of the remote system: %v %s", res, text)
	}
	c := s.dial("c")
	say(c, "GET /hints HTTP/1.1\r\nHost: h\r\n\r\n")
	r := bufio.NewReader(c)
	if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != 103 || res.Header.Get("Link") != "</a>" {
		t.Errorf("early hints: %v %v", res, err)
	}
	if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != 200 {
		t.Errorf("behind the hints: %v %v", res, err)
	}
	c = s.dial("c")
	say(c, "GET /broken HTTP/1.1\r\nHost: h\r\n\r\n")
	if res, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
		t.Error(err)
	} else if _, err := io.ReadAll(res.Body); err == nil {
		t.Error("an answer that breaks off looks whole")
	}
}

// The first bytes arrive before the last ones are sent, in both directions, whether or not the length is known.
func TestProxyStreams(t *testing.T) {
	t.Parallel()
	d := start(t, connected)
	got, goOn := make(chan string), make(chan struct{})
	up := listenWire(t, func(c net.Conn, head string, body *bufio.Reader) {
		if strings.HasPrefix(head, "GET") {
			say(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nfirst")
			<-goOn
			say(c, "-last")
			return
		}
		plain := io.LimitReader(body, 6+1<<20)
		if headHas(head, "Transfer-Encoding: chunked") {
			plain = httputil.NewChunkedReader(body)
		}
		piece := make([]byte, 6)
		_, _ = io.ReadFull(plain, piece)
		got <- string(piece)
		n, _ := io.Copy(io.Discard, plain)
		say(c, strings.Replace(fine, "\r\n", fmt.Sprintf("\r\nX-Got: %d\r\n", n), 1))
	})
	d.bearerTo("c", up.url, "hunter2-c")
	s := d.proxy(t, 1, "--connection", "c")

	c := s.dial("c")
	say(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 5)
	if _, err := io.ReadFull(res.Body, first); err != nil || string(first) != "first" {
		t.Fatalf("%q %v", first, err)
	}
	close(goOn)
	if rest, err := io.ReadAll(res.Body); err != nil || string(rest) != "-last" {
		t.Errorf("%q %v", rest, err)
	}

	half := strings.Repeat("x", 512<<10)
	for what, text := range map[string][3]string{
		"with a length": {"Content-Length: 1048582", "first:" + half, half},
		"in chunks":     {"Transfer-Encoding: chunked", fmt.Sprintf("6\r\nfirst:\r\n%x\r\n%s\r\n", len(half), half), fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(half), half)},
	} {
		c := s.dial("c")
		say(c, "PUT / HTTP/1.1\r\nHost: h\r\n"+text[0]+"\r\n\r\n"+text[1])
		select {
		case piece := <-got:
			if piece != "first:" {
				t.Errorf("%s: %q", what, piece)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: nothing arrives before the end is sent", what)
		}
		say(c, text[2])
		if res, body := readAnswer(t, c, nil); res.StatusCode != 200 || body != "fine" || res.Header.Get("X-Got") != "1048576" {
			t.Errorf("%s: %v %s", what, res, body)
		}
	}
}

// An answer may begin while the body is still on its way: both go on.
func TestProxyIsDuplex(t *testing.T) {
	t.Parallel()
	d := start(t, connected)
	up := listenWire(t, func(c net.Conn, _ string, body *bufio.Reader) {
		plain := bufio.NewReader(httputil.NewChunkedReader(body))
		say(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
		for {
			line, err := plain.ReadString('\n')
			if err != nil {
				say(c, "0\r\n\r\n")
				return
			}
			say(c, fmt.Sprintf("%x\r\n%s\r\n", len(line), line))
		}
	})
	d.bearerTo("c", up.url, "hunter2-c")
	s := d.proxy(t, 1, "--connection", "c")
	c := s.dial("c")
	say(c, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	back := bufio.NewReader(res.Body)
	for _, line := range []string{"one\n", strings.Repeat("x", 100000) + "\n", "two\n"} {
		say(c, fmt.Sprintf("%x\r\n%s\r\n", len(line), line))
		if got, err := back.ReadString('\n'); err != nil || got != line {
			t.Fatalf("%.20q %v", got, err)
		}
	}
	say(c, "0\r\n\r\n")
	if rest, err := io.ReadAll(back); err != nil || len(rest) > 0 {
		t.Errorf("%q %v", rest, err)
	}
}

// Who waits for a 100 (Continue) gets it from the remote system, or its refusal without having sent the body.
func TestProxyExpectContinue(t *testing.T) {
	t.Parallel()
	d := start(t, connected)
	up := listenWire(t, func(c net.Conn, head string, body *bufio.Reader) {
		if strings.HasPrefix(head, "PUT /no ") {
			say(c, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			return
		}
		say(c, "HTTP/1.1 100 Continue\r\n\r\n")
		_, _ = io.CopyN(io.Discard, body, 4)
		say(c, fine)
	})
	d.bearerTo("c", up.url, "hunter2-c")
	s := d.proxy(t, 1, "--connection", "c")
	for path, want := range map[string][2]int{"/yes": {100, 200}, "/no": {403, 0}} {
		c := s.dial("c")
		say(c, "PUT "+path+" HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
		r := bufio.NewReader(c)
		res, err := http.ReadResponse(r, nil)
		if err != nil || res.StatusCode != want[0] {
			t.Fatalf("%s: %v %v", path, res, err)
		}
		if head, _ := up.last(); !headHas(head, "Expect: 100-continue") {
			t.Errorf("%s: sent:\n%s", path, head)
		}
		if want[1] != 0 {
			say(c, "body")
			if res, err = http.ReadResponse(r, nil); err != nil || res.StatusCode != want[1] {
				t.Errorf("%s: %v %v", path, res, err)
			}
		}
	}
	if res, _ := s.raw("c", "GET / HTTP/1.1\r\nHost: h\r\nExpect: miracles\r\n\r\n"); res.StatusCode != 417 {
		t.Errorf("another expectation: %s", res.Status)
	}
}

// A long body needs no memory, and no disk.
func TestProxyMemory(t *testing.T) {
	t.Parallel()
	const size = 256 << 20
	d := start(t, connected)
	var tmp string
	up := listenWire(t, func(c net.Conn, _ string, body *bufio.Reader) {
		n, _ := io.CopyN(io.Discard, body, size/2)
		left, _ := os.ReadDir(tmp)
		m, _ := io.CopyN(io.Discard, body, size/2)
		say(c, fmt.Sprintf("HTTP/1.1 200 OK\r\nX-Got: %d %d\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", n+m, len(left), size))
		_, _ = io.CopyN(c, zeros{}, size)
	})
	d.bearerTo("c", up.url, "hunter2-c")
	s := d.proxy(t, 1, "--connection", "c")
	tmp = s.tmp
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://c/", io.LimitReader(zeros{}, size))
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = size
	res, err := s.client("c").Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if n, err := io.Copy(io.Discard, res.Body); err != nil || n != size || res.Header.Get("X-Got") != fmt.Sprintf("%d 0", size) {
		t.Errorf("%d %v %s", n, err, res.Header.Get("X-Got"))
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if os.IsNotExist(err) {
		t.Skip("only Linux tells how much memory a process had")
	}
	var peak int
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	if _, err := fmt.Sscan(after, &peak); err != nil || peak > 128<<10 {
		t.Errorf("the proxy had %d KiB of memory at most (%v)", peak, err)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// The proxy tells from the remote system's faults what is a fault of its own, and says what.
func TestProxyFaults(t *testing.T) {
	t.Parallel()
	d := start(t, strings.Replace(connected, "use_roles", "deny_addresses = []\n  use_roles", 1))
	hang := make(chan struct{})
	up := listenWire(t, func(net.Conn, string, *bufio.Reader) { <-hang })
	tls := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(func() { close(hang); tls.Close() })
	d.bearerTo("slow", up.url, "hunter2-c")
	d.bearerTo("closed", "http://127.0.0.1:1/", "hunter2-c")
	d.bearerTo("untrusted", tls.URL, "hunter2-c")
	d.bearerTo("refused", "http://localhost:1/", "hunter2-c") // a name, which is looked at when it is dialled
	d.command("connection", "create", "-r", "demo", "open", "--uri", up.url, "--auth", "IMPLICIT")
	s := d.proxy(t, 4, "--header-timeout", "100ms", "--connection", "slow", "--connection", "closed", "--connection", "untrusted", "--connection", "open")
	for name, want := range map[string]struct {
		status int
		code   string
	}{"slow": {504, "remote_timeout"}, "closed": {502, "remote_unreachable"}, "untrusted": {502, "remote_unreachable"}, "open": {501, "unsupported"}} {
		res, text := s.raw(name, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		if res.StatusCode != want.status || res.Header.Get("Realmgate-Proxy-Error") != want.code || !strings.Contains(text, `"message":`) || strings.Contains(text, "hunter2") {
			t.Errorf("%s: %s %s", name, res.Status, text)
		}
	}
	loop := d.beginProxy(t, "--connection", "refused=q/refused.sock", "--deny-addresses", "127.0.0.0/8,::1", "--dir", "q")
	loop.dir = filepath.Join(d.dir, "q")
	await(t, func() bool { return strings.Contains(loop.log.String(), ": listening") })
	if res, text := loop.raw("refused", "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); res.StatusCode != 502 || res.Header.Get("Realmgate-Proxy-Error") != "address_refused" {
		t.Errorf("a refused address: %s %s", res.Status, text)
	}
	d.command("connection", "delete", "-r", "demo", "closed")
	if res, text := s.raw("closed", "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); res.StatusCode != 502 || res.Header.Get("Realmgate-Proxy-Error") != "signature_refused" {
		t.Errorf("a connection that is gone: %s %s", res.Status, text)
	}
	_ = d.stop()
	if res, text := s.raw("slow", "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); res.StatusCode != 503 || res.Header.Get("Realmgate-Proxy-Error") != "signature_unavailable" || res.Header.Get("Retry-After") == "" {
		t.Errorf("without a daemon: %s %s", res.Status, text)
	}
	if strings.Contains(s.log.String(), "hunter2") {
		t.Error("the log has a secret")
	}
}

// After SIGTERM what is under way ends well, nothing new is taken, and the socket is gone.
func TestProxyEndsWell(t *testing.T) {
	t.Parallel()
	d := start(t, connected)
	goOn := make(chan struct{})
	up := listenWire(t, func(c net.Conn, _ string, _ *bufio.Reader) {
		say(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nfirst")
		<-goOn
		say(c, "-last")
	})
	d.bearerTo("c", up.url, "hunter2-c")
	s := d.proxy(t, 1, "--connection", "c")
	c := s.dial("c")
	say(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	at := filepath.Join(s.dir, "c.sock")
	await(t, func() bool { _, err := os.Lstat(at); return os.IsNotExist(err) })
	close(goOn)
	if text, err := io.ReadAll(res.Body); err != nil || string(text) != "first-last" {
		t.Errorf("%q %v", text, err)
	}
	if <-s.done; s.err != nil {
		t.Error(s.err)
	}
}

// The same over HTTP, for a proxy on another machine: with the rights of a token, which is read anew each time.
func TestProxyOverHTTP(t *testing.T) {
	t.Parallel()
	d := start(t, connected)
	up := listenWire(t, answerFine)
	d.bearerTo("c", up.url, "hunter2-c")
	file := filepath.Join(d.dir, "caller")
	write := func(token string) {
		if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	service, root := d.user("demo", "worker", "service"), d.rootToken("demo")
	write(service)
	s := d.proxy(t, 1, "--url", d.url, "--token-file", file, "--connection", "c")
	if res, text := s.raw("c", "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); res.StatusCode != 200 {
		t.Errorf("%s %s", res.Status, text)
	}
	if head, _ := up.last(); !headHas(head, "Authorization: Bearer hunter2-c") {
		t.Errorf("sent:\n%s", head)
	}
	for token, text := range map[string]string{root: "does not let the proxy use", "nonsense": "does not take the proxy's own token"} {
		write(token)
		if res, said := s.raw("c", "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); res.StatusCode != 502 || !strings.Contains(said, text) || strings.Contains(said, token) {
			t.Errorf("%s %s", res.Status, said)
		}
	}
	write(service)
	out := d.command("connection", "list", "-r", "demo", "--url", d.url, "--token-file", file)
	if !strings.Contains(out, "c     GENERIC_HTTP") {
		t.Error(out)
	}
	if out := d.command("connection", "credentials", "-r", "demo", "c", "--url", d.url+"/", "--token-file", file, "--reveal"); !strings.Contains(out, "hunter2-c") {
		t.Error(out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if out, err := d.fails(ctx, "connection", "create", "-r", "demo", "x", "--uri", up.url, "--auth", "IMPLICIT", "--url", d.url, "--token-file", file); err == nil || !strings.Contains(out, "forbidden") {
		t.Errorf("who may only use creates: %v %s", err, out)
	}
	_, text := d.told("data/audit.log")
	if !strings.Contains(text, `"connection.sign"`) || !strings.Contains(text, `"worker"`) {
		t.Errorf("the audit log does not know who signed: %s", text)
	}
}
