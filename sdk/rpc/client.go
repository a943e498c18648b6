package rpc

import (
	"context"
	"time"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/realmgate/realmgate/sdk"
)

// client is an instance in another process, of whatever kind, reached over the unary services.
type client struct {
	process   *Process
	realm     string
	requestID string // instead of the one of the context
	step      []Step // the one step that the client stands for
	lent      sdk.SecretRef
	carried   []sdk.SecretRef
}

func (p *Process) client(realm string, k sdk.Kind, instance uint64) client {
	return client{process: p, realm: realm, step: []Step{{Kind: k, Instance: instance}}}
}

// invoke makes one unary call. Its bounds, its errors and its host calls are those of a leg of one step.
func invoke[Q, R proto.Message](ctx context.Context, c client, method func(context.Context, Q, ...grpc.CallOption) (R, error), request func(*pluginv1.Call) Q) (R, error) {
	var none R
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	id := c.requestID
	if id == "" {
		id = sdk.RequestID(ctx)
	}
	entry := &call{ctx: ctx, realm: c.realm, requestID: text(id), parties: c.step, lent: c.lent, carried: c.carried}
	if err := c.process.calls.enter(entry); err != nil {
		return none, err
	}
	defer c.process.calls.leave(entry)
	about := &pluginv1.Call{
		InstanceId: c.step[0].Instance, Realm: c.realm, RequestId: entry.requestID, Traceparent: sdk.TraceParent(ctx), Epoch: c.process.epoch(c.realm),
		Explain: sdk.NotesOf(ctx) != nil,
	}
	if c.process.sessionMode() != SessionNone {
		about.CallId = entry.id
	}
	q := request(about)
	if n := proto.Size(q); n > maxItem {
		return none, tooLarge(n)
	}
	var a answer
	r, err := method(ctx, q, a.opts()...)
	if err != nil {
		return none, orRepeat(fromStatus(ctx, &a, err), q)
	}
	if n := proto.Size(r); n > maxItem {
		return none, tooLarge(n)
	}
	if a, ok := any(r).(interface{ GetCache() *pluginv1.CacheHint }); ok {
		hint(ctx, hintFromProto(a.GetCache()))
	}
	if a, ok := any(r).(interface{ GetNotes() []string }); ok && about.Explain {
		for _, note := range a.GetNotes() {
			sdk.NotesOf(ctx).Add("%s", note)
		}
	}
	if a, ok := any(r).(interface{ GetDenial() *pluginv1.Denial }); ok && a.GetDenial() != nil {
		return none, denialFromProto(a.GetDenial())
	}
	return r, nil
}

// hint says to the step that is being run what the other side said there.
func hint(ctx context.Context, h sdk.CacheHint) {
	if h.NoStore {
		sdk.NoCache(ctx)
	}
	if h.MaxAge > 0 {
		sdk.CacheFor(ctx, h.MaxAge)
	}
}

// Identify is sdk.IdentityProvider.
func (c client) Identify(ctx context.Context, r sdk.Request) (sdk.Identity, error) {
	x, err := invoke(ctx, c, pluginv1.NewIdentityProviderClient(c.process.cc).Identify, func(call *pluginv1.Call) *pluginv1.IdentifyRequest {
		return &pluginv1.IdentifyRequest{Call: call, Request: requestToProto(&r)}
	})
	if err != nil {
		return sdk.Identity{}, err
	}
	return c.process.identity(x.GetIdentity(), c.step[0])
}

// MapPrincipal is sdk.PrincipalMapper.
func (c client) MapPrincipal(ctx context.Context, i sdk.Identity) (sdk.PrincipalRef, error) {
	x, err := invoke(ctx, c, pluginv1.NewPrincipalMapperClient(c.process.cc).MapPrincipal, func(call *pluginv1.Call) *pluginv1.MapPrincipalRequest {
		return &pluginv1.MapPrincipalRequest{Call: call, Identity: identityToProto(&i)}
	})
	if err != nil {
		return sdk.PrincipalRef{}, err
	}
	return valueOr(refFromProto(x.GetPrincipal()), "principal reference")
}

// MapRoles is sdk.PrincipalRolesMapper.
func (c client) MapRoles(ctx context.Context, i sdk.Identity) ([]string, error) {
	x, err := invoke(ctx, c, pluginv1.NewPrincipalRolesMapperClient(c.process.cc).MapRoles, func(call *pluginv1.Call) *pluginv1.MapRolesRequest {
		return &pluginv1.MapRolesRequest{Call: call, Identity: identityToProto(&i)}
	})
	if err != nil {
		return nil, err
	}
	return rolesOr(x.GetRoles(), "mapped roles")
}

// Authenticate is sdk.Authenticator.
func (c client) Authenticate(ctx context.Context, cr sdk.Credential) (sdk.Principal, error) {
	x, err := invoke(ctx, c, pluginv1.NewAuthenticatorClient(c.process.cc).Authenticate, func(call *pluginv1.Call) *pluginv1.AuthenticateRequest {
		return &pluginv1.AuthenticateRequest{Call: call, Credential: credentialToProto(&cr)}
	})
	if err != nil {
		return sdk.Principal{}, err
	}
	return valueOr(principalFromProto(x.GetPrincipal()), "principal")
}

// ActiveRoles is sdk.ActiveRolesProvider.
func (c client) ActiveRoles(ctx context.Context, p sdk.Principal, requested []string) ([]string, error) {
	x, err := invoke(ctx, c, pluginv1.NewActiveRolesProviderClient(c.process.cc).ActiveRoles, func(call *pluginv1.Call) *pluginv1.ActiveRolesRequest {
		return &pluginv1.ActiveRolesRequest{Call: call, Principal: principalToProto(&p), Requested: requested}
	})
	if err != nil {
		return nil, err
	}
	return rolesOr(x.GetRoles(), "active roles")
}

// Verify is sdk.CredentialVerifier.
func (c client) Verify(ctx context.Context, r sdk.Request) (sdk.Credential, error) {
	x, err := invoke(ctx, c, pluginv1.NewTokenBrokerClient(c.process.cc).Verify, func(call *pluginv1.Call) *pluginv1.VerifyRequest {
		return &pluginv1.VerifyRequest{Call: call, Request: requestToProto(&r)}
	})
	if err != nil {
		return sdk.Credential{}, err
	}
	return valueOr(credentialFromProto(x.GetCredential()), "credential")
}

// Issue asks the token broker for a token. realm is the one that is being served.
func (p *Process) Issue(ctx context.Context, realm string, instance uint64, g sdk.Grant) (sdk.Token, error) {
	c := p.client(realm, sdk.KindTokenBroker, instance)
	x, err := invoke(ctx, c, pluginv1.NewTokenBrokerClient(p.cc).Issue, func(call *pluginv1.Call) *pluginv1.IssueRequest {
		return &pluginv1.IssueRequest{Call: call, Grant: grantToProto(g)}
	})
	if err != nil {
		return sdk.Token{}, err
	}
	if x.GetToken().GetValue() == "" {
		return sdk.Token{}, left("token")
	}
	return tokenFromProto(x.GetToken()), nil
}

// Keys asks a token broker that is a key publisher for its JWK set, and until when it may be kept.
func (p *Process) Keys(ctx context.Context, realm string, instance uint64) (jwks []byte, until time.Time, err error) {
	c := p.client(realm, sdk.KindTokenBroker, instance)
	x, err := invoke(ctx, c, pluginv1.NewKeyPublisherClient(p.cc).Keys, func(call *pluginv1.Call) *pluginv1.KeysRequest {
		return &pluginv1.KeysRequest{Call: call}
	})
	if err != nil {
		return nil, time.Time{}, err
	}
	if len(x.GetJwks()) == 0 {
		return nil, time.Time{}, left("keys")
	}
	return x.GetJwks(), timeFromProto(x.GetCacheUntilUnixMs()), nil
}

// Resolve asks a secret resolver for the value of a reference into its store.
func (p *Process) Resolve(ctx context.Context, instance uint64, ref sdk.SecretRef) (sdk.Secret, error) {
	c := p.client("", sdk.KindSecretResolver, instance)
	x, err := invoke(ctx, c, pluginv1.NewSecretResolverClient(p.cc).Resolve, func(call *pluginv1.Call) *pluginv1.ResolveRequest {
		return &pluginv1.ResolveRequest{Call: call, Reference: ref.String()}
	})
	if err != nil {
		return sdk.Secret{}, err
	}
	if x.GetSecret() == nil {
		return sdk.Secret{}, left("secret")
	}
	return secretFromProto(x.GetSecret()), nil
}

// WriteSecret asks a secret resolver that is a secret writer to keep a value, and answers its version, empty where the
// store keeps none.
func (p *Process) WriteSecret(ctx context.Context, instance uint64, ref sdk.SecretRef, value []byte) (version string, err error) {
	c := p.client("", sdk.KindSecretResolver, instance)
	x, err := invoke(ctx, c, pluginv1.NewSecretWriterClient(p.cc).WriteSecret, func(call *pluginv1.Call) *pluginv1.WriteSecretRequest {
		return &pluginv1.WriteSecretRequest{Call: call, Reference: ref.String(), Value: value}
	})
	if err != nil {
		return "", err
	}
	return x.GetVersion(), nil
}

// DeleteSecret asks a secret resolver that is a secret writer to delete a secret.
func (p *Process) DeleteSecret(ctx context.Context, instance uint64, ref sdk.SecretRef) error {
	c := p.client("", sdk.KindSecretResolver, instance)
	_, err := invoke(ctx, c, pluginv1.NewSecretWriterClient(p.cc).DeleteSecret, func(call *pluginv1.Call) *pluginv1.DeleteSecretRequest {
		return &pluginv1.DeleteSecretRequest{Call: call, Reference: ref.String()}
	})
	return err
}

// Vend asks a credential vendor for credentials. The request id of r, if it has one, stands for that of the context.
func (p *Process) Vend(ctx context.Context, realm string, instance uint64, r sdk.VendRequest) (sdk.ConnectionCredentials, error) {
	c := p.client(realm, sdk.KindCredentialVendor, instance)
	c.requestID, c.lent, c.carried = r.RequestID, lent(r.Connection), carried(r.Connection)
	x, err := invoke(ctx, c, pluginv1.NewCredentialVendorClient(p.cc).Vend, func(call *pluginv1.Call) *pluginv1.VendRequest {
		return &pluginv1.VendRequest{
			Call: call, Connection: connectionToProto(r.Connection), Caller: principalToProto(&r.Caller),
			NarrowTo: r.NarrowTo, MinLifetimeMs: r.MinLifetime.Milliseconds(),
		}
	})
	if err != nil {
		return sdk.ConnectionCredentials{}, err
	}
	if x.GetCredentials() == nil {
		return sdk.ConnectionCredentials{}, left("credentials")
	}
	return vendedFromProto(x.GetCredentials()), nil
}

// Sign asks a credential vendor that is a request signer to sign a request.
func (p *Process) Sign(ctx context.Context, realm string, instance uint64, r sdk.SignRequest) (sdk.SignedRequest, error) {
	c := p.client(realm, sdk.KindCredentialVendor, instance)
	c.lent, c.carried = lent(r.Connection), carried(r.Connection)
	x, err := invoke(ctx, c, pluginv1.NewRequestSignerClient(p.cc).Sign, func(call *pluginv1.Call) *pluginv1.SignRequest {
		return &pluginv1.SignRequest{
			Call: call, Connection: connectionToProto(r.Connection), Caller: principalToProto(&r.Caller),
			Http: httpToProto(&r.HTTP), Presign: r.Presign, LifetimeMs: r.Lifetime.Milliseconds(),
		}
	})
	if err != nil {
		return sdk.SignedRequest{}, err
	}
	if x.GetUrl() == "" {
		return sdk.SignedRequest{}, left("signed request")
	}
	return sdk.SignedRequest{
		URL: x.GetUrl(), Header: headersFromProto(x.GetHeaders()), Expires: timeFromProto(x.GetExpiresUnixMs()), AuditID: x.GetAuditId(),
	}, nil
}
