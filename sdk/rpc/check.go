package rpc

import (
	"context"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"

	"github.com/realmgate/realmgate/sdk"
)

// Check asks an instance of any kind that is a checker whether it can do its work now; nil if it can. realm is the one that
// the instance was configured for, empty where there is none.
func (p *Process) Check(ctx context.Context, realm string, k sdk.Kind, instance uint64) error {
	_, err := invoke(ctx, p.client(realm, k, instance), pluginv1.NewPluginClient(p.cc).Check, func(call *pluginv1.Call) *pluginv1.CheckRequest {
		return &pluginv1.CheckRequest{Call: call}
	})
	return err
}

// Check is the contract's Plugin.Check. Nobody is turned away by it, so that a denial is an error like others.
func (p *plugin) Check(ctx context.Context, r *pluginv1.CheckRequest) (*pluginv1.CheckResponse, error) {
	id := r.GetCall().GetInstanceId()
	i := p.instances.get(id)
	if i == nil {
		return nil, statusOf(&ownFailure{failf(CodeUnknownInstance, "there is no instance %d", id)})
	}
	err := p.with(ctx, servingOf(r.GetCall()), i.kind, id, func(ctx context.Context, i *instance) error {
		c, ok := i.impl.(sdk.Checker)
		if !ok {
			return &ownFailure{failf(CodeUnsupported, "the instance %d cannot be checked", id)}
		}
		return c.Check(ctx)
	})
	if err != nil {
		return nil, statusOf(err)
	}
	return &pluginv1.CheckResponse{}, nil
}
