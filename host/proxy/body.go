package proxy

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// counted is the body that a client sends: it is counted, waited for up to a limit at a time, and what breaks it off is noted.
type counted struct {
	io.ReadCloser
	conn   *http.ResponseController
	limit  time.Duration
	n      atomic.Int64
	broken atomic.Pointer[fault]

	mu    sync.Mutex
	ended bool // no deadline is set any more: nothing more is to come, or the connection goes on to the next request
}

// Read reads on.
func (c *counted) Read(b []byte) (int, error) {
	c.await(time.Now().Add(c.limit), false)
	n, err := c.ReadCloser.Read(b)
	c.n.Add(int64(n))
	switch {
	case errors.Is(err, io.EOF):
		c.await(time.Time{}, true) // or the server would take the wait for the answer for the end of the client
	case err != nil && !errors.Is(err, http.ErrBodyReadAfterClose):
		c.broken.Store(bodyFault(err))
	}
	return n, err
}

// await gives the client until then for what comes next of the body.
func (c *counted) await(until time.Time, last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		_ = c.conn.SetReadDeadline(until)
	}
	c.ended = c.ended || last
}

// leave is called when the request is over. The server reads on a little of what is left of a body.
func (c *counted) leave() { c.await(time.Now().Add(c.limit), true) }

// bodyFault says how a body broke off.
func bodyFault(err error) *fault {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &fault{http.StatusRequestTimeout, codeBodyTimeout, "nothing more of the body arrived for too long (--body-timeout)", err}
	}
	return &fault{http.StatusBadRequest, codeBody, "the body ends before its end", err}
}
