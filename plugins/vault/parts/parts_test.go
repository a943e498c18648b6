package parts_test

import (
	"flag"
	"testing"

	"github.com/realmgate/realmgate/plugins/vault/parts"
	"github.com/realmgate/realmgate/sdk/plugintest"
)

var update = flag.Bool("update", false, "write docs/parts-vault.md anew")

const manual = "../../../docs/parts-vault.md"

// about says what the schema does not.
var about = map[string]string{
	"identity-provider/vault-token": "Asks the server what a bearer token is, with that token (`lookup-self`), and remembers the answer for `max_age`. The subject is the token's entity; the claims are `entity_id`, `display_name`, `path`, " +
		"`policies` (the token's and the entity's), `token_policies`, `identity_policies`, `meta`, `type`, `orphan`, `renewable`, `namespace`, `iat` and `exp`. With a login of its own the provider also reads the entity: `entity_name`, " +
		"`entity_metadata`, `entity_aliases`. Neither the token nor its accessor is a claim; the token's id is a hash of the accessor. Tokens with a limited number of uses (each look is one), tokens that are bound to addresses, " +
		"root tokens, and tokens without an entity are refused. A server that does not answer makes decisions unavailable (503), it does not deny.",
	"token-broker/vault-transit": "Signs tokens with a key of a transit engine; the private key never leaves the server. The claims are those of `rsa-key-pair`. Tokens are verified with the public versions of the key, whether the server answers or not; " +
		"none is issued while it does not (503). A version that the key is rotated to is published at once and signs when it is older than `publish_ahead`, by the clock, so that no token is refused on any node; former versions verify until " +
		"`min_decryption_version` rules them out. A signature is believed only if it is one of the version that was asked for; another one has the versions read again, once in a while, since the key may have been made anew or restored. How many tokens a server can sign is in [vault.md](vault.md#speed).",
	"secret-resolver/vault": "Secrets of key-value engines of both versions, read and written, and secrets that other engines make on demand (`database/creds/reader`), whose leases are renewed while in use and revoked at the end. The path of a " +
		"reference is the mount and what is below it, without `data/`: `urn:realmgate-secret:vault:kv/app/db?=version=3#password`. Without a field the whole secret is given as a JSON object. Deleting a secret deletes all its versions.",
}

// docs/parts-vault.md is made of the settings' own schemas, so that it cannot leave out or misname a key.
func TestManualOfTheParts(t *testing.T) {
	t.Parallel()
	page := plugintest.ManualPage{File: manual, About: about, Head: "# The parts for Vault and OpenBao\n\nWhat the plugin `vault` offers, and the settings of each type. How they play together, with examples, is in [vault.md](vault.md), how parts\n" +
		"are configured, inherited and overridden in [configuration.md](configuration.md). This page is made from the settings' own schemas\n" +
		"(`go test ./plugins/vault/parts -run Manual -update`).\n"}
	if err := page.Check(*update, parts.Implementations()...); err != nil {
		t.Error(err)
	}
}
