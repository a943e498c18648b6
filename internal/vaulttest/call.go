package vaulttest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"
)

// Do asks the server with the root token, and gives the answer's data; auth or wrap_info, if it has that instead. An answer
// that says no ends the test.
func (s *Server) Do(t testing.TB, method, path string, body any) map[string]any {
	t.Helper()
	var out struct {
		Data map[string]any `json:"data"`
		Auth map[string]any `json:"auth"`
	}
	s.call(t, method, path, s.Token, body, &out)
	if out.Auth != nil {
		return out.Auth
	}
	return out.Data
}

// Status asks the server with a token and gives the status of the answer.
func (s *Server) Status(t testing.TB, method, path, token string) int {
	t.Helper()
	status, _ := s.send(t, method, path, token, nil, nil)
	return status
}

// Wrap asks the server with the root token and gives the token that wraps the answer.
func (s *Server) Wrap(t testing.TB, method, path string, body any) string {
	t.Helper()
	status, raw := s.send(t, method, path, s.Token, body, http.Header{"X-Vault-Wrap-Ttl": {"300"}})
	var out struct {
		WrapInfo struct {
			Token string `json:"token"`
		} `json:"wrap_info"`
	}
	if err := json.Unmarshal(raw, &out); err != nil || out.WrapInfo.Token == "" {
		t.Fatalf("vaulttest: %s %s: %d %s", method, path, status, raw)
	}
	return out.WrapInfo.Token
}

// Policy writes a policy.
func (s *Server) Policy(t testing.TB, name, hcl string) {
	t.Helper()
	s.Do(t, http.MethodPut, "sys/policies/acl/"+name, map[string]any{"policy": hcl})
}

// NewToken makes a token; change are fields of auth/token/create, e.g. ttl and policies.
func (s *Server) NewToken(t testing.TB, change map[string]any) string {
	t.Helper()
	token, _ := s.Do(t, http.MethodPost, "auth/token/create", change)["client_token"].(string)
	if token == "" {
		t.Fatal("vaulttest: no token was made")
	}
	return token
}

func (s *Server) call(t testing.TB, method, path, token string, body, out any) {
	t.Helper()
	status, raw := s.send(t, method, path, token, body, nil)
	if status >= http.StatusBadRequest {
		t.Fatalf("vaulttest: %s %s: %d %s", method, path, status, raw)
	}
	if out == nil || len(raw) == 0 {
		return
	}
	if err := json.Unmarshal(raw, out); err != nil {
		t.Fatalf("vaulttest: %s %s: %v", method, path, err)
	}
}

func (s *Server) send(t testing.TB, method, path, token string, body any, header http.Header) (int, []byte) {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatalf("vaulttest: %v", err)
	}
	if body == nil {
		raw = nil
	}
	r, err := http.NewRequestWithContext(context.Background(), method, s.URL+"/v1/"+path, bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("vaulttest: %v", err)
	}
	for k, v := range header {
		r.Header[k] = v
	}
	if token != "" {
		r.Header.Set("X-Vault-Token", token)
	}
	answer, err := s.http.Do(r)
	if err != nil {
		t.Fatalf("vaulttest: %s %s: %v", method, path, err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatalf("vaulttest: %s %s: %v", method, path, err)
	}
	return answer.StatusCode, text
}
