package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Client speaks to a daemon over its unix socket. What the daemon refuses comes back as an *Error; a daemon that does not
// run is an [ErrNotRunning]. It is safe for concurrent use.
type Client struct {
	http *http.Client
	at   string // whom errors on the way are about
}

// patient gives the client for what takes as long as it takes.
func (c *Client) patient() *Client {
	without := *c.http
	without.Timeout = 0
	return &Client{&without, c.at}
}

// maxAnswer bounds what the client reads.
const maxAnswer = 64 << 20

// maxIdle bounds the connections that are kept open for many requests at once.
const maxIdle = 32

// NewClient gives a client of the daemon that listens on the socket at path.
func NewClient(path string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, "unix", path)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
			return nil, &notRunning{path}
		}
		return c, err
	}
	return &Client{
		http: &http.Client{Transport: &http.Transport{DialContext: dial, MaxIdleConnsPerHost: maxIdle}, Timeout: 30 * time.Second},
		at:   "the daemon at " + path,
	}
}

// ErrNotRunning says that no daemon listens on the socket.
var ErrNotRunning = errors.New("no daemon listens on the admin socket")

// notRunning is an ErrNotRunning that names the socket.
type notRunning struct{ path string }

func (e *notRunning) Error() string {
	path := e.path
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	return fmt.Sprintf("no daemon listens on %s: is it running? --socket and --config say where else to look", path)
}

func (e *notRunning) Is(target error) bool { return target == ErrNotRunning }

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Realms lists the configured realms.
func (c *Client) Realms(ctx context.Context) ([]Realm, error) {
	var out struct{ Realms []Realm }
	err := c.do(ctx, "GET", "/v1/realms", nil, &out)
	return out.Realms, err
}

// Plugins lists the plugin processes.
func (c *Client) Plugins(ctx context.Context) ([]Plugin, error) {
	var out struct{ Plugins []Plugin }
	err := c.do(ctx, "GET", "/v1/plugins", nil, &out)
	return out.Plugins, err
}

// CreatePrincipal creates a principal; the answer holds its secret, which cannot be read again.
func (c *Client) CreatePrincipal(ctx context.Context, realm string, n NewPrincipal) (out CreatedPrincipal, err error) {
	err = c.do(ctx, "POST", path(realm, "principals"), n, &out)
	return out, err
}

// Principal gives one principal by name.
func (c *Client) Principal(ctx context.Context, realm, name string) (out Principal, err error) {
	err = c.do(ctx, "GET", path(realm, "principals", name), nil, &out)
	return out, err
}

// Principals lists a page of principals, by name.
func (c *Client) Principals(ctx context.Context, realm string, p Page) (out Principals, err error) {
	err = c.do(ctx, "GET", path(realm, "principals")+p.query(), nil, &out)
	return out, err
}

// UpdatePrincipal changes what u sets.
func (c *Client) UpdatePrincipal(ctx context.Context, realm, name string, u PrincipalUpdate) (out Principal, err error) {
	err = c.do(ctx, "PATCH", path(realm, "principals", name), u, &out)
	return out, err
}

// DeletePrincipal deletes a principal with its grants and secrets.
func (c *Client) DeletePrincipal(ctx context.Context, realm, name string) error {
	return c.do(ctx, "DELETE", path(realm, "principals", name), nil, nil)
}

// RotateSecret makes a new secret; the previous one stays valid.
func (c *Client) RotateSecret(ctx context.Context, realm, name string) (out Credentials, err error) {
	err = c.do(ctx, "POST", path(realm, "principals", name, "rotate"), nil, &out)
	return out, err
}

// ResetSecret makes a new secret; no other one stays valid.
func (c *Client) ResetSecret(ctx context.Context, realm, name string) (out Credentials, err error) {
	err = c.do(ctx, "POST", path(realm, "principals", name, "reset"), nil, &out)
	return out, err
}

// GrantRole grants a role; that it is granted already is not an error.
func (c *Client) GrantRole(ctx context.Context, realm, principal, role string) error {
	return c.do(ctx, "PUT", path(realm, "principals", principal, "roles", role), nil, nil)
}

// RevokeRole takes a role away; that it is not granted is not an error.
func (c *Client) RevokeRole(ctx context.Context, realm, principal, role string) error {
	return c.do(ctx, "DELETE", path(realm, "principals", principal, "roles", role), nil, nil)
}

// CreateRole creates a role.
func (c *Client) CreateRole(ctx context.Context, realm string, n NewRole) (out Role, err error) {
	err = c.do(ctx, "POST", path(realm, "roles"), n, &out)
	return out, err
}

// Role gives one role.
func (c *Client) Role(ctx context.Context, realm, name string) (out Role, err error) {
	err = c.do(ctx, "GET", path(realm, "roles", name), nil, &out)
	return out, err
}

// Roles lists a page of roles, by name.
func (c *Client) Roles(ctx context.Context, realm string, p Page) (out Roles, err error) {
	err = c.do(ctx, "GET", path(realm, "roles")+p.query(), nil, &out)
	return out, err
}

// DeleteRole deletes a role with its grants.
func (c *Client) DeleteRole(ctx context.Context, realm, name string) error {
	return c.do(ctx, "DELETE", path(realm, "roles", name), nil, nil)
}

// path escapes every segment, so that no name can reach another route.
func path(realm string, segments ...string) string {
	p := "/v1/realms/" + url.PathEscape(realm)
	for _, s := range segments {
		p += "/" + url.PathEscape(s)
	}
	return p
}

func (p Page) query() string {
	v := url.Values{}
	if p.After != "" {
		v.Set("after", p.After)
	}
	if p.Limit != 0 {
		v.Set("limit", strconv.Itoa(p.Limit))
	}
	if len(v) == 0 {
		return ""
	}
	return "?" + v.Encode()
}

func (c *Client) do(ctx context.Context, method, target string, in, out any) error {
	return c.doIf(ctx, method, target, 0, in, out)
}

// doIf also says which version of its object a change is based on; 0: any.
func (c *Client) doIf(ctx context.Context, method, target string, version int64, in, out any) error {
	header := http.Header{}
	if version != 0 {
		header.Set("If-Match", strconv.Quote(strconv.FormatInt(version, 10)))
	}
	resp, err := c.ask(ctx, method, target, header, in)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%s: %w", c.at, err)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("%s: its answer: %w", c.at, err)
	}
	return nil
}

// ask sends a request and gives the answer to it, which succeeds; its body is to be closed.
func (c *Client) ask(ctx context.Context, method, target string, header http.Header, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.at, err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://realmgate"+target, body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.at, err)
	}
	req.Header = header
	resp, err := c.http.Do(req)
	if where := (*url.Error)(nil); errors.As(err, &where) {
		err = where.Err // without an address that only we know
	}
	if down := (*notRunning)(nil); errors.As(err, &down) {
		return nil, down // without the request, which is no help
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.at, err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.at, err)
	}
	return nil, refusal(resp, b)
}

// refusal reads an error of the API, or of the HTTP interface, which has a reason where the API has a code.
func refusal(resp *http.Response, body []byte) error {
	var said struct {
		Error *struct{ Code, Reason, Message, Field string }
	}
	if json.Unmarshal(body, &said) != nil || said.Error == nil {
		return &Error{Status: resp.StatusCode, Code: CodeInternal, Message: "the daemon answered " + resp.Status}
	}
	e := &Error{Status: resp.StatusCode, Code: said.Error.Code, Message: said.Error.Message, Field: said.Error.Field}
	if e.Code == "" {
		e.Code = said.Error.Reason
		e.Message = strings.TrimPrefix(e.Message+" ("+e.Code+")", " ")
	}
	return e
}
