package oidctest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TokenOptions are what a token is to look like. The zero TokenOptions give an RS256 JWT for the provider's audience that
// lives for ten minutes.
type TokenOptions struct {
	Alg      string        // RS256 or ES256
	Audience string        // the provider's if empty
	TTL      time.Duration // in whole seconds
	Opaque   bool          // no JWT: the introspection endpoint knows the token

	// Claims are added to the token; they may nest. In a JWT they also replace the registered ones: {"sub": "alice"},
	// {"exp": past}, {"aud": []string{"a", "b"}}; a nil value leaves one out. The subject is the client's id otherwise.
	// Introspection of an opaque token shows them too, except for those that replace registered ones.
	Claims map[string]any

	// Header is added to a JWT's header, which has alg, kid and typ at+jwt, e.g. {"typ": "JWT"}.
	Header map[string]any
}

type tokenWish struct {
	Alg      string         `json:"alg"`
	Audience string         `json:"audience"`
	TTL      int64          `json:"ttl"`
	Opaque   bool           `json:"opaque"`
	Claims   map[string]any `json:"claims"`
	Header   map[string]any `json:"header"`
}

// Token gets a new access token from the provider's token endpoint.
func (p *Provider) Token(t testing.TB, o TokenOptions) string {
	t.Helper()
	wish := tokenWish{Alg: o.Alg, Audience: o.Audience, TTL: int64(o.TTL / time.Second), Opaque: o.Opaque, Claims: o.Claims, Header: o.Header}
	if wish.Alg == "" {
		wish.Alg = "RS256"
	}
	if wish.Audience == "" {
		wish.Audience = p.Audience
	}
	if wish.TTL <= 0 {
		wish.TTL = 600
	}
	if wish.Claims == nil {
		wish.Claims = map[string]any{}
	}
	if wish.Header == nil {
		wish.Header = map[string]any{}
	}
	p.mu.Lock()
	p.resources++
	resource := fmt.Sprintf("https://resource.test/%d", p.resources)
	p.mu.Unlock()
	p.ask(t, question{Command: "token", Resource: resource, Token: &wish})

	token, err := p.clientCredentials(t.Context(), resource)
	if err != nil {
		t.Fatalf("oidctest: token: %v\n%s", err, p.log)
	}
	return token
}

// clientCredentials asks for a token for a resource (RFC 8707).
func (p *Provider) clientCredentials(ctx context.Context, resource string) (string, error) {
	form := url.Values{"grant_type": {"client_credentials"}, "resource": {resource}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(p.ClientID), url.QueryEscape(p.ClientSecret))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return "", err
	}
	var got struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(body, &got); err != nil || resp.StatusCode != http.StatusOK || got.AccessToken == "" {
		return "", fmt.Errorf("%s: %s", resp.Status, body)
	}
	return got.AccessToken, nil
}
