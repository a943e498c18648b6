package server

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/host/token"
)

// Who, where and why stand in the log; tokens and secrets never do.
func TestLog(t *testing.T) {
	const secret = "hunter2hunter2"
	var log bytes.Buffer
	w := newWorld(t, false)
	d := w.deps()
	d.Logger = hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Trace})
	svc, err := token.New(token.Config{Realm: "a", Issuer: "i", Audience: []string{"x"}, URL: "https://gate/realms/a", Directory: noClients{}, Broker: noClients{}, Plan: w.plans["a"], Logger: d.Logger})
	if err != nil {
		t.Fatal(err)
	}
	w.tokens["a"] = svc
	s, err := New(Config{Listeners: []Listener{{Name: "main"}}}, d)
	if err != nil {
		t.Fatal(err)
	}
	h := s.Handler(Listener{Name: "main"})
	for _, authorization := range []string{"Bearer " + secret, "Basic " + secret, secret, "Bearer " + secret + " x"} {
		r := httptest.NewRequest(http.MethodGet, check+"?access_token="+secret, nil)
		r.Header.Set("Authorization", authorization)
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	const id = "0123456789abcdef0123456789abcdef"
	for _, client := range [][2]string{
		{"bob\nforged line", secret}, {id, secret}, {secret, id}, {id + ":" + secret, secret}, {id + ":" + secret, "x"}, {secret, secret}, {secret, ""},
	} {
		for _, basic := range []bool{false, true} {
			form := url.Values{"grant_type": {"client_credentials"}}
			r := httptest.NewRequest(http.MethodPost, "/realms/a/v1/token", nil)
			if basic {
				r.SetBasicAuth(url.QueryEscape(client[0]), url.QueryEscape(client[1]))
			} else {
				form.Set("client_id", client[0])
				form.Set("client_secret", client[1])
			}
			r.Body = io.NopCloser(strings.NewReader(form.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			h.ServeHTTP(httptest.NewRecorder(), r)
		}
	}
	got := log.String()
	for _, want := range []string{"principal=alice", "realm=a", "verdict=allowed", "reason=token_malformed", "reason=token_not_recognised", "request_id=", "error=invalid_client", "client_id=[other]", "client_id=" + id} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in the log", want)
		}
	}
	if strings.Contains(got, secret) || strings.Contains(got, "forged") {
		t.Errorf("the log shows a secret:\n%s", got)
	}
}

func BenchmarkCheck(b *testing.B) {
	w := newWorld(b, false)
	s, err := New(Config{Listeners: []Listener{{Name: "main"}}}, w.deps())
	if err != nil {
		b.Fatal(err)
	}
	w.legs["a"].forget = true
	h := s.Handler(Listener{Name: "main"})
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodGet, check, nil)
		r.Header.Set("Authorization", "Bearer x")
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
}
