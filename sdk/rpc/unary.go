package rpc

import (
	"context"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/realmgate/realmgate/sdk"
)

// unary is the server half of the kinds' services.
type unary struct {
	pluginv1.UnimplementedIdentityProviderServer
	pluginv1.UnimplementedPrincipalMapperServer
	pluginv1.UnimplementedPrincipalRolesMapperServer
	pluginv1.UnimplementedAuthenticatorServer
	pluginv1.UnimplementedActiveRolesProviderServer
	pluginv1.UnimplementedTokenBrokerServer
	pluginv1.UnimplementedSecretResolverServer
	pluginv1.UnimplementedCredentialVendorServer
	pluginv1.UnimplementedKeyPublisherServer
	pluginv1.UnimplementedSecretWriterServer
	pluginv1.UnimplementedRequestSignerServer

	plugin *plugin
}

// registerKinds registers the services that the implementations need.
func registerKinds(g grpc.ServiceRegistrar, p *plugin, impls []sdk.Implementation) {
	u := &unary{plugin: p}
	kinds, abilities := map[sdk.Kind]bool{}, map[sdk.Ability]bool{}
	for _, i := range impls {
		kinds[i.Kind()] = true
		for _, a := range i.Abilities() {
			abilities[a] = true
		}
	}
	for _, s := range []struct {
		wanted   bool
		register func()
	}{
		{kinds[sdk.KindIdentityProvider], func() { pluginv1.RegisterIdentityProviderServer(g, u) }},
		{kinds[sdk.KindPrincipalMapper], func() { pluginv1.RegisterPrincipalMapperServer(g, u) }},
		{kinds[sdk.KindPrincipalRolesMapper], func() { pluginv1.RegisterPrincipalRolesMapperServer(g, u) }},
		{kinds[sdk.KindAuthenticator], func() { pluginv1.RegisterAuthenticatorServer(g, u) }},
		{kinds[sdk.KindActiveRolesProvider], func() { pluginv1.RegisterActiveRolesProviderServer(g, u) }},
		{kinds[sdk.KindTokenBroker], func() { pluginv1.RegisterTokenBrokerServer(g, u) }},
		{kinds[sdk.KindSecretResolver], func() { pluginv1.RegisterSecretResolverServer(g, u) }},
		{kinds[sdk.KindCredentialVendor], func() { pluginv1.RegisterCredentialVendorServer(g, u) }},
		{abilities[sdk.AbilityKeyPublisher], func() { pluginv1.RegisterKeyPublisherServer(g, u) }},
		{abilities[sdk.AbilitySecretWriter], func() { pluginv1.RegisterSecretWriterServer(g, u) }},
		{abilities[sdk.AbilityRequestSigner], func() { pluginv1.RegisterRequestSignerServer(g, u) }},
	} {
		if s.wanted {
			s.register()
		}
	}
}

func servingOf(c *pluginv1.Call) *serving {
	return &serving{callID: c.GetCallId(), realm: c.GetRealm(), requestID: c.GetRequestId(), trace: sdk.ParseTrace(c.GetTraceparent()), epoch: c.GetEpoch()}
}

// stage runs a single stage: the same Step as in a leg.
func (u *unary) stage(ctx context.Context, k sdk.Kind, c *pluginv1.Call, st *sdk.State) (*pluginv1.Denial, error) {
	if c.GetExplain() {
		st.Notes = &sdk.Notes{}
	}
	return split(u.plugin.step(ctx, servingOf(c), k, c.GetInstanceId(), st))
}

// on calls f with the instance if it satisfies T.
func on[T any](ctx context.Context, u *unary, k sdk.Kind, c *pluginv1.Call, f func(context.Context, T) error) (*pluginv1.Denial, error) {
	return split(u.plugin.with(ctx, servingOf(c), k, c.GetInstanceId(), func(ctx context.Context, i *instance) error {
		impl, ok := i.impl.(T)
		if !ok {
			return failf(CodeError, "the instance %d does not have this ability", c.GetInstanceId())
		}
		return f(ctx, impl)
	}))
}

// split sorts an error into a denial, which is part of an answer, and a status.
func split(err error) (*pluginv1.Denial, error) {
	if err == nil {
		return nil, nil
	}
	if d := sdk.AsDenial(err); d != nil {
		return denialToProto(d), nil
	}
	return nil, statusOf(err)
}

// bounded gives the answer if it is small enough. The stream's bound holds here too, so that what works on one way works
// on the other.
func bounded[M proto.Message](m M, err error) (M, error) {
	var none M
	if err != nil {
		return none, err
	}
	if n := proto.Size(m); n > maxItem {
		return none, statusOf(&ownFailure{tooLarge(n)})
	}
	return m, nil
}

// Identify is the contract's IdentityProvider.Identify.
func (u *unary) Identify(ctx context.Context, r *pluginv1.IdentifyRequest) (*pluginv1.IdentifyResponse, error) {
	st := &sdk.State{Request: requestFromProto(r.GetRequest(), r.GetCall().GetRealm())}
	d, err := u.stage(ctx, sdk.KindIdentityProvider, r.GetCall(), st)
	return bounded(&pluginv1.IdentifyResponse{Identity: identityToProto(st.Identity), Denial: d, Cache: hintToProto(st.Cache), Notes: st.Notes.List()}, err)
}

// MapPrincipal is the contract's PrincipalMapper.MapPrincipal.
func (u *unary) MapPrincipal(ctx context.Context, r *pluginv1.MapPrincipalRequest) (*pluginv1.MapPrincipalResponse, error) {
	st := &sdk.State{Identity: identityFromProto(r.GetIdentity())}
	d, err := u.stage(ctx, sdk.KindPrincipalMapper, r.GetCall(), st)
	return bounded(&pluginv1.MapPrincipalResponse{Principal: refToProto(st.Ref), Denial: d, Cache: hintToProto(st.Cache), Notes: st.Notes.List()}, err)
}

// MapRoles is the contract's PrincipalRolesMapper.MapRoles.
func (u *unary) MapRoles(ctx context.Context, r *pluginv1.MapRolesRequest) (*pluginv1.MapRolesResponse, error) {
	st := &sdk.State{Identity: identityFromProto(r.GetIdentity())}
	d, err := u.stage(ctx, sdk.KindPrincipalRolesMapper, r.GetCall(), st)
	return bounded(&pluginv1.MapRolesResponse{Roles: rolesToProto(st.Mapped), Denial: d, Cache: hintToProto(st.Cache), Notes: st.Notes.List()}, err)
}

// Authenticate is the contract's Authenticator.Authenticate.
func (u *unary) Authenticate(ctx context.Context, r *pluginv1.AuthenticateRequest) (*pluginv1.AuthenticateResponse, error) {
	st := &sdk.State{Credential: credentialFromProto(r.GetCredential())}
	d, err := u.stage(ctx, sdk.KindAuthenticator, r.GetCall(), st)
	return bounded(&pluginv1.AuthenticateResponse{Principal: principalToProto(st.Principal), Denial: d, Cache: hintToProto(st.Cache), Notes: st.Notes.List()}, err)
}

// ActiveRoles is the contract's ActiveRolesProvider.ActiveRoles.
func (u *unary) ActiveRoles(ctx context.Context, r *pluginv1.ActiveRolesRequest) (*pluginv1.ActiveRolesResponse, error) {
	st := &sdk.State{Principal: principalFromProto(r.GetPrincipal()), Credential: &sdk.Credential{RequestedRoles: r.GetRequested()}}
	d, err := u.stage(ctx, sdk.KindActiveRolesProvider, r.GetCall(), st)
	return bounded(&pluginv1.ActiveRolesResponse{Roles: rolesToProto(st.Active), Denial: d, Cache: hintToProto(st.Cache), Notes: st.Notes.List()}, err)
}

// Verify is the contract's TokenBroker.Verify.
func (u *unary) Verify(ctx context.Context, r *pluginv1.VerifyRequest) (*pluginv1.VerifyResponse, error) {
	st := &sdk.State{Request: requestFromProto(r.GetRequest(), r.GetCall().GetRealm())}
	d, err := u.stage(ctx, sdk.KindTokenBroker, r.GetCall(), st)
	return bounded(&pluginv1.VerifyResponse{Credential: credentialToProto(st.Credential), Denial: d, Cache: hintToProto(st.Cache), Notes: st.Notes.List()}, err)
}
