package login

import (
	"context"
	"errors"
	"fmt"

	"github.com/realmgate/realmgate/plugins/vault/client"
)

// Cert is the login with the TLS client certificate.
type Cert struct {
	Name  string `json:"name,omitempty" doc:"the method's role; every role whose certificate fits is tried without it"`
	Mount string `json:"mount" default:"cert" doc:"where the method is mounted"`
}

func (s *Cert) check(c *client.Client) error {
	err := checkMount(s.Mount)
	if c != nil && !c.HasCertificate {
		err = errors.Join(err, errors.New("this login needs client_cert_file and client_key_file"))
	}
	return err
}

// proof is none: the connection has the certificate.
func (s *Cert) proof(context.Context) (string, error) { return "", nil }

func (s *Cert) login(ctx context.Context, c *client.Client, _ string) (grant, error) {
	body := map[string]any{}
	if s.Name != "" {
		body["name"] = s.Name
	}
	g, err := ask(ctx, c, s.Mount, body)
	if err != nil {
		return grant{}, fmt.Errorf("the login with the client certificate: %w", err)
	}
	return g, nil
}
