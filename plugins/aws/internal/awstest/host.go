package awstest

import (
	"context"
	"errors"
	"sync"

	"github.com/realmgate/realmgate/sdk"
)

// Secrets answer a part's questions for secrets. They may change while a part is asking.
type Secrets struct {
	sdk.Host // nothing else is asked for

	mu     sync.Mutex
	values map[string]string
}

// NewSecrets gives secrets by their references.
func NewSecrets(values map[string]string) *Secrets { return &Secrets{values: values} }

// Set changes a secret.
func (s *Secrets) Set(ref, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[ref] = value
}

// ResolveSecret is sdk.Host's.
func (s *Secrets) ResolveSecret(_ context.Context, ref sdk.SecretRef) (sdk.Secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.values[ref.String()]
	if !ok {
		return sdk.Secret{}, errors.New("there is no such secret")
	}
	return sdk.NewSecret([]byte(v)), nil
}

// Ref parses a reference.
func Ref(text string) sdk.SecretRef {
	r, err := sdk.ParseSecretRef(text)
	if err != nil {
		panic(err)
	}
	return r
}
