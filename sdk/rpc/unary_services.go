package rpc

import (
	"context"
	"errors"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"

	"github.com/realmgate/realmgate/sdk"
)

// The services outside a decision.

// Issue is the contract's TokenBroker.Issue.
func (u *unary) Issue(ctx context.Context, r *pluginv1.IssueRequest) (*pluginv1.IssueResponse, error) {
	out := &pluginv1.IssueResponse{}
	d, err := on(ctx, u, sdk.KindTokenBroker, r.GetCall(), func(ctx context.Context, b sdk.TokenBroker) error {
		t, err := b.Issue(ctx, grantFromProto(r.GetGrant()))
		if err == nil {
			out.Token = tokenToProto(t)
		}
		return err
	})
	out.Denial = d
	return bounded(out, err)
}

// Keys is the contract's KeyPublisher.Keys.
func (u *unary) Keys(ctx context.Context, r *pluginv1.KeysRequest) (*pluginv1.KeysResponse, error) {
	out := &pluginv1.KeysResponse{}
	d, err := on(ctx, u, sdk.KindTokenBroker, r.GetCall(), func(ctx context.Context, b sdk.KeyPublisher) error {
		jwks, until, err := b.Keys(ctx)
		out.Jwks, out.CacheUntilUnixMs = jwks, timeToProto(until)
		return err
	})
	return bounded(out, nobody(d, err))
}

// Resolve is the contract's SecretResolver.Resolve.
func (u *unary) Resolve(ctx context.Context, r *pluginv1.ResolveRequest) (*pluginv1.ResolveResponse, error) {
	out := &pluginv1.ResolveResponse{}
	d, err := on(ctx, u, sdk.KindSecretResolver, r.GetCall(), func(ctx context.Context, s sdk.SecretResolver) error {
		ref, err := sdk.ParseSecretRef(r.GetReference())
		if err == nil && ref.Field() != "" {
			err = errField
		}
		if err != nil {
			return err
		}
		v, err := s.Resolve(ctx, ref)
		if err == nil {
			out.Secret = secretToProto(v)
		}
		return err
	})
	return bounded(out, nobody(d, err))
}

// nobody turns a denial into an error where there is no caller to deny anything to.
func nobody(d *pluginv1.Denial, err error) error {
	if d != nil {
		return statusOf(denialFromProto(d))
	}
	return err
}

var (
	errField  = errors.New("a resolver gives whole secrets: to take a field out is up to the host")
	errPinned = errors.New("a single version or field of a secret can be neither written nor deleted")
)

// writable parses a reference to what can be written and deleted.
func writable(text string) (sdk.SecretRef, error) {
	ref, err := sdk.ParseSecretRef(text)
	if err == nil && (ref.Version() != "" || ref.Field() != "") {
		err = errPinned
	}
	return ref, err
}

// WriteSecret is the contract's SecretWriter.WriteSecret.
func (u *unary) WriteSecret(ctx context.Context, r *pluginv1.WriteSecretRequest) (*pluginv1.WriteSecretResponse, error) {
	out := &pluginv1.WriteSecretResponse{}
	d, err := on(ctx, u, sdk.KindSecretResolver, r.GetCall(), func(ctx context.Context, s sdk.SecretWriter) error {
		ref, err := writable(r.GetReference())
		if err != nil {
			return err
		}
		out.Version, err = s.WriteSecret(ctx, ref, r.GetValue())
		return err
	})
	return bounded(out, nobody(d, err))
}

// DeleteSecret is the contract's SecretWriter.DeleteSecret.
func (u *unary) DeleteSecret(ctx context.Context, r *pluginv1.DeleteSecretRequest) (*pluginv1.DeleteSecretResponse, error) {
	d, err := on(ctx, u, sdk.KindSecretResolver, r.GetCall(), func(ctx context.Context, s sdk.SecretWriter) error {
		ref, err := writable(r.GetReference())
		if err != nil {
			return err
		}
		return s.DeleteSecret(ctx, ref)
	})
	return bounded(&pluginv1.DeleteSecretResponse{}, nobody(d, err))
}

// Vend is the contract's CredentialVendor.Vend.
func (u *unary) Vend(ctx context.Context, r *pluginv1.VendRequest) (*pluginv1.VendResponse, error) {
	out := &pluginv1.VendResponse{}
	d, err := on(ctx, u, sdk.KindCredentialVendor, r.GetCall(), func(ctx context.Context, v sdk.CredentialVendor) error {
		conn, err := connectionFromProto(r.GetConnection())
		if err != nil {
			return err
		}
		q := sdk.VendRequest{
			Connection: conn, RequestID: r.GetCall().GetRequestId(), NarrowTo: r.GetNarrowTo(), MinLifetime: durationFromProto(r.GetMinLifetimeMs()),
		}
		if p := principalFromProto(r.GetCaller()); p != nil {
			q.Caller = *p
		}
		c, err := v.Vend(ctx, q)
		if err == nil {
			out.Credentials = vendedToProto(c)
		}
		return err
	})
	out.Denial = d
	return bounded(out, err)
}

// Sign is the contract's RequestSigner.Sign.
func (u *unary) Sign(ctx context.Context, r *pluginv1.SignRequest) (*pluginv1.SignResponse, error) {
	out := &pluginv1.SignResponse{}
	d, err := on(ctx, u, sdk.KindCredentialVendor, r.GetCall(), func(ctx context.Context, v sdk.RequestSigner) error {
		conn, err := connectionFromProto(r.GetConnection())
		if err != nil {
			return err
		}
		q := sdk.SignRequest{Connection: conn, Presign: r.GetPresign(), Lifetime: durationFromProto(r.GetLifetimeMs())}
		if p := principalFromProto(r.GetCaller()); p != nil {
			q.Caller = *p
		}
		if m := httpFromProto(r.GetHttp()); m != nil {
			q.HTTP = *m
		}
		s, err := v.Sign(ctx, q)
		out.Url, out.Headers, out.ExpiresUnixMs, out.AuditId = s.URL, headersToProto(s.Header), timeToProto(s.Expires), s.AuditID
		return err
	})
	out.Denial = d
	return bounded(out, err)
}
