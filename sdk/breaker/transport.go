package breaker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Transport sends requests, but none to a server that fails again and again: those end at once, with ErrOpen. A server fails if it
// cannot be reached, does not answer, with the whole body, in time, or answers that it, or what is behind it, is not there (502,
// 503, 504). A body has to be read to its end or closed. It is safe for concurrent use. [Outbound.Transport] makes it.
type Transport struct {
	outbound *Outbound
	part     string
	base     http.RoundTripper
	fault    func(error) bool
}

// RoundTrip sends a request, see [http.RoundTripper].
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	authority := authorityOf(r.URL)
	s := t.outbound.of(t.part, authority)
	if s == nil {
		return t.base.RoundTrip(r)
	}
	pass, err := s.Enter()
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // as a RoundTripper has to
		}
		return nil, fmt.Errorf("%s: %w (it %s)", authority, ErrOpen, t.outbound.why(s))
	}
	x := &exchange{transport: t, server: s, pass: pass, ctx: r.Context(), start: time.Now()}
	defer func() { x.end(Neither) }() // of one that panics
	answer, err := t.base.RoundTrip(r)
	switch {
	case err != nil:
		x.fail(err)
	case absent(answer.StatusCode):
		t.outbound.failed(s, fmt.Sprintf("answers %d", answer.StatusCode))
		x.end(Bad)
	case answer.StatusCode == http.StatusSwitchingProtocols || answer.Body == nil:
		x.end(Good)
	default:
		answer.Body = newBody(answer.Body, x)
		x = nil // it goes on
	}
	return answer, err
}

// absent says whether a status is that of somebody who answers in a server's place, or of a server that takes no requests.
func absent(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}

// authorityOf gives scheme, host and port (RFC 3986 section 3.2), the port also where the URL leaves it to the scheme.
func authorityOf(u *url.URL) string {
	scheme, port := strings.ToLower(u.Scheme), u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[scheme]
	}
	return scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// exchange is a request and its answer.
type exchange struct {
	transport *Transport
	server    *server
	pass      Pass
	ctx       context.Context
	start     time.Time
	once      sync.Once
}

// end says what came of it; what is said first counts. A nil exchange has been handed on.
func (x *exchange) end(r Result) {
	if x != nil {
		x.once.Do(func() { x.pass.Leave(r) })
	}
}

// fail says that it ended with an error.
func (x *exchange) fail(err error) {
	deadline, bounded := x.ctx.Deadline()
	late := bounded && !time.Now().Before(deadline) // also where a client's time-out came before its context's
	hurried := late && time.Since(x.start) < x.transport.outbound.fair
	if errors.Is(x.ctx.Err(), context.Canceled) || hurried || !x.transport.fault(err) {
		x.end(Neither)
		return
	}
	if late {
		err = context.DeadlineExceeded
	}
	x.transport.outbound.failed(x.server, reason(err))
	x.end(Bad)
}

// reason says in words of our own what is wrong with a server: errors repeat what it sent.
func reason(err error) string {
	var dns *net.DNSError
	var timeout interface{ Timeout() bool }
	var op *net.OpError
	switch {
	case errors.As(err, &dns):
		return "has a name that cannot be resolved"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "does not answer in time"
	case errors.As(err, &op) && op.Op == "dial":
		return "cannot be reached"
	}
	return "does not answer as it should"
}

// body is that of an answer.
type body struct {
	io.ReadCloser
	exchange *exchange
	stop     func() bool
}

// newBody ends the exchange with its context at the latest: nobody else may try while one does.
func newBody(of io.ReadCloser, x *exchange) *body {
	return &body{ReadCloser: of, exchange: x, stop: context.AfterFunc(x.ctx, func() { x.fail(x.ctx.Err()) })}
}

// Read reads. An answer that ends in the midst is none.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		b.exchange.end(Good)
	case err != nil:
		b.exchange.fail(err)
	}
	return n, err
}

// Close ends the answer, of which enough was read.
func (b *body) Close() error {
	b.stop()
	b.exchange.end(Good)
	return b.ReadCloser.Close()
}

// CloseIdleConnections ends those of the transport behind, if it has any, see [http.Client.CloseIdleConnections].
func (t *Transport) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
