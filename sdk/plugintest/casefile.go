package plugintest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// ReadCases reads cases that are written as JSON: one, or a list of them. Unknown keys are errors. For what a case has, see
// docs/plugins.md; a case with a token or claims has a call that must succeed, others are called by the suite as it can.
func ReadCases(raw []byte) ([]Case, error) {
	var files []caseFile
	raw = bytes.TrimSpace(raw)
	if bytes.HasPrefix(raw, []byte("{")) {
		raw = slices.Concat([]byte("["), raw, []byte("]"))
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&files); err != nil {
		return nil, fmt.Errorf("not a case, nor a list of cases: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("there is text behind the cases")
	}
	if len(files) == 0 {
		return nil, errors.New("there is no case")
	}
	var out []Case
	for n, f := range files {
		c, err := f.toCase()
		if err != nil {
			return nil, fmt.Errorf("case %d: %w", n+1, err)
		}
		out = append(out, c)
	}
	return out, nil
}

// caseFile is a [Case] as it is written.
type caseFile struct {
	Name      string            `json:"name"`
	Kind      string            `json:"kind"`
	Type      string            `json:"type"`
	Settings  json.RawMessage   `json:"settings"`
	Secrets   map[string]string `json:"secrets"`
	Elsewhere json.RawMessage   `json:"elsewhere"`

	Realm              string            `json:"realm"`
	Issuer             string            `json:"issuer"`
	Audience           []string          `json:"audience"`
	Tenant             string            `json:"tenant"`
	Store              string            `json:"store"`
	AuthenticationType string            `json:"authentication_type"`
	Environment        map[string]string `json:"environment"`
	Unset              []string          `json:"unset"`
	RolePrefix         string            `json:"role_prefix"`

	Principals []casePrincipal `json:"principals"`
	AccessKeys []caseAccessKey `json:"access_keys"`

	Token  string          `json:"token"`
	Claims json.RawMessage `json:"claims"`
	Roles  []string        `json:"roles"`
	Vend   *caseVend       `json:"vend"`
	Sign   *caseSign       `json:"sign"`
}

type casePrincipal struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Disabled   bool              `json:"disabled"`
	Roles      []string          `json:"roles"`
	Attributes map[string]string `json:"attributes"`
}

type caseAccessKey struct {
	ID            string        `json:"id"`
	PrincipalID   string        `json:"principal_id"`
	PrincipalName string        `json:"principal_name"`
	Secret        sdk.SecretRef `json:"secret"`
}

type caseConnection struct {
	Realm              string            `json:"realm"`
	Name               string            `json:"name"`
	Type               string            `json:"type"`
	URI                string            `json:"uri"`
	AuthenticationType string            `json:"authentication_type"`
	Authentication     json.RawMessage   `json:"authentication"`
	Properties         map[string]string `json:"properties"`
	ServiceIdentity    *struct {
		Type         string        `json:"type"`
		ARN          string        `json:"arn"`
		Credentials  sdk.SecretRef `json:"credentials"`
		DefaultChain bool          `json:"default_chain"`
	} `json:"service_identity"`
}

type caseVend struct {
	Connection caseConnection `json:"connection"`
	Caller     casePrincipal  `json:"caller"`
}

type caseSign struct {
	Connection caseConnection    `json:"connection"`
	Caller     casePrincipal     `json:"caller"`
	Method     string            `json:"method"`
	Scheme     string            `json:"scheme"`
	Host       string            `json:"host"`
	Target     string            `json:"target"`
	Header     map[string]string `json:"header"`
	BodySHA256 string            `json:"body_sha256"`
}

func (f caseFile) toCase() (Case, error) {
	c := Case{
		Name: f.Name, Type: f.Type, written: true, Settings: string(f.Settings), Elsewhere: string(f.Elsewhere), Secrets: f.Secrets,
		Setup: sdk.Setup{
			Realm: f.Realm, Issuer: f.Issuer, Audience: f.Audience, Tenant: f.Tenant, Store: f.Store, Unset: f.Unset, AuthenticationType: f.AuthenticationType, RolePrefix: f.RolePrefix,
		},
	}
	at := slices.IndexFunc(sdk.Kinds(), func(k sdk.Kind) bool { return k.String() == f.Kind })
	switch {
	case at < 0:
		var names []string
		for _, k := range sdk.Kinds() {
			names = append(names, k.String())
		}
		return c, fmt.Errorf("the kind %q is none of %s", f.Kind, strings.Join(names, ", "))
	case f.Type == "":
		return c, errors.New("it has no type")
	}
	c.Kind = sdk.Kinds()[at]
	for text := range f.Secrets {
		if _, err := sdk.ParseSecretRef(text); err != nil {
			return c, fmt.Errorf("secrets: %w", err)
		}
	}
	for name, v := range f.Environment {
		if c.Setup.Environment == nil {
			c.Setup.Environment = map[string]sdk.Secret{}
		}
		c.Setup.Environment[name] = sdk.NewSecret([]byte(v))
	}
	for _, p := range f.Principals {
		c.Principals = append(c.Principals, p.principal(f.Realm))
	}
	for _, k := range f.AccessKeys {
		c.AccessKeys = append(c.AccessKeys, sdk.AccessKey{ID: k.ID, Principal: sdk.PrincipalRef{ID: k.PrincipalID, Name: k.PrincipalName}, Enabled: true, Secret: k.Secret})
	}
	if f.Vend != nil {
		c.Vend = &sdk.VendRequest{Connection: f.Vend.Connection.connection(), Caller: f.Vend.Caller.principal(f.Vend.Connection.Realm)}
	}
	if f.Sign != nil {
		c.Sign = f.Sign.request()
	}
	return c, f.call(&c)
}

// call gives the case a call that has to succeed, if it has what that takes.
func (f caseFile) call(c *Case) error {
	identity := func() *sdk.Identity {
		return &sdk.Identity{Subject: "plugintest", Claims: sdk.NewClaims(f.Claims), Roles: f.Roles, Expires: time.Now().Add(time.Hour)}
	}
	maps := c.Kind == sdk.KindPrincipalMapper || c.Kind == sdk.KindPrincipalRolesMapper
	switch {
	case f.Token != "" && c.Kind != sdk.KindIdentityProvider:
		return errors.New("token is for an identity-provider only: one that it accepts")
	case (f.Claims != nil || f.Roles != nil) && !maps:
		return errors.New("claims and roles are for a mapper only: of an identity that it maps")
	case (f.Vend != nil || f.Sign != nil) && c.Kind != sdk.KindCredentialVendor:
		return errors.New("vend and sign are for a credential-vendor only")
	case f.Token != "":
		c.Call = func(ctx context.Context, i *Instance) error {
			i.suite.notes.confide("the token of the case", f.Token)
			return i.Step(ctx, &sdk.State{Request: &sdk.Request{Realm: i.realm(), Scheme: i.c.scheme, Token: f.Token}})
		}
	case f.Claims != nil || f.Roles != nil:
		c.Call = func(ctx context.Context, i *Instance) error { return i.Step(ctx, &sdk.State{Identity: identity()}) }
	case f.Vend != nil:
		c.Call = func(ctx context.Context, i *Instance) error {
			_, err := i.Vend(ctx, *c.Vend)
			return err
		}
	}
	return nil
}

func (p casePrincipal) principal(realm string) sdk.Principal {
	return sdk.Principal{Realm: realm, ID: p.ID, Name: p.Name, Enabled: !p.Disabled, Roles: p.Roles, Attributes: p.Attributes}
}

func (x caseConnection) connection() sdk.Connection {
	c := sdk.Connection{
		Realm: x.Realm, Name: x.Name, Version: 1, Type: x.Type, URI: x.URI, AuthenticationType: x.AuthenticationType, Authentication: x.Authentication, Properties: x.Properties,
	}
	if s := x.ServiceIdentity; s != nil {
		c.ServiceIdentity = &sdk.ServiceIdentity{Type: s.Type, ARN: s.ARN, Credentials: s.Credentials, DefaultChain: s.DefaultChain}
	}
	return c
}

func (x caseSign) request() *sdk.SignRequest {
	m := sdk.HTTPMessage{Method: x.Method, Scheme: x.Scheme, Host: x.Host, RawTarget: x.Target, BodySHA256: x.BodySHA256}
	for name, value := range x.Header {
		m.Header = append(m.Header, sdk.Header{Name: strings.ToLower(name), Value: value})
	}
	slices.SortFunc(m.Header, func(a, b sdk.Header) int { return strings.Compare(a.Name, b.Name) })
	return &sdk.SignRequest{Connection: x.Connection.connection(), Caller: x.Caller.principal(x.Connection.Realm), HTTP: m}
}
