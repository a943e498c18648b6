package secrets

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
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

// value gives the secret: as it was written if Realmgate wrote it, else as a JSON object.
func value(fields map[string]any) ([]byte, error) {
	whole, err := unpack(fields)
	if err == nil {
		err = bounded(whole)
	}
	return whole, err
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

// bounded refuses a secret that is too long.
func bounded(value []byte) error {
	if len(value) > maxSecret {
		return fmt.Errorf("the secret is longer than %d bytes", maxSecret)
	}
	return nil
}
