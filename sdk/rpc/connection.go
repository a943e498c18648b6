package rpc

import (
	"encoding/json"
	"fmt"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"

	"github.com/realmgate/realmgate/sdk"
)

func connectionToProto(c sdk.Connection) *pluginv1.Connection {
	out := &pluginv1.Connection{
		Realm: c.Realm, Name: c.Name, Version: c.Version, Type: c.Type, Uri: c.URI,
		AuthenticationType: c.AuthenticationType, Authentication: c.Authentication, Properties: c.Properties,
	}
	if s := c.ServiceIdentity; s != nil {
		out.ServiceIdentity = &pluginv1.ServiceIdentity{
			Type: s.Type, Arn: s.ARN, CredentialsRef: s.Credentials.String(), DefaultChain: s.DefaultChain,
		}
	}
	return out
}

func connectionFromProto(c *pluginv1.Connection) (sdk.Connection, error) {
	out := sdk.Connection{
		Realm: c.GetRealm(), Name: c.GetName(), Version: c.GetVersion(), Type: c.GetType(), URI: c.GetUri(),
		AuthenticationType: c.GetAuthenticationType(), Authentication: json.RawMessage(c.GetAuthentication()), Properties: c.GetProperties(),
	}
	if s := c.GetServiceIdentity(); s != nil {
		out.ServiceIdentity = &sdk.ServiceIdentity{Type: s.GetType(), ARN: s.GetArn(), DefaultChain: s.GetDefaultChain()}
		if s.GetCredentialsRef() != "" {
			ref, err := sdk.ParseSecretRef(s.GetCredentialsRef())
			if err != nil {
				return sdk.Connection{}, fmt.Errorf("rpc: the service identity of a connection: %w", err)
			}
			out.ServiceIdentity.Credentials = ref
		}
	}
	return out, nil
}

func vendedToProto(c sdk.ConnectionCredentials) *pluginv1.ConnectionCredentials {
	out := &pluginv1.ConnectionCredentials{
		Properties: make(map[string]string, len(c.Properties)), ExpiresUnixMs: timeToProto(c.Expires), AuditId: c.AuditID,
	}
	for k, v := range c.Properties {
		out.Properties[k] = string(v.Reveal())
	}
	return out
}

func vendedFromProto(c *pluginv1.ConnectionCredentials) sdk.ConnectionCredentials {
	out := sdk.ConnectionCredentials{
		Properties: make(map[string]sdk.Secret, len(c.GetProperties())), Expires: timeFromProto(c.GetExpiresUnixMs()), AuditID: c.GetAuditId(),
	}
	for k, v := range c.GetProperties() {
		out.Properties[k] = sdk.NewSecret([]byte(v))
	}
	return out
}

// scopeToProto maps the fields of a setup that belong to the kind.
func scopeToProto(k sdk.Kind, s sdk.Setup) *pluginv1.Scope {
	out := scopeOfKind(k, s)
	out.RolePrefix = s.RolePrefix
	return out
}

func scopeOfKind(k sdk.Kind, s sdk.Setup) *pluginv1.Scope {
	switch k {
	case sdk.KindIdentityProvider, sdk.KindPrincipalMapper, sdk.KindPrincipalRolesMapper:
		return &pluginv1.Scope{Of: &pluginv1.Scope_Tenant{Tenant: &pluginv1.TenantScope{Name: s.Tenant}}}
	case sdk.KindAuthenticator, sdk.KindTokenBroker:
		return &pluginv1.Scope{Of: &pluginv1.Scope_Realm{Realm: &pluginv1.RealmScope{Name: s.Realm, Issuer: s.Issuer, Audience: s.Audience}}}
	case sdk.KindSecretResolver:
		st := &pluginv1.StoreScope{Name: s.Store, Environment: make(map[string]string, len(s.Environment)), Unset: s.Unset}
		for name, v := range s.Environment {
			st.Environment[name] = string(v.Reveal())
		}
		return &pluginv1.Scope{Of: &pluginv1.Scope_Store{Store: st}}
	case sdk.KindCredentialVendor:
		return &pluginv1.Scope{Of: &pluginv1.Scope_Vendor{Vendor: &pluginv1.VendorScope{AuthenticationType: s.AuthenticationType}}}
	}
	return &pluginv1.Scope{Of: &pluginv1.Scope_Daemon{Daemon: &pluginv1.DaemonScope{}}}
}

func setupFromProto(s *pluginv1.Scope) sdk.Setup {
	out := sdk.Setup{
		Realm: s.GetRealm().GetName(), Issuer: s.GetRealm().GetIssuer(), Audience: s.GetRealm().GetAudience(),
		Tenant: s.GetTenant().GetName(), Store: s.GetStore().GetName(), Unset: s.GetStore().GetUnset(),
		AuthenticationType: s.GetVendor().GetAuthenticationType(), RolePrefix: s.GetRolePrefix(),
	}
	if env := s.GetStore().GetEnvironment(); len(env) > 0 {
		out.Environment = make(map[string]sdk.Secret, len(env))
		for name, v := range env {
			out.Environment[name] = sdk.NewSecret([]byte(v))
		}
	}
	return out
}
