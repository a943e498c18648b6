package secrets

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/realmgate/realmgate/sdk"
)

// maxSecret bounds a secret in bytes.
const maxSecret = 64 << 10

// errVersion answers a reference with a version: neither store keeps any.
var errVersion = errors.New("this store keeps no versions")

// field picks a field of a secret that is a JSON object; the whole secret without one. Errors never repeat a part of the
// value.
func field(value []byte, name string) (sdk.Secret, error) {
	if name == "" {
		return sdk.NewSecret(value), nil
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(value, &object) != nil || object == nil {
		return sdk.Secret{}, fmt.Errorf("the reference names the field %q, but the secret is not a JSON object", name)
	}
	raw, ok := object[name]
	if !ok {
		return sdk.Secret{}, fmt.Errorf("the secret has no field %q", name)
	}
	var text *string
	if json.Unmarshal(raw, &text) != nil || text == nil {
		return sdk.Secret{}, fmt.Errorf("the field %q of the secret is not a string", name)
	}
	return sdk.NewSecret([]byte(*text)), nil
}
