package admin

import (
	"context"
	"net/url"
	"unicode/utf8"

	"github.com/realmgate/realmgate/sdk"
)

// SecretStore is a secret store of the configuration.
type SecretStore struct {
	Name         string        `json:"name"`
	Writable     bool          `json:"writable"`
	OperatorOnly bool          `json:"operator_only"` // only the operator's configuration may refer to it
	Grants       []SecretGrant `json:"grants"`
}

// SecretGrant gives the paths below a prefix to a realm.
type SecretGrant struct {
	Realm  string `json:"realm"`
	Prefix string `json:"prefix"`
}

// StoredSecret is a secret in a store. The value is there only if it was asked for, as text or, where it is none, in base64.
type StoredSecret struct {
	Reference   string  `json:"reference"`
	Version     string  `json:"version,omitempty"` // empty where the store keeps none
	Bytes       int     `json:"bytes"`             // length of the value
	Value       *string `json:"value,omitempty"`
	ValueBase64 []byte  `json:"value_base64,omitempty"`
}

// Reveal gives the value; nil if it was not asked for.
func (s StoredSecret) Reveal() []byte {
	if s.Value != nil {
		return []byte(*s.Value)
	}
	return s.ValueBase64
}

// String hides the value.
func (s StoredSecret) String() string { return s.Reference + ":[secret]" }

// GoString hides the value from %#v.
func (s StoredSecret) GoString() string { return s.String() }

// SecretValue is a value to be stored: one of both.
type SecretValue struct {
	Value       *string `json:"value,omitempty"`
	ValueBase64 []byte  `json:"value_base64,omitempty"`
}

// SecretStores lists the secret stores.
func (c *Client) SecretStores(ctx context.Context) ([]SecretStore, error) {
	var out struct {
		Stores []SecretStore `json:"secret_stores"`
	}
	err := c.do(ctx, "GET", "/v1/secret-stores", nil, &out)
	return out.Stores, err
}

// Secret looks a secret up; its value comes along only if reveal says so.
func (c *Client) Secret(ctx context.Context, ref sdk.SecretRef, reveal bool) (out StoredSecret, err error) {
	target := secretPath(ref)
	if reveal {
		target += "?reveal=true"
	}
	err = c.do(ctx, "GET", target, nil, &out)
	return out, err
}

// PutSecret writes a value.
func (c *Client) PutSecret(ctx context.Context, ref sdk.SecretRef, value []byte) (out StoredSecret, err error) {
	var in SecretValue
	if text := string(value); utf8.Valid(value) {
		in.Value = &text
	} else {
		in.ValueBase64 = value
	}
	err = c.do(ctx, "PUT", secretPath(ref), in, &out)
	return out, err
}

// DeleteSecret deletes a secret with all its versions; that there is none is not an error.
func (c *Client) DeleteSecret(ctx context.Context, ref sdk.SecretRef) error {
	return c.do(ctx, "DELETE", secretPath(ref), nil, nil)
}

func secretPath(ref sdk.SecretRef) string { return "/v1/secrets/" + url.PathEscape(ref.String()) }
