package main

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestKeysOfARunningDaemon rotates keys under a daemon that is not told.
func TestKeysOfARunningDaemon(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	keys := filepath.Join(dir, "keys")
	offline := &gate{t: t, dir: dir}
	offline.command("key", "generate", "--dir", keys)
	d := startIn(t, dir, `
realm "demo" {
  authentication {
    token_broker {
      type    = "key-pair"
      key_dir = "keys"
    }
  }
}
`)
	first := d.rootToken("demo")
	accepted := func(token string) {
		t.Helper()
		if a := d.check("demo", token); a.status != http.StatusOK {
			t.Errorf("%d %s", a.status, a.text)
		}
	}
	accepted(first)
	d.command("key", "rotate", "--dir", keys, "--wait", "3s", "--algorithm", "EdDSA")
	var second string
	await(t, func() bool {
		accepted(first)
		second = d.rootToken("demo")
		accepted(second)
		return header(t, second)["alg"] == "EdDSA"
	})
	if header(t, first)["alg"] != "ES256" || header(t, first)["kid"] == header(t, second)["kid"] {
		t.Errorf("%v, %v", header(t, first), header(t, second))
	}

	// A folder that others may enter is not read any more; what is known goes on, and the log says so.
	if err := os.Chmod(keys, 0o755); err != nil {
		t.Fatal(err)
	}
	entries := filepath.Join(keys, "keys.json")
	now := time.Now()
	if err := os.Chtimes(entries, now, now); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool {
		accepted(first)
		accepted(d.rootToken("demo"))
		return strings.Contains(d.log.String(), "key folder cannot be read")
	})
	if err := os.Chmod(keys, 0o700); err != nil {
		t.Fatal(err)
	}

	// The leak of a key: its tokens end at once, give or take the time until the folder is looked at.
	d.command("key", "rotate", "--realm", "demo", "--wait", "0s", "--overlap", "0s")
	await(t, func() bool { return d.check("demo", first).reason() == "key_unknown" })
	if a := d.check("demo", second); a.status != http.StatusUnauthorized {
		t.Errorf("%d %s", a.status, a.text)
	}
	accepted(d.rootToken("demo"))
}

// A former key verifies for as long as a token of any realm that uses the folder may live, whatever the folder is called.
func TestRotationKnowsTheConfiguration(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := prepare(t, dir, `
authentication {
  token_broker {
    type    = "key-pair"
    key_dir = "keys"
  }
}
realm "quick" {}
realm "slow" {
  authentication {
    token_broker {
      key_dir              = "keys/../keys"
      max_token_generation = "P2D"
    }
  }
}
realm "elsewhere" {
  authentication {
    token_broker {
      key_dir              = "others"
      max_token_generation = "P30D"
    }
  }
}
`)
	d.command("key", "generate", "--realm", "quick")
	for _, tt := range []struct {
		args []string
		want time.Duration
	}{
		{nil, 48*time.Hour + overlapMargin},
		{[]string{"--max-token-generation", "PT2H"}, 2*time.Hour + overlapMargin},
		{[]string{"--overlap", "PT1H", "--wait", "PT1M"}, time.Hour},
	} {
		var keys []keyView
		text := d.command(append([]string{"key", "rotate", "--dir", "keys", "--json"}, tt.args...)...)
		if err := json.Unmarshal([]byte(text[strings.Index(text, "["):]), &keys); err != nil {
			t.Fatal(err, text)
		}
		former, fresh := keys[len(keys)-2], keys[len(keys)-1]
		if got := former.RetireAt.Sub(fresh.SignFrom); got != tt.want {
			t.Errorf("%v: the former key retires after %s, want %s", tt.args, got, tt.want)
		}
	}
}

func header(t testing.TB, token string) map[string]any {
	t.Helper()
	first, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil {
		t.Fatal(err)
	}
	var h map[string]any
	if err := json.Unmarshal(raw, &h); err != nil {
		t.Fatal(err)
	}
	return h
}
