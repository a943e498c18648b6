package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/realmgate/realmgate/host/config"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// devOffers are the parts of a plugin that a configuration made for it uses: the first of each kind.
type devOffers map[sdk.Kind]rpc.Offer

func firstOffers(all []rpc.Offer) devOffers {
	out := devOffers{}
	for _, o := range all {
		if _, have := out[o.Kind]; !have {
			out[o.Kind] = o
		}
	}
	return out
}

// part is the body of a part's block: that of the plugin's own, or else the default's.
func (d devOffers) part(k sdk.Kind, settings, other string) string {
	if o, own := d[k]; own {
		return "type = " + config.Quote(o.Type) + "\n" + settings
	}
	return other
}

// devConfig is the configuration of `realmgate dev` without --config. What the plugin offers takes the place of default parts.
func devConfig(address, dir string, p *workpiece, offers []rpc.Offer, set []string) (string, error) {
	settings, refs, err := devSettings(set)
	if err != nil {
		return "", err
	}
	if len(offers) == 0 {
		return "", fmt.Errorf("plugin %s offers nothing", p.name)
	}
	own, url := firstOffers(offers), "http://"+address
	stores, store, err := devStores(dir, own, settings, refs)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "public_url = %s\nplugin_health_window = \"1s\"\n", config.Quote(url))
	fmt.Fprintf(&b, "listener \"main\" {\n  address = %s\n}\n", config.Quote(address))
	fmt.Fprintf(&b, "admin {\n  socket = %s\n}\n", config.Quote(filepath.Join(dir, "admin.sock")))
	fmt.Fprintf(&b, "directory {\n  path = %s\n}\naudit {\n  path = \"\"\n}\n", config.Quote(filepath.Join(dir, "realmgate.db")))
	b.WriteString(p.block(offers, store))
	b.WriteString(stores)
	if _, vends := own[sdk.KindCredentialVendor]; vends {
		fmt.Fprintf(&b, "credential_vendor \"BEARER\" {\n%s}\n", own.part(sdk.KindCredentialVendor, settings, ""))
	}
	fmt.Fprintf(&b, "active_roles_provider {\n%s}\n", own.part(sdk.KindActiveRolesProvider, settings, "type = \"default\"\n"))
	b.WriteString(devRealms(dir, url, own, settings, store))
	return b.String(), nil
}

// devRealms has the realm in which the plugin's parts are used and, unless its tokens are the plugin's own, the one that issues
// tokens for it.
func devRealms(dir, url string, own devOffers, settings, store string) string {
	// The folder of the keys is that of one realm more, whose tokens have another issuer.
	ownKeys := fmt.Sprintf("type = \"key-pair\"\nkey_dir = %s\n", config.Quote(devKeys(dir)))
	connections := fmt.Sprintf("  connections {\n    secret_store = %s\n    manage_roles = [\"service_admin\"]\n    use_roles = [\"service_admin\"]\n    reference_roles = [\"service_admin\"]\n  }\n", config.Quote(store))
	authenticator, decides := own[sdk.KindAuthenticator]
	entrance := func(other string) string {
		if !decides && other == "" {
			return ""
		}
		return fmt.Sprintf("authenticator {\n%s}\n", own.part(sdk.KindAuthenticator, settings, other))
	}
	var b strings.Builder
	if _, issues := own[sdk.KindTokenBroker]; issues { // its tokens are the realm's own
		fmt.Fprintf(&b, "realm \"dev\" {\n  authentication {\n    type = \"internal\"\ntoken_broker {\n%s}\n%s  }\n%s}\n", own.part(sdk.KindTokenBroker, settings, ""), entrance(""), connections)
		return b.String()
	}
	fmt.Fprintf(&b, "realm \"tokens\" {\n  audience = [\"dev\"]\n  authentication {\n    token_broker {\n%s    }\n  }\n}\n", ownKeys)
	sides := "type = \"external\"\n"
	if decides && !authenticator.ExternalOnly { // it may look for principals that the directory has, and those of the realm's own tokens it does
		sides = fmt.Sprintf("type = \"mixed\"\ntoken_broker {\n%s}\n", ownKeys)
	}
	fmt.Fprintf(&b, "realm \"dev\" {\n  tenant = \"dev\"\n  authentication {\n    %s%s  }\n%s}\n", sides, entrance("type = \"claims\"\n"), connections)
	principal, roles := "type = \"default\"\nid_claim_path = \"sub\"\nname_claim_path = \"principal_name\"\n", "type = \"default\"\n"
	if _, identifies := own[sdk.KindIdentityProvider]; identifies { // which claims it gives is not known, but for the one that all have
		principal = "type = \"default\"\nname_claim_path = \"sub\"\n"
		roles += "mapping {\n  regex = \"^(PRINCIPAL_ROLE:)?(.*)$\"\n  replacement = \"PRINCIPAL_ROLE:$2\"\n}\n"
	}
	fmt.Fprintf(&b, "tenant \"dev\" {\nidentity_provider {\n%s}\nprincipal_mapper {\n%s}\nprincipal_roles_mapper {\n%s}\n}\n",
		own.part(sdk.KindIdentityProvider, settings, fmt.Sprintf("type = \"oidc\"\nissuer = %s\naudience = [\"dev\"]\nrole_claim_path = \"scope\"\n", config.Quote(url+"/realms/tokens"))),
		own.part(sdk.KindPrincipalMapper, settings, principal),
		own.part(sdk.KindPrincipalRolesMapper, settings, roles))
	return b.String()
}

// devStores has the secret stores, and gives the name of the one for the secrets of connections: of the plugin if it can write, else
// one of the daemon's. What --set refers to is in variables of the environment, or in a store of the plugin.
func devStores(dir string, own devOffers, settings string, refs []sdk.SecretRef) (text, store string, err error) {
	const grant = "grant {\n  realm = \"dev\"\n  prefix = \"dev/\"\n}\n"
	var b strings.Builder
	var variables []string
	store = "local"
	resolver, resolves := own[sdk.KindSecretResolver]
	writes := resolves && !resolver.OperatorOnly && slices.Contains(resolver.Abilities, sdk.AbilitySecretWriter)
	switch {
	case writes:
		store = resolver.Type
	case resolver.Type == store:
		store = "local-to-dev"
	}
	if resolves {
		fmt.Fprintf(&b, "secret_store %s {\n%s", config.Quote(resolver.Type), own.part(sdk.KindSecretResolver, settings, ""))
		if !resolver.OperatorOnly {
			b.WriteString(grant)
		}
		b.WriteString("}\n")
	}
	for _, r := range refs {
		switch {
		case resolves && r.Store() == resolver.Type:
		case r.Store() != "env":
			return "", "", wrongUsage("--set: %s names the secret store %q; write urn:realmgate-secret:env:VARIABLE for a variable of the environment, or give a configuration that has the store: --config", r, r.Store())
		case !slices.Contains(variables, config.Quote(r.Path())):
			variables = append(variables, config.Quote(r.Path()))
		}
	}
	if len(variables) > 0 {
		fmt.Fprintf(&b, "secret_store \"env\" {\n  type = \"env\"\n  variables = [%s]\n}\n", strings.Join(variables, ", "))
	}
	if !writes {
		fmt.Fprintf(&b, "secret_store %s {\n  type = \"sealed-file\"\n  dir = %s\n  key_file = %s\n%s}\n", config.Quote(store), config.Quote(filepath.Join(dir, "secrets")), config.Quote(filepath.Join(dir, "secrets.key")), grant)
	}
	return b.String(), store, nil
}

// devKeys is the folder of the keys that sign the tokens of default parts, in that of a daemon for development.
func devKeys(dir string) string { return filepath.Join(dir, "keys") }

// devSettings turns KEY=VALUE words into attributes, and gives the secret references in them.
func devSettings(set []string) (text string, refs []sdk.SecretRef, err error) {
	var b strings.Builder
	for _, s := range set {
		key, value, ok := strings.Cut(s, "=")
		if !ok || key == "" || strings.Trim(key, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			return "", nil, wrongUsage("--set %q: write KEY=VALUE, e.g. --set claim=badge", s)
		}
		var v any
		if json.Unmarshal([]byte(value), &v) != nil {
			v = value
		}
		raw, err := json.Marshal(v)
		if err != nil {
			return "", nil, err
		}
		refs = append(refs, sdk.SecretRefsIn(raw)...)
		if text, ok := v.(string); ok {
			value = config.Quote(text)
		}
		fmt.Fprintf(&b, "%s = %s\n", key, value)
	}
	return b.String(), refs, nil
}
