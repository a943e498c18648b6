package settings

import (
	"fmt"
	"strings"
	"testing"
)

const odd = `{"properties": {
	"plain": {"default": "x"}, "api_key": {"default": "k"}, "key_file": {}, "token_age": {"format": "duration"}, "ref": {"format": "realmgate-secret-ref", "default": "d"},
	"pass": {"format": "password"}, "hush": {"writeOnly": true, "properties": {"in": {}}}, "list": {"items": {"properties": {"a": {"default": 1}, "token": {}}}},
	"any": {"anyOf": [{"type": "string", "format": "password"}, {"type": "null"}], "default": "d"}, "by": {"$ref": "#/$defs/S"}, "row": {"prefixItems": [{"format": "password"}]}, "hidden": {"writeOnly": true, "items": {"properties": {"x": {"default": 1}}}},
	"refs": {"items": {"format": "realmgate-secret-ref"}}, "block": {"properties": {"b": {"default": "\u001b[2J"}, "deep": {"properties": {"c": {"default": true}}}}}
}}`

// TestShows: what is declared, is no secret by the schema, and, of others' plugins, not by its name.
func TestShows(t *testing.T) {
	t.Parallel()
	theirs, err := Read([]byte(odd), false)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := Read([]byte(odd), true)
	if err != nil {
		t.Fatal(err)
	}
	none, err := Read(nil, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path, text   string
		theirs, ours bool
	}{
		{"plain", "x", true, true},
		{"plain", "host=db password=hunter2", false, false},
		{"plain.below", "x", false, false},
		{"unknown", "x", false, false},
		{"api_key", "x", false, true},
		{"key_file", "/x", true, true},
		{"token_age", "PT1S", true, true},
		{"ref", "x", false, false},
		{"refs", "x", false, false},
		{"pass", "x", false, false},
		{"hush.in", "x", false, false},
		{"any", "x", false, false},
		{"by", "x", false, false},
		{"row", "x", false, false},
		{"hidden.x", "x", false, false},
		{"list.a", "x", true, true},
		{"list.token", "x", false, true},
		{"block.deep.c", "x", true, true},
	} {
		path := strings.Split(c.path, ".")
		if a, b, z := theirs.Shows(path, c.text), ours.Shows(path, c.text), none.Shows(path, c.text); a != c.theirs || b != c.ours || z {
			t.Errorf("%s, %q: theirs %v, ours %v, none %v", c.path, c.text, a, b, z)
		}
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	s, err := Read([]byte(odd), false)
	if err != nil {
		t.Fatal(err)
	}
	block := map[string]any{"deep": []any{map[string]any{}}}
	var got []string
	for _, d := range s.Defaults(map[string]any{"plain": "y", "list": []any{map[string]any{"a": 2}, map[string]any{}}, "block": []any{block}, "hidden": []any{map[string]any{}}}) {
		got = append(got, fmt.Sprintf("%s=%v", strings.Join(d.Path, "."), d.Value))
	}
	if want := `api_key=k block.b=[2J block.deep.c=true list.1.a=1`; strings.Join(got, " ") != want {
		t.Errorf("the defaults are %s, not %s", strings.Join(got, " "), want)
	}
}

func TestReadOfWhatIsNone(t *testing.T) {
	t.Parallel()
	if _, err := Read([]byte(`{"properties": []}`), false); err == nil {
		t.Error("it was taken for a schema")
	}
}
