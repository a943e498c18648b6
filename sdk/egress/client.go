package egress

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	dialTimeout      = 5 * time.Second
	keepAlive        = 30 * time.Second
	handshakeTimeout = 5 * time.Second
	idleTimeout      = 90 * time.Second
	defaultTimeout   = 10 * time.Second
	defaultMaxBody   = 4 << 20
	maxHeader        = 64 << 10
)

// ErrTooLong is the error of [ReadAll] and [Bound] for a body beyond its bound.
var ErrTooLong = errors.New("the answer is too long")

// Options are those of an HTTP client. The zero Options are fit for use.
type Options struct {
	Deny    List           // addresses that are not connected to; zero: those of [Default]. See [AllowAll]
	RootCAs *x509.CertPool // nil: the system's
	Timeout time.Duration  // of a whole exchange with its body; zero: 10 s
	MaxBody int64          // of an answer, in bytes, beyond which reading it is ErrTooLong; zero: 4 MiB
	// EnvironmentProxy sends requests through the proxy that HTTPS_PROXY and its like name. Such a proxy connects in our
	// place, and the addresses that names lead to are left to it: Deny sees the proxy's address only.
	EnvironmentProxy bool
}

// NewClient gives a client that connects to no refused address, follows no redirect (the answer is the redirect itself),
// speaks TLS 1.2 at least, ends every exchange within the time-out, and reads no body beyond the bound. It uses no proxy unless the
// options say so.
func NewClient(o Options) *http.Client {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.MaxBody <= 0 {
		o.MaxBody = defaultMaxBody
	}
	return &http.Client{
		Transport:     Bound(NewTransport(o), o.MaxBody),
		Timeout:       o.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// NewTransport gives the transport of [NewClient] for those who stream: Timeout and MaxBody are not kept, a connection is made
// within a few seconds. See [Bound].
func NewTransport(o Options) *http.Transport {
	t := &http.Transport{
		DialContext:            o.Deny.Dialer().DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs},
		TLSHandshakeTimeout:    handshakeTimeout,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConnsPerHost:    8,
		MaxResponseHeaderBytes: maxHeader,
		ForceAttemptHTTP2:      true,
	}
	if o.EnvironmentProxy {
		t.Proxy = http.ProxyFromEnvironment
	}
	return t
}

// ReadAll reads a body of at most limit bytes. A longer one is [ErrTooLong], and no part of it is given.
func ReadAll(body io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLong, limit)
	}
	return b, nil
}

// Bound gives a transport whose answers have bodies of at most limit bytes, for a client whose reading is not ours. Reading a
// longer one fails with [ErrTooLong].
func Bound(t http.RoundTripper, limit int64) http.RoundTripper { return bound{t, limit} }

type bound struct {
	http.RoundTripper
	limit int64
}

// RoundTrip bounds the answer.
func (b bound) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := b.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	answer.Body = &boundBody{ReadCloser: answer.Body, left: b.limit, limit: b.limit}
	return answer, nil
}

// CloseIdleConnections ends those of the transport behind, if it has any, see [http.Client.CloseIdleConnections].
func (b bound) CloseIdleConnections() {
	if c, ok := b.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

type boundBody struct {
	io.ReadCloser
	left, limit int64
}

func (b *boundBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("%w: more than %d bytes", ErrTooLong, b.limit)
	}
	return n, err
}
