package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/realmgate/realmgate/host/secret"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// hostCalls answers what one plugin asks the host. Instance and realm of the caller are what the host knows of the call
// that is being served, never what the plugin claims.
type hostCalls struct {
	p      *supervised
	offers []rpc.Offer // of the process, whose first question comes later

	outbound *outbound // of the process

	mu   sync.Mutex
	said map[Refused]bool // of what the log has a line
}

var (
	errNoRealm      = errors.New("the directory answers only where a realm is being served")
	errNoAccessKeys = errors.New("this host keeps no access keys")
	errNoSecrets    = errors.New("this host keeps no secrets")
)

// caller finds the instance that asks, and refuses one that is not this plugin's or that serves a realm which is not its own.
func (h *hostCalls) caller(c rpc.Caller) (*instance, error) {
	v, ok := h.p.calls.Load(c.Instance)
	if !ok {
		return nil, fmt.Errorf("the instance %d is not configured", c.Instance)
	}
	i := v.(*instance)
	if c.Realm != "" && !i.in.serves(c.Realm) {
		return nil, errOtherRealm
	}
	return i, nil
}

// FindPrincipal looks a principal of the realm up that is being served.
func (h *hostCalls) FindPrincipal(ctx context.Context, c rpc.Caller, ref sdk.PrincipalRef) (sdk.Principal, error) {
	i, err := h.caller(c)
	if err != nil {
		return sdk.Principal{}, err
	}
	d := h.p.c.opts.Directory
	if c.Realm == "" || d == nil {
		return sdk.Principal{}, errNoRealm
	}
	if err := h.permit(ctx, i, c.Realm, sdk.WantPrincipals, ""); err != nil {
		return sdk.Principal{}, err
	}
	return d.FindPrincipal(ctx, c.Realm, ref)
}

// FindAccessKey looks an access key of the realm up that is being served.
func (h *hostCalls) FindAccessKey(ctx context.Context, c rpc.Caller, id string) (sdk.AccessKey, error) {
	i, err := h.caller(c)
	if err != nil {
		return sdk.AccessKey{}, err
	}
	k := h.p.c.opts.AccessKeys
	switch {
	case k == nil:
		return sdk.AccessKey{}, errNoAccessKeys
	case c.Realm == "":
		return sdk.AccessKey{}, errNoRealm
	}
	if err := h.permit(ctx, i, c.Realm, sdk.WantAccessKeys, ""); err != nil {
		return sdk.AccessKey{}, err
	}
	return k.FindAccessKey(ctx, c.Realm, id)
}

// ResolveSecret resolves a reference that stands in the settings of the instance, or the one to the service identity's keys
// that this very call brought along. Of what is granted to the realm that is being served it resolves what the call brought
// along too, and the rest for who is allowed to ask; no other.
func (h *hostCalls) ResolveSecret(ctx context.Context, c rpc.Caller, ref sdk.SecretRef) (sdk.Secret, error) {
	i, err := h.caller(c)
	if err != nil {
		return sdk.Secret{}, err
	}
	v, err := h.resolve(ctx, i, c, ref)
	// What came with the daemon tells no secret, which its own tests see to; to look for them costs each denial.
	if err == nil && !h.p.src.Bundled {
		i.confided.note(v, ref, slices.Contains(i.in.Refs, ref))
	}
	return v, err
}

func (h *hostCalls) resolve(ctx context.Context, i *instance, c rpc.Caller, ref sdk.SecretRef) (sdk.Secret, error) {
	s := *i.secrets.Load()
	if s == nil {
		s = h.p.c.opts.Secrets
	}
	switch {
	case s == nil || ref.IsZero():
		return sdk.Secret{}, errNoSecrets
	case slices.Contains(i.in.Refs, ref), ref == c.Lent && c.Realm != "":
		return s.Resolve(ctx, ref)
	case c.Realm == "" || c.Configuring:
		return sdk.Secret{}, h.refuse(ctx, i, c.Realm, sdk.WantGrantedSecrets, whyOutside)
	case slices.Contains(c.Carried, ref):
	default:
		if err := h.permit(ctx, i, c.Realm, sdk.WantGrantedSecrets, ref.Store()); err != nil {
			return sdk.Secret{}, err
		}
	}
	return s.ResolveGranted(ctx, c.Realm, ref)
}

// Scope sees to it that the fields of one secret that a call is given belong together.
func (*hostCalls) Scope(ctx context.Context) context.Context { return secret.Together(ctx) }

// Epoch gives the realm's epoch.
func (h *hostCalls) Epoch(realm string) uint64 {
	d := h.p.c.opts.Directory
	if realm == "" || d == nil {
		return 0
	}
	return d.Epoch(realm)
}
