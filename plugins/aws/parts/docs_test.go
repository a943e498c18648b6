package parts_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/plugins/aws/parts"
	"github.com/realmgate/realmgate/sdk/plugintest"
)

var update = flag.Bool("update", false, "write docs/parts-aws.md anew")

const manual = "../../../docs/parts-aws.md"

// about says what the schema does not.
var about = map[string]string{
	"identity-provider/aws-iam": "Identifies callers who prove an identity of AWS IAM: with a bearer token that is a signed request for STS GetCallerIdentity, as the clients of aws-iam-authenticator make it (`k8s-aws-v1.`) " +
		"or as a login with Vault's AWS method has it (`vault-aws-v1.`). The request is made anew and sent to STS, which says whose it is; a caller's own request is never passed on. A proof may be used until it ends, and equal " +
		"proofs share one answer. An STS that is down, slow, throttling, or answers anything but what STS answers makes decisions unavailable (503), it does not deny. How callers make a proof, and the claims, are in [aws-callers.md](aws-callers.md).",
	"identity-provider/aws-sigv4": "Identifies callers who sign their requests by AWS Signature Version 4 (`AWS4-HMAC-SHA256`) with an access key that Realmgate issued (`realmgate principal access-key create`). The proxy in front tells what the request was. " +
		"The body is not seen: whoever has it compares it with `x-amz-content-sha256`. No decision is remembered. The claims are `principal_id`, `principal_name` and `access_key_id`. What is checked, and how to set up nginx, is in [aws-callers.md](aws-callers.md).",
	"credential-vendor/sigv4": "Gives the keys of connections with the authentication type `SIGV4`, and signs requests with them. A connection with a `roleArn` gets a session of that role, which the keys of " +
		"the service identity take on (AssumeRole); one with keys of its own gets those. Equal requests share a session; no two realms do. While STS does not answer, a session serves until its end; " +
		"a role that STS denies is given to nobody any more (403, `assume_role_denied`). What STS answers is believed only for the account, the role and the session name that were asked for. " +
		"Which properties are answered, what is signed and how, and which rights are needed is in [aws.md](aws.md).",
	"secret-resolver/aws-secrets-manager": "Secrets in AWS Secrets Manager, read and written. The path of a reference is the secret's name or ARN, its version a staging label or the id of a version: " +
		"`urn:realmgate-secret:aws:prod/db?=version=AWSPREVIOUS#password`. `#field` takes a field of a secret that is a JSON object.",
	"secret-resolver/aws-ssm-parameters": "Parameters of AWS Systems Manager, read (and decrypted) and written (as SecureString). The path of a reference is the parameter's name without its first slash, its version " +
		"a number or a label: `urn:realmgate-secret:ssm:prod/db?=version=3#password`, `urn:realmgate-secret:ssm:prod/db?=version=stable`. `#field` takes a field of a value that is a JSON object.",
}

// docs/parts-aws.md is made of the settings' own schemas, so that it cannot leave out or misname a key.
func TestManualOfTheParts(t *testing.T) {
	t.Parallel()
	page := plugintest.ManualPage{File: manual, About: about, Head: "# The parts for AWS\n\nWhat the plugin `aws` offers, and the settings of each type. How they play together is in [aws.md](aws.md), how parts are\n" +
		"configured, inherited and overridden in [configuration.md](configuration.md). This page is made from the settings' own schemas\n" +
		"(`go test ./plugins/aws/parts -run Manual -update`).\n"}
	if err := page.Check(*update, parts.Implementations()...); err != nil {
		t.Error(err)
	}
}

// The table of docs/aws.md has every part.
func TestOverview(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/aws.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range parts.Implementations() {
		row := fmt.Sprintf("| %s `%s` |", strings.ReplaceAll(i.Kind().String(), "-", " "), i.Type())
		if !strings.Contains(string(text), row) {
			t.Errorf("docs/aws.md has no row %q", row)
		}
	}
}
