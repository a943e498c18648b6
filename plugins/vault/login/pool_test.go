package login

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"testing"
	"time"

	"github.com/realmgate/realmgate/plugins/vault/client"
	"github.com/realmgate/realmgate/sdk"
)

// Whoever says the same of the server and of the login shares a session, and nobody else.
func TestPool(t *testing.T) {
	t.Parallel()
	p := &Pool{}
	open := func(change map[string]any) *Lease {
		t.Helper()
		all := map[string]any{"address": "http://127.0.0.1:1", "max_retries": 0, "approle": map[string]any{"role_id": "r"}}
		maps.Copy(all, change)
		raw, _ := json.Marshal(all)
		var s struct {
			client.Server
			Choice
		}
		if err := sdk.Decode(raw, &s); err != nil {
			t.Fatal(err)
		}
		l, err := p.Open(t.Context(), s.Server, s.Choice)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(l.Close)
		return l
	}
	first := open(nil)
	if second := open(nil); second.Session != first.Session {
		t.Error("the same settings, and two sessions")
	}
	for _, change := range []map[string]any{
		{"address": "http://127.0.0.1:2"}, {"further_addresses": []string{"http://127.0.0.1:2"}}, {"namespace": "team"}, {"tls_server_name": "x"},
		{"timeout": "PT1S"}, {"max_retries": 1}, {"deny_addresses": []string{}}, {"approle": map[string]any{"role_id": "other"}},
	} {
		if l := open(change); l.Session == first.Session {
			t.Errorf("%v: the same session", change)
		}
	}
	// The authorities that a file has count as those in the settings do.
	file := filepath.Join(t.TempDir(), "ca.pem")
	writePair(t, file, filepath.Join(t.TempDir(), "key"))
	trusting := open(map[string]any{"ca_file": file})
	if again := open(map[string]any{"ca_file": file}); again.Session != trusting.Session {
		t.Error("the same authorities, and two sessions")
	}
	writePair(t, file, filepath.Join(t.TempDir(), "key"))
	if l := open(map[string]any{"ca_file": file}); l.Session == trusting.Session {
		t.Error("other authorities in the file, and the same session")
	}
}

func TestUsable(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for what, x := range map[string]struct {
		t             *token
		lives, usable bool
	}{
		"none":                {nil, false, false},
		"without an end":      {&token{}, true, true},
		"dead":                {&token{dead: true}, false, false},
		"long before its end": {&token{life: time.Hour, expires: now.Add(time.Minute)}, true, true},
		"shortly before":      {&token{life: time.Hour, expires: now.Add(time.Second / 2)}, true, false},
		"a short one":         {&token{life: 2 * time.Second, expires: now.Add(time.Second / 2)}, true, true},
		"at its end":          {&token{life: time.Hour, expires: now}, false, false},
	} {
		if x.t.lives(now) != x.lives || x.t.usable(now) != x.usable {
			t.Errorf("%s: lives %v, usable %v", what, x.t.lives(now), x.t.usable(now))
		}
	}
}
