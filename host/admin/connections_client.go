package admin

import (
	"context"
	"encoding/json"

	"github.com/realmgate/realmgate/host/connection"
)

const connections = "connections"

// CreateConnection creates a connection. body is a connection or Polaris' CreateCatalogRequest, see connection.ParseDraft.
func (c *Client) CreateConnection(ctx context.Context, realm string, body json.RawMessage) (out connection.Connection, err error) {
	err = c.do(ctx, "POST", path(realm, connections), body, &out)
	return out, err
}

// Connection gives one connection by name.
func (c *Client) Connection(ctx context.Context, realm, name string) (out connection.Connection, err error) {
	err = c.do(ctx, "GET", path(realm, connections, name), nil, &out)
	return out, err
}

// Connections lists a page of connections, by name.
func (c *Client) Connections(ctx context.Context, realm string, p Page) (out connection.Page, err error) {
	err = c.do(ctx, "GET", path(realm, connections)+p.query(), nil, &out)
	return out, err
}

// UpdateConnection replaces a connection that is at a version. 0 leaves it to the body to say which one. Secrets that the body
// does not have stay.
func (c *Client) UpdateConnection(ctx context.Context, realm, name string, version int64, body json.RawMessage) (out connection.Connection, err error) {
	err = c.doIf(ctx, "PUT", path(realm, connections, name), version, body, &out)
	return out, err
}

// DeleteConnection deletes a connection that is at a version (0: any) with the secrets that were written for it.
func (c *Client) DeleteConnection(ctx context.Context, realm, name string, version int64) error {
	return c.doIf(ctx, "DELETE", path(realm, connections, name), version, nil, nil)
}

// RotateConnectionSecret gives one secret of a connection another value, or another reference. field is its key in the
// authentication parameters, e.g. clientSecret.
func (c *Client) RotateConnectionSecret(ctx context.Context, realm, name, field, value string, version int64) (out connection.Connection, err error) {
	err = c.doIf(ctx, "POST", path(realm, connections, name, "rotate-secret"), version, map[string]string{"field": field, "value": value}, &out)
	return out, err
}

// RepointConnection points a connection to the service identity of the scope "default" or "realm".
func (c *Client) RepointConnection(ctx context.Context, realm, name, scope string, version int64) (out connection.Connection, err error) {
	err = c.doIf(ctx, "POST", path(realm, connections, name, "repoint"), version, map[string]string{"identity": scope}, &out)
	return out, err
}

// ConnectionCredentials asks for short-lived credentials. The answer holds secrets.
func (c *Client) ConnectionCredentials(ctx context.Context, realm, name string, q CredentialsQuery) (out connection.Vended, err error) {
	err = c.do(ctx, "POST", path(realm, connections, name, "credentials"), q, &out)
	return out, err
}

// CredentialsQuery asks for credentials.
type CredentialsQuery struct {
	NarrowTo           []string `json:"narrowTo,omitempty"`           // URIs that they are to be limited to
	MinLifetimeSeconds int64    `json:"minLifetimeSeconds,omitempty"` // for which they have to be good
}

// SignForConnection asks for a signature on a request to a connection.
func (c *Client) SignForConnection(ctx context.Context, realm, name string, q SignQuery) (out connection.Signed, err error) {
	err = c.do(ctx, "POST", path(realm, connections, name, "sign"), q, &out)
	return out, err
}

// SignQuery is a request to sign.
type SignQuery struct {
	Method           string              `json:"method"`
	URI              string              `json:"uri"`
	Headers          map[string][]string `json:"headers,omitempty"`
	PayloadSHA256    string              `json:"payloadSha256,omitempty"` // hex, or e.g. UNSIGNED-PAYLOAD
	Presign          bool                `json:"presign,omitempty"`       // the answer is a URL, else headers
	ExpiresInSeconds int64               `json:"expiresInSeconds,omitempty"`
}

// TestConnection asks for credentials without showing them, and the remote system once for anything.
func (c *Client) TestConnection(ctx context.Context, realm, name string) (out connection.Trial, err error) {
	err = c.do(ctx, "POST", path(realm, connections, name, "test"), nil, &out)
	return out, err
}
