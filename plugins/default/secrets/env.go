package secrets

import (
	"context"
	"errors"
	"slices"

	"github.com/realmgate/realmgate/sdk"
)

// Env resolves references to environment variables of the host. It knows only those that the store's block lists: the host
// sends their values, the plugin's own environment is not read.
type Env struct {
	values map[string]sdk.Secret
	unset  []string // that are listed
}

// EnvSettings has no keys: the list of variables is the host's.
type EnvSettings struct{}

// NewEnv takes the variables that the host sent.
func NewEnv(_ context.Context, setup sdk.Setup, _ EnvSettings) (*Env, error) {
	return &Env{values: setup.Environment, unset: setup.Unset}, nil
}

// Resolve gives the variable that the path names. One that is not listed or not set is an error.
func (e *Env) Resolve(_ context.Context, ref sdk.SecretRef) (sdk.Secret, error) {
	if ref.Version() != "" {
		return sdk.Secret{}, errVersion
	}
	v, ok := e.values[ref.Path()]
	switch {
	case ok:
		return v, nil
	case slices.Contains(e.unset, ref.Path()):
		return sdk.Secret{}, errors.New("the variable is not set in the daemon's environment")
	}
	return sdk.Secret{}, errors.New("the variable is not among those that the store's block lists as variables")
}
