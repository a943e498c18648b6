package doctest

import (
	"encoding/json"
	"testing"
)

func TestShows(t *testing.T) {
	t.Parallel()
	const came = "first\nelse\nfirst\nALLOWED (200) in 12.5ms at http://127.0.0.1:40001/realms/demo\n  key  \"XiV7W0m9OqsRAoPwzRkLo0h-KDn0QPmsBVcFgiYIAvc\"\nlast of 3\n"
	for _, good := range []string{
		"ALLOWED (200) in 1.63ms at http://127.0.0.1:8642/realms/demo\nkey \"YiV7W0m9OqsRAoPwzRkLo0h-KDn0QPmsBVcFgiYIAvc\"\n",
		"first\n...\nlast of 3\n",
		"first\nALLOWED (200) in 3h1m at http://127.0.0.1:1/realms/demo\n",
	} {
		if err := shows(good, came); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"DENIED (401) in 12.5ms\n", "first\nlast of 3\n", "else\n...\nelse\n", "last of 3\n...\nfirst\n", "last of 4\n", "last of 3\nmore\n"} {
		if err := shows(bad, came); err == nil {
			t.Errorf("%q is shown", bad)
		}
	}
}

func TestShape(t *testing.T) {
	t.Parallel()
	const came = `{"a":{"b":[{"c":"text"}]},"n":1,"l":["x"]}`
	for sample, good := range map[string]bool{
		`{"a":{"b":[{"c":"..."}]},"n":7,"l":["y","z"]}`: true,
		`{"a":{"b":[{"c":"..."}]},"n":7}`:               false,
		`{"a":{"b":[{"d":"..."}]},"n":7,"l":[]}`:        false,
		`{"a":{"b":[]},"n":"7","l":[]}`:                 false,
		`{"a":[],"n":7,"l":[]}`:                         false,
		`{"a":{"b":{}},"n":7,"l":[]}`:                   false,
	} {
		var want, got any
		if err := json.Unmarshal([]byte(sample), &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(came), &got); err != nil {
			t.Fatal(err)
		}
		if err := shaped("", want, got); (err == nil) != good {
			t.Errorf("%s: %v", sample, err)
		}
	}
}
