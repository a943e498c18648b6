package breaker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// MaxHosts is how many hosts a transport keeps breakers of.
const MaxHosts = 1000

// fair is the least time in which a host can be expected to answer: that one which had less did not says nothing.
const fair = 100 * time.Millisecond

// Transport sends requests, but none to a host and port that fails again and again: those end at once, with ErrOpen. A host
// fails if it cannot be reached, does not answer in time, or answers that it, or what is behind it, is not there (502, 503,
// 504). Each host and port has a breaker of its own. It is safe for concurrent use.
type Transport struct {
	base   http.RoundTripper
	config Config
	fault  func(error) bool

	mu    sync.Mutex
	hosts map[string]*Breaker
}

// NewTransport puts breakers before a transport. fault says whether an error of it is the host's fault; nil: each is.
func NewTransport(base http.RoundTripper, c Config, fault func(error) bool) *Transport {
	if fault == nil {
		fault = func(error) bool { return true }
	}
	return &Transport{base: base, config: c, fault: fault, hosts: map[string]*Breaker{}}
}

// RoundTrip sends a request, see [http.RoundTripper].
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	host := hostOf(r)
	b := t.of(host)
	if b == nil {
		return t.base.RoundTrip(r)
	}
	pass, err := b.Enter()
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // as a RoundTripper has to
		}
		return nil, fmt.Errorf("%s: %w", host, err)
	}
	result := Neither // of one that panics
	defer func() { pass.Leave(result) }()
	start := time.Now()
	answer, err := t.base.RoundTrip(r)
	switch {
	case err == nil && !absent(answer.StatusCode):
		result = Good
	case err == nil:
		result = Bad
	case errors.Is(r.Context().Err(), context.Canceled), r.Context().Err() != nil && time.Since(start) < fair:
	case t.fault(err):
		result = Bad
	}
	return answer, err
}

// absent says whether a status is that of somebody who answers in a host's place, or of a host that takes no requests.
func absent(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}

// hostOf gives host and port.
func hostOf(r *http.Request) string {
	port := r.URL.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[strings.ToLower(r.URL.Scheme)]
	}
	return net.JoinHostPort(strings.ToLower(r.URL.Hostname()), port)
}

// of gives the breaker of a host; nil if there are too many hosts that fail.
func (t *Transport) of(host string) *Breaker {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.hosts[host]
	if b != nil {
		return b
	}
	if len(t.hosts) >= MaxHosts {
		for name, other := range t.hosts {
			if other.quiet.Load() {
				delete(t.hosts, name)
			}
		}
		if len(t.hosts) >= MaxHosts {
			return nil
		}
	}
	b = New(t.config)
	t.hosts[host] = b
	return b
}

// CloseIdleConnections ends those of the transport behind, if it has any, see [http.Client.CloseIdleConnections].
func (t *Transport) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
