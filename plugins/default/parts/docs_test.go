package parts_test

import (
	"flag"
	"testing"

	"github.com/realmgate/realmgate/plugins/default/parts"
	"github.com/realmgate/realmgate/sdk/plugintest"
)

var update = flag.Bool("update", false, "write docs/parts.md anew")

const manual = "../../../docs/parts.md"

// about says what the schema does not.
var about = map[string]string{
	"identity-provider/oidc": "Verifies JWT access tokens of an OpenID provider with the keys that it publishes. Keys are fetched when they are first needed, " +
		"again at intervals, and at most twice in a row and then once in 30 seconds for key ids that are not known; while the provider is down, known keys go on. " +
		"While it may not be asked, a token with a key id that is not known is left open (503), since its key may be a new one; tokens with known keys are not affected. " +
		"A provider that has never answered makes its realms unavailable (503), it does not deny. `jku`, `x5u`, `jwk` and `x5c` in a token are never followed.",
	"identity-provider/introspection": "Asks the foreign provider about each opaque token (RFC 7662), and remembers the answer for `max_age`, good ones and refused ones apart. " +
		"A token that is revoked there is accepted here for that long at most. At most one request for a token is under way. After three failures in a row the endpoint is left alone for 0.25 to 5 seconds; a server that does not answer is, [for all tenants](metrics.md#servers-that-parts-call). " +
		"An endpoint that is down, slow, or answers anything but a JSON object with a true or false `active` makes decisions unavailable (503), it does not deny. " +
		"Refresh tokens, tokens that are bound to a key (`cnf`) and tokens of more than 4 KiB are refused.",
	"principal-mapper/default": "Finds the principal's id, name or both in the claims. At least one path is set, and each that is set must find something: " +
		"a token without the claim, or with null in it, is denied (`claim_missing`). " +
		"Segments of a path are separated by `/` and may be in double quotes: `foo/\"https://ns/claim\"/bar`. An id may be a number.",
	"principal-roles-mapper/default": "Keeps the roles that match the filter as a whole, then applies every mapping in turn to each of them. Look-ahead works; a token whose " +
		"roles take a regular expression longer than its time makes the decision unavailable (503). At most 512 roles of at most 1024 bytes are taken (401, `role_limit_exceeded`).",
	"authenticator/default": "Looks the principal up in the realm's directory. One that is unknown or disabled is forbidden (403).",
	"authenticator/claims": "Trusts the mapped identity as it is, without a directory: its requested roles, without the daemon's `role_prefix`, are its granted roles. For external realms " +
		"only; the daemon refuses it on others. `ALL` means nothing here, since nothing was granted beforehand.",
	"active-roles-provider/default": "Activates the requested roles. What a requested role starts with is the daemon's `role_prefix` (`PRINCIPAL_ROLE:`); items without it are ignored, and " +
		"the prefix with `ALL` asks for every granted role. A requested role that is not granted forbids the request (403, `role_not_granted`).",
	"token-broker/key-pair": "RS256, ES256 or EdDSA tokens: an RSA, P-256 or Ed25519 key decides by itself, and a realm may have keys of several kinds. With `key_dir` the keys rotate without a refused token: " +
		"`realmgate key generate --dir DIR` makes the first key, `realmgate key rotate --dir DIR` the next one, which is published first, signs later, and lets the former one retire once its tokens have expired. " +
		"A folder that was changed is read within seconds, by any number of nodes; while it is broken the known keys go on until they retire. " +
		"Without a key it makes one for ES256 that lives as long as the process and says so: good for a trial. The claims are those of `rsa-key-pair`.",
	"token-broker/rsa-key-pair": "As `key-pair`, with RSA keys only: RS256 tokens. Without a key it makes one that lives as long as the process and says so: good for a trial. The tokens are JWTs (RFC 9068) with the claims " +
		"`iss`, `aud`, `sub` (principal id), `principal_name`, `realm`, `client_id`, `scope`, `jti`, `iat`, `exp`, `auth_time` and `csv` (version of the client secret).",
	"token-broker/symmetric-key": "HS256 tokens with a shared key of at least 32 bytes, and the same claims. For a single node or a test.",
	"secret-resolver/env": "Environment variables of the daemon: the path of a reference is the name of a variable. Only those that the store lists in `variables` can be read, and only the operator's " +
		"configuration may refer to them. `#field` takes a field of a value that is a JSON object.",
	"secret-resolver/file": "Files in one folder: the path of a reference is the path below it. Only the operator's configuration may refer to them. A file must be readable by its owner only, and symbolic links must " +
		"not lead out of the folder. One newline at the end does not belong to the secret. `#field` takes a field of a file that is a JSON object.",
	"secret-resolver/sealed-file": "Keeps what is written through it (the secrets of connections, `realmgate secret put`) on the local disk, sealed with AES-256-GCM: the writable store for those without a vault. " +
		"Each write is a new version; the last ten are kept, `?=version=N` reads one of them, `#field` takes a field of a value that is a JSON object. A value opens only as the very secret and version of the very store that it was sealed " +
		"as, so that files cannot be exchanged for each other. Several processes on one machine may share the folder. [operations.md](operations.md#the-sealed-secret-store) has backup, loss and rotation of the key.",
	"credential-vendor/oauth": "Has the remote system's token endpoint issue tokens for the connection's client (client credentials, RFC 6749 section 4.4), and gives them as `token`, with their end; signs requests with them as " +
		"`Authorization: Bearer`. Without a `tokenUri`, an `ICEBERG_REST` connection's endpoint is `{uri}/v1/oauth/tokens`. A token is kept for one connection as it stands and one secret, renewed ahead of its end, and serves for as long as it lives " +
		"while the endpoint is down; after a failure it is not asked for again for 1 to 30 seconds, and a server that does not answer is left alone [for all connections](metrics.md#servers-that-parts-call). Whatever the endpoint says makes the answer unavailable (503), `invalid_client` too: it is our credential, not the caller's. " +
		"Redirects are not followed, answers of more than 64 KiB are refused, the address is checked again when it is connected to.",
	"credential-vendor/bearer":   "Gives the connection's own token as `token`, and signs requests with it as `Authorization: Bearer`. A JWT tells its end; one that has expired is not given (503). Of another token no end is known.",
	"credential-vendor/implicit": "For connections that need no credentials: answers without any. Only to connections of the type `IMPLICIT` may a vendor do so.",
}

// docs/parts.md is made of the settings' own schemas, so that it cannot leave out or misname a key.
func TestManualOfTheParts(t *testing.T) {
	t.Parallel()
	page := plugintest.ManualPage{File: manual, About: about, Head: "# The bundled parts\n\nWhat the plugin `default` offers, and the settings of each type. How parts are configured, inherited and overridden is in\n" +
		"[configuration.md](configuration.md). This page is made from the settings' own schemas\n(`go test ./plugins/default/parts -run Manual -update`).\n\n" +
		"A file with a key or a secret must be readable by its owner only. Where root owns it, its group may read it as well, as in a folder of\nsystemd's `LoadCredential` or a volume of Kubernetes with an `fsGroup`.\n"}
	if err := page.Check(*update, parts.Implementations()...); err != nil {
		t.Error(err)
	}
}
