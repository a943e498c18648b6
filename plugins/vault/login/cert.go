package login

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/realmgate/realmgate/plugins/vault/client"
)

// Cert is the login with the TLS client certificate.
type Cert struct {
	Name  string `json:"name,omitempty" doc:"the method's role; every role whose certificate fits is tried without it"`
	Mount string `json:"mount" default:"cert" doc:"where the method is mounted"`
}

func (s *Cert) check(c *client.Client) error {
	err := checkMount(s.Mount)
	if c != nil && c.Certificate() == "" {
		err = errors.Join(err, errors.New("this login needs client_cert_file and client_key_file"))
	}
	return err
}

type cert struct {
	Cert
	client *client.Client // its connections have the certificate

	mu    sync.Mutex
	taken string // the certificate that the server knows
}

// proof stands for the certificate.
func (m *cert) proof(context.Context) (string, error) { return m.client.Certificate(), nil }

func (m *cert) login(ctx context.Context, c *client.Client, proof string) (grant, error) {
	body := map[string]any{}
	if m.Name != "" {
		body["name"] = m.Name
	}
	g, err := ask(ctx, c, m.Mount, body)
	if err != nil {
		return grant{}, fmt.Errorf("the login with the client certificate: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.taken = proof
	return g, nil
}

// changed says whether the certificate is another one than that of the last login: a server renews no token over another one.
func (m *cert) changed() bool {
	now := m.client.Certificate()
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.taken != "" && now != m.taken
}
