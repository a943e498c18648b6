package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/realmgate/realmgate/plugins/vault/client"
	"github.com/realmgate/realmgate/sdk"
)

// static is a token as a secret store has it.
type static struct{ ref sdk.SecretRef }

func (m static) proof(ctx context.Context) (string, error) {
	secret, err := m.ref.Value(ctx)
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	return strings.TrimSpace(string(secret.Reveal())), nil
}

func (m static) login(ctx context.Context, c *client.Client, value string) (grant, error) {
	return lookUp(ctx, c, value, m.ref.String())
}

// sink is a token that something else keeps fresh in a file.
type sink struct {
	path string

	mu   sync.Mutex
	read struct {
		at    stamp
		value string
	}
	taken stamp // of the file whose token the server knows
}

func (m *sink) proof(context.Context) (string, error) {
	at := stampOf(m.path)
	value, err := readSecret(m.path, true)
	if err != nil {
		return "", err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.read.at, m.read.value = at, value
	return value, nil
}

func (m *sink) login(ctx context.Context, c *client.Client, value string) (grant, error) {
	g, err := lookUp(ctx, c, value, m.path)
	if err != nil {
		return grant{}, err
	}
	g.renewable = false
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.read.value == value { // else it changed meanwhile
		m.taken = m.read.at
	}
	return g, nil
}

// changed says whether the file is another one than that whose token the server knows.
func (m *sink) changed() bool {
	now := stampOf(m.path)
	m.mu.Lock()
	defer m.mu.Unlock()
	return now != m.taken && now != stamp{}
}

// lookUp asks what a token is good for; at says where it is. One that may not look itself up is taken as it is: its first
// question tells.
func lookUp(ctx context.Context, c *client.Client, value, at string) (grant, error) {
	if !plainToken(value) {
		return grant{}, fmt.Errorf("what is given as a token at %s is none", at)
	}
	out, err := c.Do(ctx, client.Request{Method: http.MethodGet, Path: "auth/token/lookup-self", Token: value})
	switch {
	case client.Denied(err) && client.As(err).TokenInvalid():
		return grant{}, invalid(at, err)
	case client.Denied(err):
		return grant{value: value}, nil
	case err != nil:
		return grant{}, err
	case out == nil:
		return grant{}, errors.New("the server says nothing of the token")
	}
	g := grant{value: value, looks: true}
	if n, ok := out.Data["ttl"].(json.Number); ok {
		seconds, err := n.Int64()
		if err != nil || seconds < 0 {
			return grant{}, errors.New("the server gives no life of the token that means anything")
		}
		g.ttl = time.Duration(seconds) * time.Second
	}
	if end, ok := out.Data["expire_time"].(string); ok && end != "" && g.ttl == 0 { // within this second
		return grant{}, fmt.Errorf("the token at %s is at its end", at)
	}
	g.renewable, _ = out.Data["renewable"].(bool)
	return g, nil
}

func invalid(at string, err error) error {
	return fmt.Errorf("the token of %s is not valid, or no longer: %w", at, err)
}

func plainToken(s string) bool {
	return s != "" && len(s) <= client.MaxToken && !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' })
}
