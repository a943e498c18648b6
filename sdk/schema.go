package sdk

import (
	"encoding/json"
	"fmt"
	"reflect"
)

// SchemaOf gives the JSON Schema (2020-12) of the settings type S, as [Decode] understands it. It panics for a type that is not
// fit for settings.
func SchemaOf[S any]() []byte {
	b, err := schemaOf(reflect.TypeFor[S]())
	if err != nil {
		panic(err)
	}
	return b
}

func schemaOf(t reflect.Type) ([]byte, error) {
	if err := checkSettings(t); err != nil {
		return nil, fmt.Errorf("sdk: %w", err)
	}
	s := schema(t)
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	return json.MarshalIndent(s, "", "  ")
}

func schema(t reflect.Type) map[string]any {
	switch {
	case t == secretRefType:
		return map[string]any{"type": "string", "format": "realmgate-secret-ref"}
	case t == reflect.TypeFor[Duration]():
		return map[string]any{"type": "string", "format": "duration"}
	case t == rawType:
		return map[string]any{}
	case t.Kind() == reflect.Pointer:
		return schema(t.Elem())
	case readsText(t):
		return map[string]any{"type": "string"}
	}
	switch k := t.Kind(); {
	case k == reflect.Struct:
		return objectSchema(t)
	case k == reflect.Slice:
		return map[string]any{"type": "array", "items": schema(t.Elem())}
	case k == reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": schema(t.Elem())}
	case k == reflect.Bool:
		return map[string]any{"type": "boolean"}
	case isSigned(k):
		return map[string]any{"type": "integer"}
	case isUnsigned(k):
		return map[string]any{"type": "integer", "minimum": 0}
	case isFloat(k):
		return map[string]any{"type": "number"}
	}
	return map[string]any{"type": "string"}
}

func objectSchema(t reflect.Type) map[string]any {
	props, required := map[string]any{}, []string{}
	for _, fd := range fieldsOf(t) {
		p := schema(fd.typ)
		if fd.doc != "" {
			p["description"] = fd.doc
		}
		if fd.hasDefault {
			p["default"], _ = fallbackOf(fd.fallback, fd.typ) // it was checked
		}
		props[fd.name] = p
		if fd.required {
			required = append(required, fd.name)
		}
	}
	return map[string]any{"type": "object", "properties": props, "required": required, "additionalProperties": false}
}
