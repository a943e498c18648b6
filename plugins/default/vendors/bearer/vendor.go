package bearer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// Type is the authentication type of the connections that have a token of their own.
const Type = "BEARER"

// Settings of the vendor.
type Settings struct {
	AllowHTTP bool `json:"allow_http" default:"false" doc:"put tokens into requests over plain http too, where whoever listens can use them; http to this machine itself is always allowed"`
}

// Vendor gives the token that a connection has in a secret store.
type Vendor struct {
	settings Settings
	now      func() time.Time
}

// NewVendor is the constructor of [Vendor].
func NewVendor(_ context.Context, _ sdk.Setup, s Settings) (*Vendor, error) {
	return &Vendor{settings: s, now: time.Now}, nil
}

// Vend gives the token as "token", with its end if it is a JWT that tells one. One that has expired is an error.
func (v *Vendor) Vend(ctx context.Context, r sdk.VendRequest) (sdk.ConnectionCredentials, error) {
	if err := CheckNarrowing(r.NarrowTo); err != nil {
		return sdk.ConnectionCredentials{}, err
	}
	t, err := v.token(ctx, &r.Connection)
	if err != nil {
		return sdk.ConnectionCredentials{}, err
	}
	if !t.Expires.IsZero() && t.Expires.Sub(v.now()) < r.MinLifetime {
		return sdk.ConnectionCredentials{}, sdk.Forbid(ReasonLifetime, "min_lifetime: the connection's token expires at %s", t.Expires.UTC().Format(time.RFC3339))
	}
	return t.Credentials(), nil
}

// Sign gives a request the token as its Authorization. The host sees to which hosts a connection may sign for.
func (v *Vendor) Sign(ctx context.Context, r sdk.SignRequest) (sdk.SignedRequest, error) {
	if err := CheckSigning(&r, v.settings.AllowHTTP); err != nil {
		return sdk.SignedRequest{}, err
	}
	t, err := v.token(ctx, &r.Connection)
	if err != nil {
		return sdk.SignedRequest{}, err
	}
	return t.Sign(&r), nil
}

func (v *Vendor) token(ctx context.Context, c *sdk.Connection) (Token, error) {
	var p struct {
		BearerToken sdk.SecretRef `json:"bearerToken"`
	}
	if c.AuthenticationType != Type || json.Unmarshal(c.Authentication, &p) != nil {
		return Token{}, sdk.Forbid(ReasonConnection, "authenticationParameters: they are not those of %s", Type)
	}
	if p.BearerToken.IsZero() {
		return Token{}, sdk.Forbid(ReasonConnection, "bearerToken: it is needed")
	}
	t, err := v.resolve(ctx, p.BearerToken)
	if err != nil {
		return Token{}, fmt.Errorf("connection %s: bearerToken: %w", c.Name, err)
	}
	return t, nil
}

func (v *Vendor) resolve(ctx context.Context, ref sdk.SecretRef) (Token, error) {
	secret, err := ref.Value(ctx)
	if err != nil {
		return Token{}, err
	}
	t, err := Parse(bytes.TrimSpace(secret.Reveal()))
	if err == nil && !t.Expires.IsZero() && !v.now().Before(t.Expires) {
		err = errors.New("the token has expired; give the connection a new one")
	}
	return t, err
}
