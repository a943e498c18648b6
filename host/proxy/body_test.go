package proxy

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/realmgate/realmgate/host/admin"
	"github.com/realmgate/realmgate/host/connection"
)

func signs(q admin.SignQuery) (connection.Signed, error) {
	return connection.Signed{URI: q.URI, Headers: q.Headers}, nil
}

// raw is a connection to a proxy, on which a test sends what it likes.
type raw struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

func dial(t *testing.T, at string) *raw {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(at, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute)) // of a test that fails
	return &raw{c, t, bufio.NewReader(c)}
}

func (c *raw) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

func (c *raw) answer() (int, string) {
	c.t.Helper()
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// over waits for the end of the connection.
func (c *raw) over() {
	c.t.Helper()
	if n, err := c.r.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "reset") {
		c.t.Errorf("the connection goes on: %d bytes, %v", n, err)
	}
}

// A body that stops arriving is not waited for without end, whether it is kept or streamed.
func TestBodyThatStops(t *testing.T) {
	t.Parallel()
	up := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	t.Cleanup(up.Close)
	for _, auth := range []string{connection.AuthSigV4, connection.AuthBearer} {
		for _, form := range []string{"Content-Length: 10\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "Content-Length: 10\r\n\r\n"} {
			at := serveAs(t, Config{Daemon: &lying{uri: up.URL, auth: auth, sign: signs}, BodyTimeout: 100 * time.Millisecond}, "")
			c := dial(t, at)
			c.send("PUT /x HTTP/1.1\r\nHost: x\r\n" + form)
			if status, text := c.answer(); status != http.StatusRequestTimeout || !strings.Contains(text, codeBodyTimeout) {
				t.Errorf("%s %q: %d %s", auth, form, status, text)
			}
			c.over()
		}
	}
	at := serveAs(t, Config{Daemon: &lying{uri: up.URL, sign: signs}, BodyTimeout: 100 * time.Millisecond}, "token")
	c := dial(t, at)
	c.send("PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
	if status, text := c.answer(); status != http.StatusUnauthorized {
		t.Errorf("without the token: %d %s", status, text)
	}
	c.over()
}

// The limit is one for each part of a body, and none for the answer.
func TestSlowBodyAndSlowAnswer(t *testing.T) {
	t.Parallel()
	const limit = time.Second
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method == http.MethodPost {
			time.Sleep(limit + limit/4) // a remote system that thinks
		}
		_, _ = w.Write(body)
	}))
	t.Cleanup(up.Close)
	for _, auth := range []string{connection.AuthSigV4, connection.AuthBearer} {
		t.Run(auth, func(t *testing.T) {
			t.Parallel()
			c := dial(t, serveAs(t, Config{Daemon: &lying{uri: up.URL, auth: auth, sign: signs}, BodyTimeout: limit}, ""))
			c.send("PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n")
			for _, part := range []string{"ab", "cd", "ef"} {
				time.Sleep(limit / 2) // the pace of the client
				c.send(part)
			}
			if status, text := c.answer(); status != http.StatusOK || text != "abcdef" {
				t.Errorf("a slow body: %d %s", status, text)
			}
			c.send("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx")
			if status, text := c.answer(); status != http.StatusOK || text != "x" {
				t.Errorf("a slow answer: %d %s", status, text)
			}
		})
	}
}

// What is kept of a body is all of it, up to the bound, and nothing of one beyond it.
func TestSpool(t *testing.T) {
	t.Parallel()
	t.Run("kept", func(t *testing.T) {
		t.Parallel()
		for _, size := range []int{0, 1, spoolMemory - 1, spoolMemory, spoolMemory + 1, 3 * spoolMemory} {
			body := bytes.Repeat([]byte("ab"), size)[:size]
			for what, length := range map[string]int64{"a length": int64(size), "no length": -1} {
				s, f := spool(bytes.NewReader(body), length, 3*spoolMemory)
				if f != nil {
					t.Errorf("%d bytes, %s: %v", size, what, f)
					continue
				}
				got, err := io.ReadAll(s.reader())
				if sum := sha256.Sum256(body); err != nil || !bytes.Equal(got, body) || s.size != int64(size) || s.hash != hex.EncodeToString(sum[:]) || (s.file != nil) != (size >= spoolMemory) {
					t.Errorf("%d bytes, %s: %d, %v", size, what, len(got), err)
				}
				s.close()
			}
		}
	})
	for name, tt := range map[string]struct {
		body   io.Reader
		length int64
		status int
		code   string
	}{
		"too long":          {strings.NewReader("abcde"), -1, 413, codeTooLarge},
		"too long, as said": {iotest.ErrReader(errors.New("it was read")), 5, 413, codeTooLarge},
		"breaks off":        {io.MultiReader(strings.NewReader("ab"), iotest.ErrReader(io.ErrUnexpectedEOF)), 3, 400, codeBody},
	} {
		if _, f := spool(tt.body, tt.length, 4); f == nil || f.status != tt.status || f.code != tt.code {
			t.Errorf("%s: %v", name, f)
		}
	}
}
