package identity

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/realmgate/realmgate/plugins/aws/internal/ascii"
	"github.com/realmgate/realmgate/sdk"
)

const (
	maxKeyID = 128
	maxKey   = 4 << 10
	maxToken = 16 << 10
)

// names are the fields of a secret that holds keys: AWS' own, and those of Vault's aws engine.
var names = struct{ id, secret, token []string }{
	id:     []string{"access_key_id", "AccessKeyId", "accessKeyId", "aws_access_key_id", "AWS_ACCESS_KEY_ID", "access_key"},
	secret: []string{"secret_access_key", "SecretAccessKey", "secretAccessKey", "aws_secret_access_key", "AWS_SECRET_ACCESS_KEY", "secret_key"},
	token:  []string{"session_token", "SessionToken", "sessionToken", "aws_session_token", "AWS_SESSION_TOKEN", "security_token"},
}

// Parse reads the keys in a secret: a JSON object with access_key_id, secret_access_key and, if they are temporary,
// session_token (or AWS' own names for these), or the text id:secret or id:secret:token. No error repeats a part of it.
func Parse(s sdk.Secret) (aws.Credentials, error) {
	text := strings.TrimSpace(string(s.Reveal()))
	if !strings.HasPrefix(text, "{") {
		parts := strings.SplitN(text, ":", 3)
		if len(parts) < 2 {
			return aws.Credentials{}, errors.New("the secret is neither a JSON object with access_key_id and secret_access_key nor the text id:secret")
		}
		return New(parts[0], parts[1], strings.Join(parts[2:], ""))
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &fields) != nil {
		return aws.Credentials{}, errors.New("the secret begins like a JSON object, but is none")
	}
	if d, ok := fields["Credentials"]; ok { // the answer of STS and of the SDKs' credential processes
		fields = nil
		if json.Unmarshal(d, &fields) != nil {
			return aws.Credentials{}, errors.New("the field Credentials of the secret is no object")
		}
	}
	var values [3]string
	for i, of := range [][]string{names.id, names.secret, names.token} {
		for _, name := range of {
			if raw, ok := fields[name]; ok && string(raw) != "null" {
				if json.Unmarshal(raw, &values[i]) != nil {
					return aws.Credentials{}, errors.New("the field " + name + " of the secret is no string")
				}
				break
			}
		}
	}
	return New(values[0], values[1], values[2])
}

// New makes keys of their parts. token may be empty.
func New(id, secret, token string) (aws.Credentials, error) {
	switch {
	case id == "":
		return aws.Credentials{}, errors.New("the keys have no access key id (access_key_id)")
	case secret == "":
		return aws.Credentials{}, errors.New("the keys have no secret access key (secret_access_key)")
	case !ascii.Consists(id, maxKeyID, "_-."): // it stands in scopes and in log lines
		return aws.Credentials{}, errors.New("the access key id has 1 to 128 characters, of letters, digits and ._-")
	case len(secret) > maxKey || !ascii.Visible(secret):
		return aws.Credentials{}, errors.New("the secret access key has a space or a character that is not in ASCII in it")
	case len(token) > maxToken || !ascii.Visible(token):
		return aws.Credentials{}, errors.New("the session token has a space or a character that is not in ASCII in it")
	}
	return aws.Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token, Source: "Realmgate"}, nil
}
