package login

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/realmgate/realmgate/plugins/vault/client"
	"github.com/realmgate/realmgate/sdk"
)

// Kubernetes is the login of a pod.
type Kubernetes struct {
	Role      string `json:"role" doc:"the method's role"`
	TokenFile string `json:"token_file" default:"/var/run/secrets/kubernetes.io/serviceaccount/token" doc:"the service account's token, read at each login"`
	Mount     string `json:"mount" default:"kubernetes" doc:"where the method is mounted"`
}

func (s *Kubernetes) check() error {
	err := errors.Join(checkMount(s.Mount), checkRole(s.Role))
	if s.TokenFile == "" {
		err = errors.Join(err, sdk.At(errors.New("a file is needed"), "token_file"))
	}
	return err
}

func (s *Kubernetes) proof(context.Context) (string, error) {
	return readSecret(s.TokenFile, false) // the kubelet decides who may read it
}

func (s *Kubernetes) login(ctx context.Context, c *client.Client, token string) (grant, error) {
	g, err := ask(ctx, c, s.Mount, map[string]any{"role": s.Role, "jwt": token})
	if err != nil {
		return grant{}, fmt.Errorf("the Kubernetes login with role %s: %w", s.Role, err)
	}
	return g, nil
}

// JWT is the login with a JWT that somebody else issues.
type JWT struct {
	Role      string        `json:"role" doc:"the method's role"`
	Token     sdk.SecretRef `json:"token,omitempty" doc:"reference to the JWT, in another store"`
	TokenFile string        `json:"token_file,omitempty" doc:"file of the JWT, instead of token, read at each login"`
	Mount     string        `json:"mount" default:"jwt" doc:"where the method is mounted"`
}

func (s *JWT) check() error {
	err := errors.Join(checkMount(s.Mount), checkRole(s.Role))
	if s.Token.IsZero() == (s.TokenFile == "") {
		err = errors.Join(err, sdk.At(errors.New("exactly one of token and token_file is needed"), "token"))
	}
	return err
}

func (s *JWT) proof(ctx context.Context) (string, error) {
	if s.TokenFile != "" {
		return readSecret(s.TokenFile, false)
	}
	secret, err := s.Token.Value(ctx)
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	return strings.TrimSpace(string(secret.Reveal())), nil
}

func (s *JWT) login(ctx context.Context, c *client.Client, token string) (grant, error) {
	g, err := ask(ctx, c, s.Mount, map[string]any{"role": s.Role, "jwt": token})
	if err != nil {
		return grant{}, fmt.Errorf("the JWT login with role %s: %w", s.Role, err)
	}
	return g, nil
}
