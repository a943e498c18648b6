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
)

const (
	maxAnswer = 256 << 10
	// patience is how many requests in a row may fail before the endpoint is left alone for a while: one token alone, for
	// which it fails, must not keep it from all others.
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

	mu        sync.Mutex
	failures  int // in a row
	failed    error
	notBefore time.Time
}

func newEndpoint(s Settings, roots *x509.CertPool) *endpoint {
	return &endpoint{
		at: s.Endpoint, id: s.ClientID, method: s.AuthMethod,
		budget: newBudget(s.RequestsPerSecond),
		client: &http.Client{
			Timeout: s.Timeout.Std(),
			// A redirect would take the token and the client's secret to another place.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{
				Proxy:                  http.ProxyFromEnvironment,
				TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
				MaxResponseHeaderBytes: 64 << 10,
				MaxConnsPerHost:        64,
				MaxIdleConnsPerHost:    16,
				IdleConnTimeout:        time.Minute,
				ForceAttemptHTTP2:      true,
				DisableCompression:     true,
			},
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
	if err := e.admit(now(), q); err != nil {
		return nil, err
	}
	raw, err := e.post(ctx, q.token, secret)
	if err != nil {
		err = fmt.Errorf("introspection: %w", err)
	}
	if errors.Is(err, errThisToken) {
		e.refuse(now(), q)
	}
	e.note(err, now())
	return raw, err
}

// refuse counts a token that is not good. One that was good until now is nobody's fault.
func (e *endpoint) refuse(now time.Time, q question) {
	if !q.known {
		e.budget.refuse(now, q.peer)
	}
}

func (e *endpoint) admit(now time.Time, q question) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.failures >= patience && now.Before(e.notBefore) {
		return fmt.Errorf("%w (the endpoint is left alone for a moment)", e.failed)
	}
	return e.budget.admit(now, q.peer, q.known)
}

// note keeps account of failures. A provider that was released fails nobody.
func (e *endpoint) note(err error, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err == nil {
		e.failures, e.failed = 0, nil
		return
	}
	if errors.Is(err, errThisToken) {
		return // the endpoint is well: it does not like this one, and goes on with others
	}
	e.failures++
	e.failed = err
	if n := e.failures - patience; n >= 0 {
		e.notBefore = now.Add(min(firstBackoff<<min(n, 10), lastBackoff))
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
