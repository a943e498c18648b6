package main

import (
	"crypto/rand"
	"slices"

	"github.com/realmgate/realmgate/host/config"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/plugintest"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// configuredCases gives the parts of a configuration that the plugin serves, with their settings, each once. Realms, tenants and
// secrets are the suite's own: no token that is issued here is good anywhere, and no secret of the operator's leaves its store.
func configuredCases(cfg *config.Config, m rpc.Manifest) []plugintest.Case {
	var out []plugintest.Case
	add := func(kind sdk.Kind, name string, p config.Part, setup sdk.Setup) {
		serves := slices.ContainsFunc(m.Offers, func(o rpc.Offer) bool { return o.Kind == kind && o.Type == p.Type })
		had := slices.ContainsFunc(out, func(c plugintest.Case) bool {
			return c.Kind == kind && c.Type == p.Type && c.Settings == string(p.Settings)
		})
		if !serves || had {
			return
		}
		setup.RolePrefix = cfg.RolePrefix
		out = append(out, plugintest.Case{Name: name, Kind: kind, Type: p.Type, Settings: string(p.Settings), Setup: setup})
	}
	add(sdk.KindActiveRolesProvider, "", cfg.ActiveRoles, sdk.Setup{})
	for _, t := range cfg.Tenants {
		add(sdk.KindIdentityProvider, "tenant "+t.Name, t.IdentityProvider, sdk.Setup{})
		add(sdk.KindPrincipalMapper, "tenant "+t.Name, t.PrincipalMapper, sdk.Setup{})
		add(sdk.KindPrincipalRolesMapper, "tenant "+t.Name, t.PrincipalRolesMapper, sdk.Setup{})
	}
	for _, r := range cfg.Realms {
		add(sdk.KindAuthenticator, "realm "+r.Name, r.Authentication.Authenticator, sdk.Setup{})
		if r.Authentication.Type != config.External {
			add(sdk.KindTokenBroker, "realm "+r.Name, r.Authentication.TokenBroker, sdk.Setup{})
		}
	}
	for _, s := range cfg.SecretStores {
		environment := map[string]sdk.Secret{}
		for _, name := range s.Variables {
			environment[name] = sdk.NewSecret([]byte(rand.Text()))
		}
		add(sdk.KindSecretResolver, "secret store "+s.Name, s.Part, sdk.Setup{Store: s.Name, Environment: environment})
	}
	for _, v := range cfg.Vendors {
		add(sdk.KindCredentialVendor, "authentication type "+v.Authentication, v.Part, sdk.Setup{AuthenticationType: v.Authentication})
	}
	return out
}
