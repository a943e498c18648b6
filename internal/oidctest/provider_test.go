package oidctest_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/realmgate/realmgate/internal/oidctest"
)

func TestTokens(t *testing.T) {
	t.Parallel()
	p := oidctest.Start(t, oidctest.Options{})
	past := time.Now().Add(-time.Hour).Unix()
	for _, c := range []struct {
		name string
		o    oidctest.TokenOptions
		want map[string]any
	}{
		{"defaults", oidctest.TokenOptions{}, map[string]any{"iss": p.Issuer, "aud": "realmgate", "sub": "test-client"}},
		{"ES256", oidctest.TokenOptions{Alg: "ES256"}, map[string]any{"iss": p.Issuer}},
		{"audience", oidctest.TokenOptions{Audience: "other"}, map[string]any{"aud": "other"}},
		{"nested claims", oidctest.TokenOptions{Claims: map[string]any{"polaris": map[string]any{"roles": []any{"a", "b"}}}},
			map[string]any{"polaris": map[string]any{"roles": []any{"a", "b"}}}},
		{"registered claims replaced", oidctest.TokenOptions{Claims: map[string]any{"sub": "alice", "exp": past, "aud": []any{"x", "y"}, "iss": "http://evil.test"}},
			map[string]any{"sub": "alice", "exp": float64(past), "aud": []any{"x", "y"}, "iss": "http://evil.test"}},
		{"registered claims left out", oidctest.TokenOptions{Claims: map[string]any{"aud": nil, "exp": nil}}, map[string]any{"aud": nil, "exp": nil}},
	} {
		t.Run(c.name, func(t *testing.T) {
			token := p.Token(t, c.o)
			claims, header := verify(t, keys(t, p), token)
			for name, want := range c.want {
				if !equalJSON(t, claims[name], want) {
					t.Errorf("%s: got %v, want %v", name, claims[name], want)
				}
			}
			if want := c.o.Alg; want != "" && header.Algorithm != want {
				t.Errorf("got alg %s, want %s", header.Algorithm, want)
			}
		})
	}
}

func TestHeaderAndLife(t *testing.T) {
	t.Parallel()
	p := oidctest.Start(t, oidctest.Options{ClientID: "svc", Audience: "polaris"})
	claims, header := verify(t, keys(t, p), p.Token(t, oidctest.TokenOptions{TTL: 90 * time.Second, Header: map[string]any{"typ": "JWT", "jku": "http://evil.test"}}))
	if life := claims["exp"].(float64) - claims["iat"].(float64); life != 90 {
		t.Errorf("life: got %v s, want 90", life)
	}
	if header.ExtraHeaders["typ"] != "JWT" || header.ExtraHeaders["jku"] != "http://evil.test" {
		t.Errorf("header: %v", header.ExtraHeaders)
	}
	if claims["client_id"] != "svc" || claims["aud"] != "polaris" {
		t.Errorf("claims: %v", claims)
	}
}

func TestOpaqueTokenIsIntrospected(t *testing.T) {
	t.Parallel()
	p := oidctest.Start(t, oidctest.Options{})
	token := p.Token(t, oidctest.TokenOptions{Opaque: true, Claims: map[string]any{"sub": "ignored", "groups": []string{"a"}}})
	if strings.Contains(token, ".") {
		t.Fatalf("not opaque: %s", token)
	}
	got := introspect(t, p, token)
	if got["active"] != true || got["aud"] != "realmgate" || !equalJSON(t, got["groups"], []any{"a"}) {
		t.Errorf("got %v", got)
	}
	if got := introspect(t, p, "unknown"); got["active"] != false {
		t.Errorf("unknown token: %v", got)
	}
}

func TestRotationPublishesBothKeys(t *testing.T) {
	t.Parallel()
	p := oidctest.Start(t, oidctest.Options{})
	before := p.Token(t, oidctest.TokenOptions{})
	old := keys(t, p)
	p.Rotate(t)
	after := p.Token(t, oidctest.TokenOptions{})
	now := keys(t, p)
	verify(t, now, before)
	_, header := verify(t, now, after)
	if len(old.Key(header.KeyID)) != 0 {
		t.Error("the new token is signed by an old key")
	}
	if n := p.JWKSRequests(t); n != 2 {
		t.Errorf("got %d requests for the keys, want 2", n)
	}
	if n := p.Requests(t, "/token"); n != 2 {
		t.Errorf("got %d requests for tokens, want 2", n)
	}
}

func TestStopAndResume(t *testing.T) {
	t.Parallel()
	p := oidctest.Start(t, oidctest.Options{})
	token := p.Token(t, oidctest.TokenOptions{})
	p.Stop()
	resp, err := http.Get(p.JWKSURL)
	if err == nil {
		_ = resp.Body.Close()
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a stopped provider answers: %v", err)
	}
	p.Resume()
	verify(t, keys(t, p), token)
}

// TestChildEndsWithKilledParent runs this test binary again, has it killed with a provider running, and waits for the port
// to close.
func TestChildEndsWithKilledParent(t *testing.T) {
	const mark = "OIDCTEST_HOLD"
	if os.Getenv(mark) != "" {
		p := oidctest.Start(t, oidctest.Options{})
		_, _ = os.Stdout.WriteString("issuer " + p.Issuer + "\n")
		select {}
	}
	t.Parallel()
	oidctest.Start(t, oidctest.Options{}) // skips where there is no provider, before a child would
	cmd := exec.Command(os.Args[0], "-test.run=^TestChildEndsWithKilledParent$")
	cmd.Env = append(os.Environ(), mark+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	issuer, ok := strings.CutPrefix(strings.TrimSpace(line), "issuer ")
	if err != nil || !ok {
		t.Fatalf("the child said %q (%v)", line, err)
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		resp, err := http.Get(issuer + "/jwks")
		if errors.Is(err, syscall.ECONNREFUSED) {
			return
		}
		if err == nil {
			_ = resp.Body.Close()
		}
		if time.Now().After(deadline) {
			t.Fatalf("the provider survives its parent: %v", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func keys(t *testing.T, p *oidctest.Provider) jose.JSONWebKeySet {
	t.Helper()
	resp, err := http.Get(p.JWKSURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var set jose.JSONWebKeySet
	if err := json.NewDecoder(resp.Body).Decode(&set); err != nil {
		t.Fatal(err)
	}
	return set
}

func verify(t *testing.T, set jose.JSONWebKeySet, token string) (map[string]any, jose.Header) {
	t.Helper()
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	header := jws.Signatures[0].Protected
	found := set.Key(header.KeyID)
	if len(found) != 1 {
		t.Fatalf("%d keys with id %s", len(found), header.KeyID)
	}
	payload, err := jws.Verify(found[0])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims, header
}

func introspect(t *testing.T, p *oidctest.Provider, token string) map[string]any {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.IntrospectionURL, strings.NewReader(url.Values{"token": {token}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(p.ClientID, p.ClientSecret)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var got map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	return got
}

func equalJSON(t *testing.T, a, b any) bool {
	t.Helper()
	x, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(x) == string(y)
}
