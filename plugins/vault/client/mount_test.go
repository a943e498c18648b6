package client

import "testing"

func TestIsMount(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"kv": true, "team/kv-2": true, "a.b/c_d": true, ".hidden": true, "..kv": true, "": false, "/kv": false, "kv/": false, "a//b": false, ".": false, "..": false,
		"a/../b": false, "../a": false, "a/.": false, "a b": false, "a?b": false, "a%2fb": false, "a\nb": false,
	} {
		if IsMount(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}
