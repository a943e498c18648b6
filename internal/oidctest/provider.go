package oidctest

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/realmgate/realmgate/internal/capture"
	"github.com/realmgate/realmgate/internal/need"
)

// answerTimeout bounds the wait for the child; making RSA keys on a busy machine is the slowest thing it does.
const answerTimeout = time.Minute

// Options are what a provider starts with. The zero Options serve most tests.
type Options struct {
	ClientID     string   // of the one client; "test-client" if empty
	ClientSecret string   // random if empty
	Audience     string   // of tokens that do not name one; "realmgate" if empty
	Scopes       []string // that the client may ask for
}

// Provider is a running OpenID provider on a loopback port. Its methods may be used from many goroutines.
type Provider struct {
	Issuer           string // e.g. http://127.0.0.1:40123, without a trailing slash
	JWKSURL          string
	TokenURL         string
	IntrospectionURL string
	ClientID         string // the client's credentials, by HTTP Basic, for the token and introspection endpoints
	ClientSecret     string
	Audience         string // of tokens that do not name one

	t         testing.TB
	mu        sync.Mutex // one question at a time; guards resources too
	in        io.Writer
	answers   chan answer
	resources int
	log       *capture.Buffer
}

type question struct {
	Command  string     `json:"command"`
	Resource string     `json:"resource,omitempty"`
	Token    *tokenWish `json:"token,omitempty"`
	Path     string     `json:"path,omitempty"`
}

type answer struct {
	Issuer   string `json:"issuer"`
	Requests int    `json:"requests"`
	Error    string `json:"error"`
}

// Start runs a provider until the test ends. It has one RS256 and one ES256 key. The child also ends when the test binary
// is killed, since it watches its stdin.
func Start(t testing.TB, o Options) *Provider {
	t.Helper()
	node := need.Command(t, "node")
	p := &Provider{ClientID: o.ClientID, Audience: o.Audience, ClientSecret: o.ClientSecret, t: t, answers: make(chan answer), log: &capture.Buffer{}}
	if p.ClientID == "" {
		p.ClientID = "test-client"
	}
	if p.ClientSecret == "" {
		p.ClientSecret = rand.Text()
	}
	if p.Audience == "" {
		p.Audience = "realmgate"
	}
	settings, err := json.Marshal(map[string]any{"client_id": p.ClientID, "client_secret": p.ClientSecret, "scopes": append([]string{}, o.Scopes...)})
	if err != nil {
		t.Fatalf("oidctest: %v", err)
	}
	cmd := exec.Command(node, script(t), string(settings))
	cmd.Stderr = p.log
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatalf("oidctest: %v", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatalf("oidctest: %v", err)
	}
	p.in = stdin
	if err := cmd.Start(); err != nil {
		t.Fatalf("oidctest: start node: %v", err)
	}
	stopped := make(chan struct{})
	read := make(chan struct{})
	go func() {
		defer close(read)
		p.read(stdout, stopped)
	}()
	t.Cleanup(func() {
		close(stopped)
		_ = stdin.Close() // the child ends by itself; the kill is for one that hangs
		_ = cmd.Process.Kill()
		<-read         // Wait must come after the last read of the pipe
		_ = cmd.Wait() // "killed" is no news
		if t.Failed() && p.log.String() != "" {
			t.Logf("oidctest: the provider's log:\n%s", p.log)
		}
	})
	p.Issuer = p.ask(t, question{Command: "start"}).Issuer
	p.JWKSURL, p.TokenURL, p.IntrospectionURL = p.Issuer+"/jwks", p.Issuer+"/token", p.Issuer+"/token/introspection"
	return p
}

// Rotate makes new keys, which sign from now on; the older ones stay published.
func (p *Provider) Rotate(t testing.TB) {
	t.Helper()
	p.ask(t, question{Command: "rotate"})
}

// Stop makes the provider unreachable: its port is closed and so is every connection.
func (p *Provider) Stop() {
	p.t.Helper()
	p.ask(p.t, question{Command: "stop"})
}

// Resume makes the provider reachable again after Stop, on the same port and with the same keys and tokens.
func (p *Provider) Resume() {
	p.t.Helper()
	p.ask(p.t, question{Command: "resume"})
}

// JWKSRequests counts the requests for the key set since the start.
func (p *Provider) JWKSRequests(t testing.TB) int {
	t.Helper()
	return p.Requests(t, "/jwks")
}

// Requests counts the requests for a path since the start, e.g. /.well-known/openid-configuration.
func (p *Provider) Requests(t testing.TB, path string) int {
	t.Helper()
	return p.ask(t, question{Command: "requests", Path: path}).Requests
}

func (p *Provider) ask(t testing.TB, q question) answer {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	line, err := json.Marshal(q)
	if err != nil {
		t.Fatalf("oidctest: %s: %v", q.Command, err)
	}
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		t.Fatalf("oidctest: %s: %v\n%s", q.Command, err, p.log)
	}
	select {
	case a, ok := <-p.answers:
		if !ok || a.Error != "" {
			t.Fatalf("oidctest: %s: %s\n%s", q.Command, a.Error, p.log)
		}
		return a
	case <-time.After(answerTimeout):
		t.Fatalf("oidctest: %s: no answer in %s\n%s", q.Command, answerTimeout, p.log)
	}
	return answer{}
}

func (p *Provider) read(stdout io.Reader, stopped <-chan struct{}) {
	defer close(p.answers)
	for d := json.NewDecoder(stdout); ; {
		var a answer
		if d.Decode(&a) != nil {
			return
		}
		select {
		case p.answers <- a:
		case <-stopped:
			return
		}
	}
}
