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
)

// Transport sends requests, but none to a server that fails again and again: those end at once, with ErrOpen. A server fails if it
// cannot be reached, does not answer, with the whole body, in time, or answers that it, or what is behind it, is not there (502,
// 503, 504). A body has to be read to its end or closed. It is safe for concurrent use. [Outbound.Transport] makes it.
type Transport struct {
	outbound *Outbound
	part     string
	base     http.RoundTripper
	fault    func(error) bool
	name     func(*url.URL) string // of the server
}

// RoundTrip sends a request, see [http.RoundTripper].
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	x, err := t.outbound.begin(r.Context(), t.part, t.name(r.URL), t.fault)
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // as a RoundTripper has to
		}
		return nil, err
	}
	defer func() { x.end(Neither) }() // of one that panics
	answer, err := t.base.RoundTrip(r)
	switch {
	case err != nil:
		x.fail(err)
	case absent(answer.StatusCode):
		x.bad(fmt.Sprintf("answers %d", answer.StatusCode))
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
