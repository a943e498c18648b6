package rpc

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"

	"github.com/realmgate/realmgate/sdk"
)

// Bounds on what a plugin remembers of the directory: entries, and bytes of one.
const (
	maxKnown      = 4096
	maxKnownBytes = 8 << 10
)

// knownKey is under which a principal is remembered. An answer holds for one epoch of one realm, and for the instance that
// asked: another one may not be allowed to ask.
type knownKey struct {
	instance uint64
	realm    string
	epoch    uint64
	ref      sdk.PrincipalRef
}

// knownAccessKey is under which an access key is remembered, likewise.
type knownAccessKey struct {
	instance uint64
	realm    string
	epoch    uint64
	id       string
}

// pluginHost is sdk.Call for one instance.
type pluginHost struct {
	plugin   *plugin
	serving  *serving
	instance uint64
}

// Logger is sdk.Call's. Most calls write no line and make no logger.
func (h *pluginHost) Logger() *slog.Logger {
	return slog.New(&callHandler{base: h.plugin.logger.Handler(), instance: h.instance, serving: h.serving})
}

// RequestID is sdk.Call's.
func (h *pluginHost) RequestID() string { return h.serving.requestID }

// Trace is sdk.Call's.
func (h *pluginHost) Trace() sdk.Trace { return h.serving.trace }

// Realm is sdk.Call's.
func (h *pluginHost) Realm() string { return h.serving.realm }

// Epoch is sdk.Call's.
func (h *pluginHost) Epoch() uint64 { return h.serving.epoch }

// FindPrincipal is sdk.Host's.
func (h *pluginHost) FindPrincipal(ctx context.Context, ref sdk.PrincipalRef) (sdk.Principal, error) {
	key := knownKey{h.instance, h.serving.realm, h.serving.epoch, ref}
	if key.epoch != 0 {
		if p, ok := h.plugin.known.Get(key); ok {
			return clonePrincipal(p), nil
		}
	}
	reply, err := h.ask(ctx, &pluginv1.HostCall{Call: &pluginv1.HostCall_FindPrincipal{
		FindPrincipal: &pluginv1.FindPrincipal{Ref: refToProto(&ref)},
	}})
	if err != nil {
		return sdk.Principal{}, err
	}
	p := principalFromProto(reply.GetPrincipal())
	if p == nil {
		return sdk.Principal{}, errors.New("rpc: the host's answer has no principal")
	}
	if key.epoch != 0 && sizeOf(p) <= maxKnownBytes {
		h.plugin.known.Add(key, clonePrincipal(*p))
	}
	return *p, nil
}

// clonePrincipal copies what a part might change.
func clonePrincipal(p sdk.Principal) sdk.Principal {
	p.Roles, p.Attributes = slices.Clone(p.Roles), maps.Clone(p.Attributes)
	return p
}

func sizeOf(p *sdk.Principal) int {
	n := len(p.Realm) + len(p.ID) + len(p.Name)
	for _, r := range p.Roles {
		n += len(r) + 16
	}
	for k, v := range p.Attributes {
		n += len(k) + len(v) + 48
	}
	return n
}

// FindAccessKey is sdk.Host's.
func (h *pluginHost) FindAccessKey(ctx context.Context, id string) (sdk.AccessKey, error) {
	if !h.plugin.accessKeys.Load() {
		return sdk.AccessKey{}, failf(CodeUnsupported, "the host answers no look-ups of access keys: it is older than this plugin and has not the feature %s", featureAccessKeys)
	}
	key := knownAccessKey{h.instance, h.serving.realm, h.serving.epoch, id}
	if key.epoch != 0 {
		if k, ok := h.plugin.knownKeys.Get(key); ok {
			return k, nil
		}
	}
	reply, err := h.ask(ctx, &pluginv1.HostCall{Call: &pluginv1.HostCall_FindAccessKey{FindAccessKey: &pluginv1.FindAccessKey{Id: id}}})
	if err != nil {
		return sdk.AccessKey{}, err
	}
	if reply.GetAccessKey() == nil {
		return sdk.AccessKey{}, errors.New("rpc: the host's answer has no access key")
	}
	k, err := accessKeyFromProto(reply.GetAccessKey())
	if err != nil {
		return sdk.AccessKey{}, err
	}
	if k.ID != id {
		return sdk.AccessKey{}, errors.New("rpc: the host answered another access key")
	}
	if key.epoch != 0 && len(k.Principal.ID)+len(k.Principal.Name)+len(k.Secret.String()) <= maxKnownBytes {
		h.plugin.knownKeys.Add(key, k)
	}
	return k, nil
}

// ResolveSecret is sdk.Host's.
func (h *pluginHost) ResolveSecret(ctx context.Context, ref sdk.SecretRef) (sdk.Secret, error) {
	reply, err := h.ask(ctx, &pluginv1.HostCall{Call: &pluginv1.HostCall_ResolveSecret{
		ResolveSecret: &pluginv1.ResolveSecret{Reference: ref.String()},
	}})
	if err != nil {
		return sdk.Secret{}, err
	}
	if reply.GetSecret() == nil {
		return sdk.Secret{}, errors.New("rpc: the host's answer has no secret")
	}
	return secretFromProto(reply.GetSecret()), nil
}

// ask sends a host call and waits for its reply.
func (h *pluginHost) ask(ctx context.Context, call *pluginv1.HostCall) (*pluginv1.HostReply, error) {
	if h.serving.callID == 0 {
		return nil, errors.New("rpc: this call may not ask the host for anything")
	}
	s := h.serving.session
	if s == nil {
		s = h.plugin.current(ctx)
	}
	if s == nil {
		return nil, errors.New("rpc: there is no session with the host")
	}
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	call.Id, call.CallId, call.InstanceId, call.TimeoutUs = s.seq.Add(1), h.serving.callID, h.instance, 1
	if d, ok := ctx.Deadline(); ok {
		call.TimeoutUs = max(1, time.Until(d).Microseconds())
	}
	replies := make(chan *pluginv1.HostReply, 1)
	s.mu.Lock()
	s.waiting[call.GetId()] = replies
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.waiting, call.GetId())
		s.mu.Unlock()
	}()
	if r := h.serving.reader; r != nil {
		r.pass()
	}
	if err := s.out.put(ctx, fieldHostCalls, call); err != nil {
		return nil, err
	}
	select {
	case reply := <-replies:
		if d := reply.GetDenial(); d != nil {
			return nil, denialFromProto(d)
		}
		if f := reply.GetFailure(); f != nil {
			return nil, failureFromProto(f)
		}
		return reply, nil
	case <-ctx.Done():
		return nil, givenUp(ctx)
	case <-s.ctx.Done():
		return nil, ErrLost
	}
}
