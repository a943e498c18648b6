package sdk

import (
	"encoding/json"
	"reflect"
)

// SchemaOf gives the JSON Schema (2020-12) of the settings type S, as [Decode] understands it.
func SchemaOf[S any]() []byte {
	s := schema(reflect.TypeFor[S]())
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic(err) // maps of strings always marshal
	}
	return b
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
	case reflect.PointerTo(t).Implements(textType):
		return map[string]any{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Struct:
		return objectSchema(t)
	case reflect.Slice:
		return map[string]any{"type": "array", "items": schema(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": schema(t.Elem())}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int32, reflect.Int64:
		return map[string]any{"type": "integer"}
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
			p["default"] = defaultOf(fd)
		}
		props[fd.name] = p
		if fd.required {
			required = append(required, fd.name)
		}
	}
	return map[string]any{"type": "object", "properties": props, "required": required, "additionalProperties": false}
}

func defaultOf(fd field) any {
	if reflect.PointerTo(fd.typ).Implements(textType) {
		return fd.fallback
	}
	switch fd.typ.Kind() {
	case reflect.Bool:
		return fd.fallback == "true"
	case reflect.Int, reflect.Int32, reflect.Int64:
		return json.Number(fd.fallback)
	}
	return fd.fallback
}
