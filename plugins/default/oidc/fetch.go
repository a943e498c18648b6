package oidc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
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

func newFetcher(s Settings, roots *x509.CertPool) *fetcher {
	f := &fetcher{issuer: s.Issuer, discovery: s.DiscoveryURL, at: s.JWKSURI}
	if f.discovery == "" {
		f.discovery = strings.TrimSuffix(s.Issuer, "/") + wellKnownPath
	}
	f.client = &http.Client{
		Timeout:       fetchTimeout,
		CheckRedirect: sameHost,
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			MaxResponseHeaderBytes: 64 << 10,
			MaxIdleConns:           2,
			IdleConnTimeout:        time.Minute,
			ForceAttemptHTTP2:      true,
		},
	}
	return f
}

// sameHost follows a redirect within the configured host only.
func sameHost(r *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return errors.New("there are too many redirects")
	}
	if r.URL.Host != via[0].URL.Host {
		return fmt.Errorf("a redirect to another host (%s) is not followed", r.URL.Host)
	}
	return checkScheme(r.URL)
}

// close ends idle connections.
func (f *fetcher) close() { f.client.CloseIdleConnections() }

// locate gives the URL of the keys: the configured one, or the one that the provider's metadata names (OpenID Connect
// Discovery 1.0 section 4). The metadata must be of the very issuer.
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
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("discovery: %s: jwks_uri is not an absolute URL", f.discovery)
	}
	if err := checkScheme(u); err != nil {
		return "", fmt.Errorf("discovery: jwks_uri: %w", err)
	}
	return metadata.JWKSURI, nil
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
