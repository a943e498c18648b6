package identity

import (
	"strings"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ secret, id, key, token string }{
		"ours":      {`{"access_key_id":"AKID","secret_access_key":"s/e+c","session_token":"t="}`, "AKID", "s/e+c", "t="},
		"lasting":   {`{"access_key_id":"AKID","secret_access_key":"s","session_token":null}`, "AKID", "s", ""},
		"AWS":       {`{"AccessKeyId":"AKID","SecretAccessKey":"s","SessionToken":"t"}`, "AKID", "s", "t"},
		"STS":       {`{"Credentials":{"AccessKeyId":"AKID","SecretAccessKey":"s","SessionToken":"t"}}`, "AKID", "s", "t"},
		"variables": {`{"AWS_ACCESS_KEY_ID":"AKID","AWS_SECRET_ACCESS_KEY":"s"}`, "AKID", "s", ""},
		"Vault":     {`{"access_key":"AKID","secret_key":"s","security_token":"t"}`, "AKID", "s", "t"},
		"text":      {"AKID:s/e+c\n", "AKID", "s/e+c", ""},
		"temporary": {"AKID:s:t:u", "AKID", "s", "t:u"},
	} {
		k, err := Parse(sdk.NewSecret([]byte(tt.secret)))
		if err != nil || k.AccessKeyID != tt.id || k.SecretAccessKey != tt.key || k.SessionToken != tt.token {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, secret := range map[string]string{
		"empty": "", "one word": "hunter2", "no id": ":hunter2", "no key": "AKID:", "list": `["hunter2"]`, "broken": `{"hunter2`, "no object": `{"Credentials":"hunter2"}`,
		"id with a slash": "AK/ID:hunter2", "long id": strings.Repeat("A", 129) + ":hunter2", "space": "AKID:hunter2 x", "unicode": "AKID:hunter2é", "NUL": "AKID:hunter2:\x00",
		"object": `{"access_key_id":{"hunter2":1}}`,
	} {
		k, err := Parse(sdk.NewSecret([]byte(secret)))
		if err == nil || k.HasKeys() || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`{"access_key_id":"AKID","secret_access_key":"s"}`)
	f.Add("AKID:s:t")
	f.Fuzz(func(t *testing.T, text string) {
		k, err := Parse(sdk.NewSecret([]byte(text)))
		if (err == nil) != k.HasKeys() || strings.ContainsAny(k.AccessKeyID+k.SecretAccessKey+k.SessionToken, "\r\n\x00 ") {
			t.Errorf("%v", err)
		}
	})
}
