package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/serve"
)

// echo is a credential vendor that gives what it can resolve, so that a test sees what it was given and allowed.
type echo struct{}

// resolve gives the keys of the service identity, and the secret of the connection's parameters.
func (echo) resolve(ctx context.Context, c sdk.Connection) (map[string]sdk.Secret, error) {
	var a struct {
		BearerToken sdk.SecretRef `json:"bearerToken"`
		RoleARN     string        `json:"roleArn"`
	}
	if err := json.Unmarshal(c.Authentication, &a); err != nil {
		return nil, err
	}
	out := map[string]sdk.Secret{"realm": sdk.NewSecret([]byte(c.Realm))}
	var err error
	if !a.BearerToken.IsZero() {
		if out["token"], err = a.BearerToken.Value(ctx); err != nil {
			return nil, err
		}
	}
	if i := c.ServiceIdentity; i != nil && !i.Credentials.IsZero() {
		if out["identity"], err = i.Credentials.Value(ctx); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (e echo) Vend(ctx context.Context, r sdk.VendRequest) (sdk.ConnectionCredentials, error) {
	found, err := e.resolve(ctx, r.Connection)
	if err != nil {
		return sdk.ConnectionCredentials{}, err
	}
	return sdk.ConnectionCredentials{Properties: found, Expires: time.Now().Add(time.Hour), AuditID: "session-of-" + r.Caller.Name}, nil
}

func (e echo) Sign(ctx context.Context, r sdk.SignRequest) (sdk.SignedRequest, error) {
	found, err := e.resolve(ctx, r.Connection)
	if err != nil {
		return sdk.SignedRequest{}, err
	}
	if r.Presign {
		return sdk.SignedRequest{}, errors.New("this vendor signs no URL")
	}
	return sdk.SignedRequest{
		URL: r.HTTP.Scheme + "://" + r.HTTP.Host + r.HTTP.RawTarget,
		Header: append(r.HTTP.Header,
			sdk.Header{Name: "authorization", Value: "Echo " + r.Caller.Name + " " + string(found["identity"].Reveal())},
			sdk.Header{Name: "x-echo-payload", Value: r.HTTP.BodySHA256}),
		Expires: time.Now().Add(time.Minute),
	}, nil
}

func echoPlugin() {
	serve.Main("echo", "1", sdk.CredentialVendorType("echo", func(context.Context, sdk.Setup, struct{}) (echo, error) { return echo{}, nil }))
}
