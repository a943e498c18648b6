package plugintest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// host answers the host calls of a plugin from the case that an instance belongs to.
type host struct {
	offers []rpc.Offer // set before the first instance
	notes  *notes

	moved atomic.Uint64 // how often the directory has changed

	mu    sync.Mutex
	cases map[uint64]of // by instance
}

// of is what an instance was made of.
type of struct {
	Case
	settings string
}

func (h *host) set(id uint64, c Case, settings string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.cases == nil {
		h.cases = map[uint64]of{}
	}
	h.cases[id] = of{c, settings}
}

func (h *host) of(caller rpc.Caller) of {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.cases[caller.Instance]
}

// refuse is what a real host says of what the manifest does not want. The operator of a test allows everything else.
func (h *host) refuse(c of, want sdk.Want) error {
	for _, o := range h.offers {
		if o.Kind == c.Kind && o.Type == c.Type && slices.Contains(o.Wants, want) {
			return nil
		}
	}
	h.notes.ask(fmt.Sprintf("the %v %q asks for %v, which the manifest does not say that it wants", c.Kind, c.Type, want))
	return fmt.Errorf("%w: the manifest does not say that the %v %q wants %v", sdk.ErrNotAllowed, c.Kind, c.Type, want)
}

// FindPrincipal is rpc.HostServices'.
func (h *host) FindPrincipal(_ context.Context, caller rpc.Caller, ref sdk.PrincipalRef) (sdk.Principal, error) {
	c := h.of(caller)
	if err := h.refuse(c, sdk.WantPrincipals); err != nil {
		return sdk.Principal{}, err
	}
	for _, p := range c.Principals {
		if ref != (sdk.PrincipalRef{}) && (ref.ID == "" || ref.ID == p.ID) && (ref.Name == "" || ref.Name == p.Name) {
			return p, nil
		}
	}
	return sdk.Principal{}, sdk.Forbid("principal_unknown", "there is no such principal")
}

// FindAccessKey is rpc.HostServices'.
func (h *host) FindAccessKey(_ context.Context, caller rpc.Caller, id string) (sdk.AccessKey, error) {
	c := h.of(caller)
	if err := h.refuse(c, sdk.WantAccessKeys); err != nil {
		return sdk.AccessKey{}, err
	}
	for _, k := range c.AccessKeys {
		if k.ID == id {
			return k, nil
		}
	}
	return sdk.AccessKey{}, sdk.Deny("access_key_unknown", "there is no such access key")
}

// ResolveSecret is rpc.HostServices'.
func (h *host) ResolveSecret(_ context.Context, caller rpc.Caller, ref sdk.SecretRef) (sdk.Secret, error) {
	c := h.of(caller)
	for text, value := range c.Secrets {
		if r, err := sdk.ParseSecretRef(text); err != nil || r != ref {
			continue
		}
		if ref != caller.Lent && !slices.Contains(caller.Carried, ref) && !slices.Contains(sdk.SecretRefsIn([]byte(c.settings)), ref) {
			if err := h.refuse(c, sdk.WantGrantedSecrets); err != nil {
				return sdk.Secret{}, err
			}
		}
		return sdk.NewSecret([]byte(value)), nil
	}
	return sdk.Secret{}, errors.New("there is no such secret")
}

// Epoch is rpc.HostServices': all realms have the same number, which tells none apart from another.
func (h *host) Epoch(string) uint64 { return h.moved.Load() + 1 }

// change gives an instance another directory, and moves the epoch.
func (h *host) change(id uint64, principals []sdk.Principal, keys []sdk.AccessKey) {
	h.mu.Lock()
	of := h.cases[id]
	of.Principals, of.AccessKeys = principals, keys
	h.cases[id] = of
	h.mu.Unlock()
	h.moved.Add(1)
}
