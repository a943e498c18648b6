package explain

import (
	"crypto/x509"
	"encoding/json"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

type shownRequest struct {
	Realm  string `json:"realm"`
	Scheme string `json:"scheme"`
	Token  string `json:"token"` // that there is one
	Method string `json:"method,omitempty"`
	Host   string `json:"host,omitempty"`

	Certificate string `json:"client_certificate,omitempty"` // whose
}

type shownIdentity struct {
	Issuer   string         `json:"issuer"`
	Subject  string         `json:"subject"`
	Audience []string       `json:"audience,omitempty"`
	TokenID  string         `json:"token_id,omitempty"`
	Roles    []string       `json:"roles"`
	Claims   map[string]any `json:"claims,omitempty"`
	AuthTime *time.Time     `json:"auth_time,omitempty"`
	Expires  *time.Time     `json:"expires_at,omitempty"`
}

type shownRef struct {
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

type shownCredential struct {
	Source         string     `json:"source"`
	Principal      shownRef   `json:"principal"`
	RequestedRoles []string   `json:"requested_roles"`
	Issuer         string     `json:"issuer"`
	Audience       []string   `json:"audience,omitempty"`
	TokenID        string     `json:"token_id,omitempty"`
	ClientID       string     `json:"client_id,omitempty"`
	SecretVersion  string     `json:"secret_version,omitempty"`
	IssuedAt       *time.Time `json:"issued_at,omitempty"`
	AuthTime       *time.Time `json:"auth_time,omitempty"`
	Expires        *time.Time `json:"expires_at,omitempty"`
}

type shownPrincipal struct {
	shownRef
	Enabled    bool              `json:"enabled"`
	Granted    []string          `json:"granted_roles"`
	Attributes map[string]string `json:"attributes,omitempty"`
}

type shownRoles struct {
	Roles []string `json:"roles"`
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func (h hider) identity(i sdk.Identity) shownIdentity {
	return shownIdentity{
		Issuer: h.text(i.Issuer), Subject: h.text(i.Subject), Audience: h.texts(i.Audience), TokenID: h.text(i.TokenID), Roles: h.texts(i.Roles),
		Claims: h.claims(i.Claims), AuthTime: moment(i.AuthTime), Expires: moment(i.Expires),
	}
}

func (h hider) ref(r sdk.PrincipalRef) shownRef { return shownRef{h.text(r.ID), h.text(r.Name)} }

func (h hider) credential(c sdk.Credential) shownCredential {
	return shownCredential{
		Source: c.Source.String(), Principal: h.ref(c.Principal), RequestedRoles: h.texts(c.RequestedRoles), Issuer: h.text(c.Issuer), Audience: h.texts(c.Audience),
		TokenID: h.text(c.TokenID), ClientID: h.text(c.ClientID), SecretVersion: h.text(c.SecretVersion),
		IssuedAt: moment(c.IssuedAt), AuthTime: moment(c.AuthTime), Expires: moment(c.Expires),
	}
}

func (h hider) principal(p sdk.Principal) shownPrincipal {
	return shownPrincipal{shownRef{h.text(p.ID), h.text(p.Name)}, p.Enabled, h.texts(p.Roles), h.named(p.Attributes)}
}

func (h hider) request(r sdk.Request) shownRequest {
	out := shownRequest{Realm: r.Realm, Scheme: h.text(r.Scheme)}
	if r.Token != "" {
		out.Token = "[token]"
	}
	if r.HTTP != nil {
		out.Method, out.Host = h.text(r.HTTP.Method), h.text(r.HTTP.Host)
	}
	if r.PeerCertificate != nil {
		out.Certificate = "[unreadable]"
		if c, err := x509.ParseCertificate(r.PeerCertificate); err == nil {
			out.Certificate = h.text(c.Subject.String())
		}
	}
	return out
}

// read gives what a stage of a kind was given, of what there was before it.
func (h hider) read(k sdk.Kind, before sdk.State) json.RawMessage {
	switch {
	case k == sdk.KindTokenBroker || k == sdk.KindIdentityProvider:
		return asJSON(h.request(*before.Request))
	case (k == sdk.KindPrincipalMapper || k == sdk.KindPrincipalRolesMapper) && before.Identity != nil:
		return asJSON(h.identity(*before.Identity))
	case k == sdk.KindAuthenticator && before.Credential != nil:
		return asJSON(h.credential(*before.Credential))
	case k == sdk.KindActiveRolesProvider && before.Principal != nil && before.Credential != nil:
		return asJSON(struct {
			Principal shownPrincipal `json:"principal"`
			Requested []string       `json:"requested_roles"`
		}{h.principal(*before.Principal), h.texts(before.Credential.RequestedRoles)})
	}
	return nil
}

// made gives what a stage of a kind made; nil if it made nothing.
func (h hider) made(k sdk.Kind, after sdk.State) json.RawMessage {
	switch {
	case k == sdk.KindTokenBroker && after.Credential != nil:
		return asJSON(h.credential(*after.Credential))
	case k == sdk.KindIdentityProvider && after.Identity != nil:
		return asJSON(h.identity(*after.Identity))
	case k == sdk.KindPrincipalMapper && after.Ref != nil:
		return asJSON(h.ref(*after.Ref))
	case k == sdk.KindPrincipalRolesMapper && after.Mapped != nil:
		return asJSON(shownRoles{h.texts(after.Mapped)})
	case k == sdk.KindAuthenticator && after.Principal != nil:
		return asJSON(h.principal(*after.Principal))
	case k == sdk.KindActiveRolesProvider && after.Active != nil:
		return asJSON(shownRoles{h.texts(after.Active)})
	}
	return nil
}
