package introspection

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/breaker"
	"github.com/realmgate/realmgate/sdk/egress"
)

const (
	maxAnswer = 256 << 10
	// patience is how many requests in a row may fail before the endpoint is left alone for a while: one token alone, for
	// which it fails, must not keep it from all others. This is beside the breaker of the server, which is that of other tenants
	// too: it is also for an endpoint that answers, but does not accept this client, or makes no sense.
	patience     = 3
	firstBackoff = 250 * time.Millisecond
	lastBackoff  = 5 * time.Second
)

// errThisToken is an answer about one token, not about the endpoint.
var errThisToken = errors.New("the endpoint does not take this token")

var errUnauthorized = errors.New("the endpoint does not accept the client's credentials")

// endpoint sends introspection requests to one place, bounded in size, time and rate.
type endpoint struct {
	client         *http.Client
	at, id, method string
	budget         *budget
	rest           *breaker.Breaker

	mu     sync.Mutex
	failed error // the last one
}

func newEndpoint(s Settings, roots *x509.CertPool, outbound *breaker.Outbound, now func() time.Time) *endpoint {
	return &endpoint{
		at: s.Endpoint, id: s.ClientID, method: s.AuthMethod,
		budget: newBudget(s.RequestsPerSecond),
		rest:   breaker.New(breaker.Config{Failures: patience, Rest: firstBackoff, MaxRest: lastBackoff, Now: now}),
		client: &http.Client{
			Timeout: s.Timeout.Std(),
			// A redirect would take the token and the client's secret to another place.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: outbound.Transport("introspection", &http.Transport{
				Proxy:                  http.ProxyFromEnvironment,
				TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
				MaxResponseHeaderBytes: 64 << 10,
				MaxConnsPerHost:        64,
				MaxIdleConnsPerHost:    16,
				IdleConnTimeout:        time.Minute,
				ForceAttemptHTTP2:      true,
				DisableCompression:     true,
			}, egress.Theirs),
		},
	}
}

// close ends idle connections.
func (e *endpoint) close() { e.client.CloseIdleConnections() }

// question is a token and what is known of it before the endpoint is asked.
type question struct {
	token string
	peer  netip.Prefix // who presents it
	known bool         // it was good before
}

// introspect gives the body of the answer for a token, unless the endpoint failed a moment ago or was asked too often.
func (e *endpoint) introspect(ctx context.Context, now func() time.Time, q question, secret sdk.Secret) ([]byte, error) {
	pass, err := e.rest.Enter()
	if err != nil {
		return nil, fmt.Errorf("%w (the endpoint is left alone for a moment)", e.last())
	}
	result := breaker.Neither
	defer func() { pass.Leave(result) }()
	if err := e.budget.admit(now(), q.peer, q.known); err != nil {
		return nil, err
	}
	raw, err := e.post(ctx, q.token, secret)
	if err == nil {
		result = breaker.Good
		return raw, nil
	}
	err = fmt.Errorf("introspection: %w", err)
	switch {
	case errors.Is(err, errThisToken): // the endpoint is well: it does not like this one, and goes on with others
		result = breaker.Good
		e.refuse(now(), q)
	case errors.Is(err, breaker.ErrOpen): // nothing was tried
		e.budget.giveBack(now())
	default:
		result = breaker.Bad
		e.note(err)
	}
	return nil, err
}

// note keeps a failure.
func (e *endpoint) note(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.failed = err
}

// last gives the last failure.
func (e *endpoint) last() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.failed
}

// refuse counts a token that is not good. One that was good until now is nobody's fault.
func (e *endpoint) refuse(now time.Time, q question) {
	if !q.known {
		e.budget.refuse(now, q.peer)
	}
}

// post sends one request (RFC 7662 section 2.1). No error has the token or the secret in it.
func (e *endpoint) post(ctx context.Context, token string, secret sdk.Secret) ([]byte, error) {
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	if e.method == methodPost {
		form.Set("client_id", e.id)
		form.Set("client_secret", string(secret.Reveal()))
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.at, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	if e.method == methodBasic { // RFC 6749 section 2.3.1 wants both encoded
		r.SetBasicAuth(url.QueryEscape(e.id), url.QueryEscape(string(secret.Reveal())))
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	answer, err := e.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close() //nolint:errcheck // it was only read
	switch answer.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden:
		return nil, fmt.Errorf("%s answers %s: %w", e.at, answer.Status, errUnauthorized)
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return nil, fmt.Errorf("%s answers %s: %w", e.at, answer.Status, errThisToken)
	default:
		return nil, fmt.Errorf("%s answers %s", e.at, answer.Status)
	}
	if typ, _, err := mime.ParseMediaType(answer.Header.Get("Content-Type")); err != nil || typ != "application/json" {
		return nil, fmt.Errorf("%s does not answer JSON", e.at)
	}
	raw, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > maxAnswer {
		return nil, fmt.Errorf("%s answers more than %d bytes", e.at, maxAnswer)
	}
	return raw, nil
}
