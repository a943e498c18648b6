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

func (m static) login(ctx context.Context, c *client.Client) (grant, error) {
	secret, err := m.ref.Value(ctx)
	if err != nil {
		return grant{}, fmt.Errorf("token: %w", err)
	}
	g, err := lookUp(ctx, c, strings.TrimSpace(string(secret.Reveal())))
	if client.Denied(err) {
		return grant{}, fmt.Errorf("the token of %s is not valid, or no longer: %w", m.ref, err)
	}
	return g, err
}

// sink is a token that something else keeps fresh in a file.
type sink struct {
	path string

	mu   sync.Mutex
	seen stamp
}

func (m *sink) login(ctx context.Context, c *client.Client) (grant, error) {
	at := stampOf(m.path)
	value, err := readSecret(m.path, true)
	if err != nil {
		return grant{}, err
	}
	m.mu.Lock()
	m.seen = at
	m.mu.Unlock()
	g, err := lookUp(ctx, c, value)
	if client.Denied(err) {
		return grant{}, fmt.Errorf("the token in %s is not valid, or no longer: %w", m.path, err)
	}
	g.renewable = false
	return g, err
}

// changed says whether the file is another one than at the last login.
func (m *sink) changed() bool {
	now := stampOf(m.path)
	m.mu.Lock()
	defer m.mu.Unlock()
	return now != m.seen && now != stamp{}
}

// lookUp asks what a token is good for.
func lookUp(ctx context.Context, c *client.Client, value string) (grant, error) {
	if !plainToken(value) {
		return grant{}, errors.New("what is given as a token is none")
	}
	out, err := c.Do(ctx, client.Request{Method: http.MethodGet, Path: "auth/token/lookup-self", Token: value})
	if err != nil {
		return grant{}, err
	}
	if out == nil {
		return grant{}, errors.New("the server says nothing of the token")
	}
	g := grant{value: value}
	if n, ok := out.Data["ttl"].(json.Number); ok {
		seconds, err := n.Int64()
		if err != nil || seconds < 0 {
			return grant{}, errors.New("the server gives no life of the token that means anything")
		}
		g.ttl = time.Duration(seconds) * time.Second
	}
	g.renewable, _ = out.Data["renewable"].(bool)
	return g, nil
}

// maxToken bounds a token in bytes; batch tokens with many policies are the longest.
const maxToken = 8 << 10

func plainToken(s string) bool {
	return s != "" && len(s) <= maxToken && !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' })
}
