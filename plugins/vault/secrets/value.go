package secrets

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/realmgate/realmgate/sdk"
)

// maxSecret bounds a secret in bytes.
const maxSecret = 64 << 10

// A key-value secret has fields. What Realmgate writes is one value, byte for byte: it is alone in a field of these names.
const (
	fieldText   = "realmgate_value"
	fieldBinary = "realmgate_value_base64"
)

// pack gives the fields for a value.
func pack(value []byte) map[string]any {
	if utf8.Valid(value) {
		return map[string]any{fieldText: string(value)}
	}
	return map[string]any{fieldBinary: base64.StdEncoding.EncodeToString(value)}
}

// value gives the field that is named, or the whole secret as a JSON object. A secret that Realmgate wrote is given as it was
// written. Errors never repeat a part of the value.
func value(fields map[string]any, name string) ([]byte, error) {
	whole, err := unpack(fields)
	if err != nil {
		return nil, err
	}
	if len(whole) > maxSecret {
		return nil, fmt.Errorf("the secret is longer than %d bytes", maxSecret)
	}
	if name == "" {
		return whole, nil
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(whole, &object) != nil || object == nil {
		return nil, fmt.Errorf("the reference names the field %q, but the secret is not a JSON object", name)
	}
	raw, ok := object[name]
	if !ok {
		return nil, fmt.Errorf("the secret has no field %q", name)
	}
	var text *string
	if json.Unmarshal(raw, &text) != nil || text == nil {
		return nil, fmt.Errorf("the field %q of the secret is not a string", name)
	}
	return []byte(*text), nil
}

func unpack(fields map[string]any) ([]byte, error) {
	if len(fields) == 1 {
		if text, ok := fields[fieldText].(string); ok {
			return []byte(text), nil
		}
		if text, ok := fields[fieldBinary].(string); ok {
			raw, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				return nil, errors.New("the secret is not in base64, as its field says")
			}
			return raw, nil
		}
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(fields); err != nil {
		return nil, errors.New("the secret cannot be written as JSON")
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// whole says whether a reference means a secret as such, which alone can be written and deleted.
func whole(ref sdk.SecretRef, value []byte) error {
	switch {
	case ref.Version() != "":
		return errors.New("a single version can be neither written nor deleted")
	case ref.Field() != "":
		return errors.New("a single field can be neither written nor deleted")
	case len(value) > maxSecret:
		return fmt.Errorf("the secret is longer than %d bytes", maxSecret)
	}
	return nil
}
