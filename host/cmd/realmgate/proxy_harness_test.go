package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/realmgate/realmgate/internal/capture"
)

// signing is a running proxy in a process of its own.
type signing struct {
	t    *testing.T
	dir  string // of its sockets
	tmp  string // where it keeps bodies
	cmd  *exec.Cmd
	log  *capture.Buffer
	done chan struct{}
	err  error // how it ended
}

// proxy runs `realmgate proxy` beside a daemon, and waits until it listens. Sockets are named after their connection.
func (d *gate) proxy(t *testing.T, connections int, args ...string) *signing {
	t.Helper()
	s := d.beginProxy(t, args...)
	await(t, func() bool {
		select {
		case <-s.done:
			t.Fatalf("the proxy ended: %v\n%s", s.err, s.log)
		default:
		}
		return strings.Count(s.log.String(), ": listening") == connections
	})
	return s
}

func (d *gate) beginProxy(t *testing.T, args ...string) *signing {
	t.Helper()
	s := &signing{t: t, dir: filepath.Join(d.dir, "p"), tmp: t.TempDir(), log: &capture.Buffer{}, done: make(chan struct{})}
	s.cmd = exec.Command("realmgate", append([]string{"proxy", "-r", "demo", "--dir", "p"}, args...)...)
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = d.dir, s.log, s.log
	s.cmd.Env = append(os.Environ(), "TMPDIR="+s.tmp)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		s.err = s.cmd.Wait()
		close(s.done)
	}()
	t.Cleanup(func() {
		s.stop()
		if t.Failed() {
			t.Logf("log of the proxy:\n%s", s.log)
		}
	})
	return s
}

// stop sends SIGTERM and waits for the end.
func (s *signing) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(30 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.done
		s.t.Error("the proxy does not end after SIGTERM")
	}
}

// address gives where it listens for a connection, on TCP.
func (s *signing) address(name string) string {
	s.t.Helper()
	m := regexp.MustCompile(`listening: connection=` + name + ` at=(127\.0\.0\.1:\d+)`).FindStringSubmatch(s.log.String())
	if m == nil {
		s.t.Fatalf("%s is not listened for on TCP\n%s", name, s.log)
	}
	return m[1]
}

// dial connects to the socket of a connection.
func (s *signing) dial(name string) net.Conn {
	s.t.Helper()
	c, err := net.Dial("unix", filepath.Join(s.dir, name+".sock"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	return c
}

// client is an HTTP client on the socket of a connection.
func (s *signing) client(name string) *http.Client {
	return &http.Client{
		Transport: &http.Transport{DisableCompression: true, ExpectContinueTimeout: time.Minute, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(s.dir, name+".sock"))
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// raw sends the text of a request and gives the answer.
func (s *signing) raw(name, text string) (*http.Response, string) {
	s.t.Helper()
	c := s.dial(name)
	if _, err := io.WriteString(c, text); err != nil {
		s.t.Fatal(err)
	}
	return readAnswer(s.t, c, nil)
}

func readAnswer(t *testing.T, c net.Conn, r *http.Request) (*http.Response, string) {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(c), r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(text)
}

// wire is a server that keeps what came in, byte by byte.
type wire struct {
	url string

	mu    sync.Mutex
	heads []string // of requests, up to the empty line
}

// listenWire starts a wire. Each connection is for one request; serve answers it and may read its body.
func listenWire(t *testing.T, serve func(c net.Conn, head string, body *bufio.Reader)) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{url: "http://" + l.Addr().String()}
	var open sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); open.Wait() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(time.Minute))
				r := bufio.NewReader(c)
				var head strings.Builder
				for !strings.HasSuffix(head.String(), "\r\n\r\n") {
					line, err := r.ReadString('\n')
					if err != nil {
						return
					}
					head.WriteString(line)
				}
				w.mu.Lock()
				w.heads = append(w.heads, head.String())
				w.mu.Unlock()
				serve(c, head.String(), r)
			})
		}
	}()
	return w
}

// last gives the head of the last request, and how many there were.
func (w *wire) last() (head string, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.heads) == 0 {
		return "", 0
	}
	return w.heads[len(w.heads)-1], len(w.heads)
}

func say(c net.Conn, text string) { _, _ = io.WriteString(c, text) }

const fine = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfine"

func answerFine(c net.Conn, _ string, _ *bufio.Reader) { say(c, fine) }

// bearerTo makes a connection with a token to a server.
func (d *gate) bearerTo(name, uri, token string) {
	d.t.Helper()
	path := filepath.Join(d.t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(token), 0o600); err != nil {
		d.t.Fatal(err)
	}
	d.command("connection", "create", "-r", "demo", name, "--uri", uri, "--auth", "BEARER", "--secret", "@"+path)
}

// roleTo makes a connection whose requests are signed, by the vendor of the tests.
func (d *gate) roleTo(name, uri, service string) {
	d.t.Helper()
	d.command("connection", "create", "-r", "demo", name, "--uri", uri, "--sigv4-role-arn", "arn:aws:iam::123456789012:role/r", "--region", "eu-central-1", "--signing-name", service)
}

func headHas(head, line string) bool { return strings.Contains(head, fmt.Sprintf("\r\n%s\r\n", line)) }

// fails runs a command that is expected to fail.
func (d *gate) fails(ctx context.Context, args ...string) (string, error) {
	d.t.Helper()
	cmd := exec.CommandContext(ctx, "realmgate", args...)
	cmd.Dir = d.dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}
