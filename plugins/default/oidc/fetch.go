package oidc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/realmgate/realmgate/sdk/breaker"
	"github.com/realmgate/realmgate/sdk/egress"
)

const (
	fetchTimeout  = 5 * time.Second
	maxDiscovery  = 256 << 10
	maxJWKS       = 512 << 10
	maxRedirects  = 3
	wellKnownPath = "/.well-known/openid-configuration"
)

// fetcher gets the documents of one provider.
type fetcher struct {
	client                *http.Client
	issuer, discovery, at string // at: jwks_uri, if it is configured
}

func newFetcher(s Settings, roots *x509.CertPool, outbound *breaker.Outbound) *fetcher {
	f := &fetcher{issuer: s.Issuer, discovery: s.DiscoveryURL, at: s.JWKSURI}
	if f.discovery == "" {
		f.discovery = strings.TrimSuffix(s.Issuer, "/") + wellKnownPath
	}
	f.client = &http.Client{
		Timeout:       fetchTimeout,
		CheckRedirect: checkRedirect,
		Transport: outbound.Transport("oidc", &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			MaxResponseHeaderBytes: 64 << 10,
			MaxIdleConns:           2,
			IdleConnTimeout:        time.Minute,
			ForceAttemptHTTP2:      true,
		}, egress.Theirs),
	}
	return f
}

// checkRedirect follows a redirect within the origin that was asked only.
func checkRedirect(r *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return errors.New("there are too many redirects")
	}
	if to := origin(r.URL); to != origin(via[0].URL) {
		return fmt.Errorf("a redirect to another host (%s) is not followed", to)
	}
	return nil
}

// origin gives scheme, host and port of a URL (RFC 6454).
func origin(u *url.URL) string {
	scheme, port := strings.ToLower(u.Scheme), u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[scheme]
	}
	return scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// close ends idle connections.
func (f *fetcher) close() { f.client.CloseIdleConnections() }

// locate gives the URL of the keys: the configured one, or the one that the provider's metadata names (OpenID Connect
// Discovery 1.0 section 4). The metadata must be of the very issuer, and they do not lead to a host that nobody configured.
func (f *fetcher) locate(ctx context.Context) (string, error) {
	if f.at != "" {
		return f.at, nil
	}
	raw, err := f.get(ctx, f.discovery, maxDiscovery)
	if err != nil {
		return "", fmt.Errorf("discovery: %w", err)
	}
	var metadata struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(raw, &metadata); err != nil {
		return "", fmt.Errorf("discovery: %s: the metadata is not a JSON object", f.discovery)
	}
	if metadata.Issuer != f.issuer {
		return "", fmt.Errorf("discovery: %s: the metadata is of the issuer %.200q, not of %q", f.discovery, metadata.Issuer, f.issuer)
	}
	u, err := url.Parse(metadata.JWKSURI)
	if err != nil || u.Host == "" || u.User != nil {
		return "", fmt.Errorf("discovery: %s: jwks_uri is not an absolute URL without a user", f.discovery)
	}
	if !f.configured(u) {
		return "", fmt.Errorf("discovery: %s: the metadata name keys at %s, neither the issuer's nor discovery_url's host; if they are the provider's, set jwks_uri = %q in the identity_provider block",
			f.discovery, origin(u), metadata.JWKSURI)
	}
	return metadata.JWKSURI, nil
}

// configured says whether a URL has the origin of the issuer or of discovery_url.
func (f *fetcher) configured(u *url.URL) bool {
	for _, text := range []string{f.issuer, f.discovery} {
		if known, err := url.Parse(text); err == nil && origin(known) == origin(u) {
			return true
		}
	}
	return false
}

// get fetches a document of at most limit bytes, counted behind any decompression.
func (f *fetcher) get(ctx context.Context, at string, limit int64) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at, http.NoBody)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json, application/jwk-set+json")
	answer, err := f.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close() //nolint:errcheck // it was only read
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", at, answer.Status)
	}
	raw, err := io.ReadAll(io.LimitReader(answer.Body, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(raw)) > limit {
		return nil, fmt.Errorf("%s answers more than %d bytes", at, limit)
	}
	return raw, nil
}
