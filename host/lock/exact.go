package lock

import (
	"encoding/json"
	"fmt"
	"slices"
)

// keys are the names of the objects in a lock file, as they are written.
var keys = []string{"format", "plugins", "name", "path", "sha256", "files", "version", "contract", "offers", "kind", "type", "abilities", "wants"}

// exact checks that a value has no key twice and none that is only nearly a known one: encoding/json takes the last of those that
// differ in case, and a reader of the file may look at another one. in is the key that the value stands under.
func exact(d *json.Decoder, in string) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	switch t {
	case json.Delim('{'):
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return err
			}
			key, _ := k.(string)
			switch {
			case seen[key]:
				return fmt.Errorf("the key %q stands in an object twice", key)
			case in != "files" && !slices.Contains(keys, key):
				return fmt.Errorf("unknown key %q", key)
			}
			seen[key] = true
			if err := exact(d, key); err != nil {
				return err
			}
		}
	case json.Delim('['):
		for d.More() {
			if err := exact(d, ""); err != nil {
				return err
			}
		}
	default:
		return nil
	}
	_, err = d.Token() // the end
	return err
}
