package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/realmgate/realmgate/host/config"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// devConfig is the configuration of `realmgate dev` without --config. What the plugin offers takes the place of default parts.
func devConfig(address, dir string, p *workpiece, offers []rpc.Offer, set []string) (string, error) {
	settings, err := devSettings(set)
	if err != nil {
		return "", err
	}
	url := "http://" + address
	parts := map[sdk.Kind]string{
		sdk.KindIdentityProvider: fmt.Sprintf("type = \"oidc\"\nissuer = %s\naudience = [\"dev\"]\nrole_claim_path = \"scope\"\n", config.Quote(url+"/realms/tokens")),
		sdk.KindPrincipalMapper:  "type = \"default\"\nid_claim_path = \"sub\"\nname_claim_path = \"principal_name\"\n", sdk.KindPrincipalRolesMapper: "type = \"default\"\n",
		sdk.KindAuthenticator: "type = \"claims\"\n", sdk.KindActiveRolesProvider: "type = \"default\"\n",
	}
	stages := 0
	own := map[sdk.Kind]bool{}
	for _, o := range offers {
		switch o.Kind {
		case sdk.KindSecretResolver, sdk.KindCredentialVendor:
			continue
		}
		if !own[o.Kind] { // the first of its kind
			own[o.Kind] = true
			parts[o.Kind] = "type = " + config.Quote(o.Type) + "\n" + settings
			stages++
		}
	}
	if stages == 0 {
		return "", fmt.Errorf("plugin %s offers no stage of a decision; give a configuration that uses what it offers: --config", p.name)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "public_url = %s\nplugin_health_window = \"1s\"\n", config.Quote(url))
	fmt.Fprintf(&b, "listener \"main\" {\n  address = %s\n}\n", config.Quote(address))
	fmt.Fprintf(&b, "admin {\n  socket = %s\n}\n", config.Quote(filepath.Join(dir, "admin.sock")))
	fmt.Fprintf(&b, "directory {\n  path = %s\n}\naudit {\n  path = \"\"\n}\n", config.Quote(filepath.Join(dir, "realmgate.db")))
	b.WriteString(p.block())
	fmt.Fprintf(&b, "active_roles_provider {\n%s}\n", parts[sdk.KindActiveRolesProvider])
	if own[sdk.KindTokenBroker] { // its tokens are the realm's own
		b.WriteString("realm \"dev\" {\n  authentication {\n    type = \"internal\"\n")
		fmt.Fprintf(&b, "token_broker {\n%s}\n", parts[sdk.KindTokenBroker])
		if own[sdk.KindAuthenticator] {
			fmt.Fprintf(&b, "authenticator {\n%s}\n", parts[sdk.KindAuthenticator])
		}
		b.WriteString("  }\n}\n")
		return b.String(), nil
	}
	fmt.Fprintf(&b, "realm \"tokens\" {\n  audience = [\"dev\"]\n  authentication {\n    token_broker {\n      type    = \"key-pair\"\n      key_dir = %s\n    }\n  }\n}\n", config.Quote(devKeys(dir)))
	fmt.Fprintf(&b, "realm \"dev\" {\n  tenant = \"dev\"\n  authentication {\n    type = \"external\"\n    authenticator {\n%s}\n  }\n}\n", parts[sdk.KindAuthenticator])
	fmt.Fprintf(&b, "tenant \"dev\" {\nidentity_provider {\n%s}\nprincipal_mapper {\n%s}\nprincipal_roles_mapper {\n%s}\n}\n",
		parts[sdk.KindIdentityProvider], parts[sdk.KindPrincipalMapper], parts[sdk.KindPrincipalRolesMapper])
	return b.String(), nil
}

// devKeys is the folder of the keys of the realm "tokens", in that of a daemon for development.
func devKeys(dir string) string { return filepath.Join(dir, "keys") }

// devSettings turns KEY=VALUE words into attributes.
func devSettings(set []string) (string, error) {
	var b strings.Builder
	for _, s := range set {
		key, value, ok := strings.Cut(s, "=")
		if !ok || key == "" || strings.Trim(key, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			return "", wrongUsage("--set %q: write KEY=VALUE, e.g. --set claim=badge", s)
		}
		var v any
		if json.Unmarshal([]byte(value), &v) != nil {
			v = value
		}
		if text, ok := v.(string); ok {
			value = config.Quote(text)
		}
		fmt.Fprintf(&b, "%s = %s\n", key, value)
	}
	return b.String(), nil
}
