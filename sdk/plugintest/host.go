package plugintest

import (
	"context"
	"errors"
	"sync"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// host answers the host calls of a plugin from the case that an instance belongs to.
type host struct {
	mu    sync.Mutex
	cases map[uint64]*Case // by instance
}

func (h *host) set(id uint64, c *Case) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.cases == nil {
		h.cases = map[uint64]*Case{}
	}
	h.cases[id] = c
}

func (h *host) of(caller rpc.Caller) *Case {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c := h.cases[caller.Instance]; c != nil {
		return c
	}
	return &Case{}
}

// FindPrincipal is rpc.HostServices'.
func (h *host) FindPrincipal(_ context.Context, caller rpc.Caller, ref sdk.PrincipalRef) (sdk.Principal, error) {
	for _, p := range h.of(caller).Principals {
		if ref != (sdk.PrincipalRef{}) && (ref.ID == "" || ref.ID == p.ID) && (ref.Name == "" || ref.Name == p.Name) {
			return p, nil
		}
	}
	return sdk.Principal{}, sdk.Forbid("principal_unknown", "there is no such principal")
}

// FindAccessKey is rpc.HostServices'.
func (h *host) FindAccessKey(_ context.Context, caller rpc.Caller, id string) (sdk.AccessKey, error) {
	for _, k := range h.of(caller).AccessKeys {
		if k.ID == id {
			return k, nil
		}
	}
	return sdk.AccessKey{}, sdk.Deny("access_key_unknown", "there is no such access key")
}

// ResolveSecret is rpc.HostServices'.
func (h *host) ResolveSecret(_ context.Context, caller rpc.Caller, ref sdk.SecretRef) (sdk.Secret, error) {
	for text, value := range h.of(caller).Secrets {
		if r, err := sdk.ParseSecretRef(text); err == nil && r == ref {
			return sdk.NewSecret([]byte(value)), nil
		}
	}
	return sdk.Secret{}, errors.New("there is no such secret")
}

// Epoch is rpc.HostServices': answers must not be remembered.
func (h *host) Epoch(string) uint64 { return 0 }
