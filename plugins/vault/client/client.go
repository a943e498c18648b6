package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/openbao/openbao/api/v2"

	"github.com/realmgate/realmgate/sdk/breaker"
	"github.com/realmgate/realmgate/sdk/egress"
)

const (
	// maxAnswer bounds what is read of an answer; a server keeps no entry above 1 MiB.
	maxAnswer = 2 << 20
	// firstPause is before the second round; each further one is twice as long, up to longestPause, give or take a half.
	firstPause   = 100 * time.Millisecond
	longestPause = 2 * time.Second
)

// MaxToken bounds a token in bytes; batch tokens with many policies and much metadata are the longest.
const MaxToken = 8 << 10

// Client asks one cluster. It is safe for concurrent use.
type Client struct {
	nodes     []node
	first     atomic.Int64 // the node that answered last
	timeout   time.Duration
	retries   int
	transport *transports
}

type node struct {
	api  *api.Client
	url  *url.URL
	last *atomic.Pointer[Failure] // to answer a question
}

// Request is one question.
type Request struct {
	Method string
	Path   string // without /v1/
	Token  string
	Query  url.Values
	Body   any  // in JSON; nil: none
	Once   bool // it has an effect each time: it is repeated only where it was not taken up before
}

// Do asks, and asks again where that may help, within the time-out. The answer is nil if it is empty. An error is a
// [*Failure].
func (c *Client) Do(ctx context.Context, r Request) (*api.Secret, error) {
	caller := ctx
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	at := int(c.first.Load())
	redirects, asked := 0, false
	for try := 0; ; try++ {
		out, f := c.ask(ctx, c.nodes[at], r, max(1, len(c.nodes)-try))
		if f == nil {
			c.first.Store(int64(at))
			return out, nil
		}
		asked = asked || !f.alone
		if to := c.index(f.redirect); to >= 0 {
			if redirects < len(c.nodes)-1 {
				at, redirects = to, redirects+1
				try--
				continue
			}
			f, redirects = circle(f), 0
		}
		if !f.unavailable() {
			c.first.Store(int64(at))
			return nil, f
		}
		next := (at + 1) % len(c.nodes)
		if !errors.Is(caller.Err(), context.Canceled) { // who leaves says nothing of the node
			c.first.CompareAndSwap(int64(at), int64(next))
		}
		if r.Once && !f.refused || try >= max(c.retries, len(c.nodes)-1) || ctx.Err() != nil {
			return nil, f
		}
		at = next
		if round := (try + 1) / len(c.nodes); (try+1)%len(c.nodes) == 0 && (!asked || !pause(ctx, round, f.after)) {
			return nil, f // at once where all are left alone
		}
	}
}

// pause waits before a round; false if the time does not suffice.
func pause(ctx context.Context, round int, atLeast time.Duration) bool {
	d := min(firstPause<<min(round-1, 8), longestPause)
	d = max(d/2+rand.N(d), atLeast) //nolint:gosec // no secret: it spreads repetitions
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// ask asks one node, of several that may have to share the time.
func (c *Client) ask(ctx context.Context, n node, r Request, share int) (*api.Secret, *Failure) {
	if deadline, ok := ctx.Deadline(); ok && share > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(share))
		defer cancel()
	}
	q := n.api.NewRequest(r.Method, "/v1/"+r.Path)
	q.ClientToken = r.Token
	for k, v := range r.Query {
		q.Params[k] = v
	}
	if err := q.SetJSONBody(r.Body); err != nil {
		return nil, &Failure{text: "the question cannot be written as JSON"}
	}
	var connected atomic.Bool // whatever fails before, e.g. the TLS handshake, nothing of the question was sent
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
	answer, err := n.api.RawRequestWithContext(ctx, q)
	if errors.Is(err, breaker.ErrOpen) {
		return nil, leftAlone(n.last.Load())
	}
	if answer != nil {
		defer answer.Body.Close() //nolint:errcheck // it was only read
	}
	if err != nil {
		f := failureOf(err, answer, connected.Load())
		if f.unavailable() {
			n.last.Store(f)
		}
		return nil, f
	}
	if answer.StatusCode >= http.StatusMultipleChoices {
		f := &Failure{Status: answer.StatusCode, text: "redirects to a host that is not among the addresses"}
		f.redirect, _ = answer.Location() // against the question's own, where it is relative
		return nil, f
	}
	if answer.StatusCode == http.StatusNoContent {
		return nil, nil
	}
	out, err := api.ParseSecret(answer.Body)
	switch {
	case errors.Is(err, egress.ErrTooLong):
		return nil, &Failure{Status: answer.StatusCode, text: fmt.Sprintf("gives an answer of more than %d bytes", maxAnswer)}
	case err != nil && ctx.Err() != nil: // in the midst of it
		return nil, failureOf(ctx.Err(), nil, true)
	case err != nil || out == nil || out.RequestID == "": // e.g. a page that asks for a login, or an empty one
		return nil, &Failure{Status: answer.StatusCode, alien: true}
	}
	return out, nil
}

// index finds the node of a redirect; -1 if it is none of ours.
func (c *Client) index(to *url.URL) int {
	if to == nil {
		return -1
	}
	for i, n := range c.nodes {
		if n.url.Scheme == to.Scheme && n.url.Host == to.Host {
			return i
		}
	}
	return -1
}

// Address gives the first address of the settings.
func (c *Client) Address() string { return c.nodes[0].url.String() }

// Certificate tells the client's own certificate for TLS, as it is now, from another one; "" without one. The next question is
// asked with it.
func (c *Client) Certificate() string {
	if c.transport.own == nil {
		return ""
	}
	_, fingerprint := c.transport.own.current()
	return fingerprint
}

// Close ends idle connections.
func (c *Client) Close() { c.transport.close() }

// never: the client itself repeats, and knows when.
func never(_ context.Context, _ *http.Response, err error) (bool, error) { return false, err }

// retryAfter reads the header of that name in seconds (RFC 9110 section 10.2.3).
func retryAfter(h http.Header) time.Duration {
	n, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || n < 0 || n > 3600 {
		return 0
	}
	return time.Duration(n) * time.Second
}
