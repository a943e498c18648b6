// Command realmgate-plugin-paseto is a third party's plugin: a token broker whose tokens are PASETO v4.public, signed with
// Ed25519. README.md has its configuration.
package main

import (
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/serve"
)

func main() {
	serve.Main("paseto", "1.0.0", sdk.TokenBrokerType("paseto", newBroker, sdk.Cacheable()))
}
