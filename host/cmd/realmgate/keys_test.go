package main

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/internal/need"
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
	a := d.grant("demo", d.root["demo"].ClientID, d.root["demo"].ClientSecret, "PRINCIPAL_ROLE:ALL")
	if life, _ := a.body["expires_in"].(float64); life > defaultMaxGeneration.Seconds() || life < defaultMaxGeneration.Seconds()-2 {
		t.Errorf("a rotation takes %s for the broker's default, tokens live %g seconds", defaultMaxGeneration, life)
	}
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
	await(t, func() bool { return d.check("demo", second).reason() == "key_unknown" })
	accepted(d.rootToken("demo"))

	// The audit log has what the daemon saw, and nothing about a caller.
	kid := func(token string) string { k, _ := header(t, token)["kid"].(string); return k }
	var lines []map[string]string
	await(t, func() bool {
		d.get("/realms/demo/v1/jwks")
		lines, _ = d.told("data/audit.log")
		return len(find(lines, "key.retire", "done")) == 2
	})
	var signed []string
	for _, l := range find(lines, "key.sign", "done") {
		signed = append(signed, l["key_id"])
		if l["client"] != "" || l["realm"] != "demo" {
			t.Errorf("%v", l)
		}
	}
	if want := []string{kid(first), kid(second), kid(d.rootToken("demo"))}; !slices.Equal(signed, want) || len(find(lines, "key.publish", "done")) != 3 {
		t.Errorf("%v, want %v\n%v", signed, want, lines)
	}
}

// The manual's way to rotate without a folder: three references, of which one signs and all are published.
func TestKeysInASecretStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secrets := filepath.Join(dir, "secrets")
	if err := os.Mkdir(secrets, 0o700); err != nil {
		t.Fatal(err)
	}
	openssl := need.Command(t, "openssl")
	fields := map[string]string{}
	for _, name := range []string{"current", "next", "previous"} {
		out, err := exec.Command(openssl, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256").Output()
		if err != nil {
			t.Fatal(err)
		}
		fields[name] = string(out)
	}
	text, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(secrets, "signing"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	manual, err := os.ReadFile(filepath.Join(buildtest.Root(t), "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(manual), "### Keys in a secret store")
	_, example, _ = strings.Cut(example, "```hcl\n")
	example, _, _ = strings.Cut(example, "```")
	d := startIn(t, dir, strings.ReplaceAll(example, "/etc/realmgate/secrets", secrets)+"realm \"demo\" {}\n")
	token := d.rootToken("demo")
	var set struct {
		Keys []struct {
			ID string `json:"kid"`
		} `json:"keys"`
	}
	if err := json.Unmarshal([]byte(d.get("/realms/demo/v1/jwks").text), &set); err != nil || len(set.Keys) != 3 || set.Keys[0].ID != header(t, token)["kid"] {
		t.Errorf("%v %+v", err, set)
	}
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

// What no folder would take is a wrong command line, with the exit code for it; what a folder does not take has failed.
func TestExitCodesOfKeys(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "keys")
	for _, tt := range []struct {
		args string
		want int
	}{
		{"key", 2},
		{"key list", 2},
		{"key list --dir x --realm y", 2},
		{"key generate --dir DIR --algorithm HS256", 2},
		{"key generate --dir DIR --bits 2048", 2},
		{"key generate --dir DIR --algorithm RS256 --bits 1024", 2},
		{"key rotate --dir DIR --algorithm EdDSA --bits 2048", 2},
		{"key rotate --dir DIR --bits 1", 2},
		{"key rotate --dir DIR --wait=-1s", 2},
		{"key rotate --dir DIR --overlap 0s", 1},
		{"key prune --dir DIR", 1},
		{"key generate --dir DIR", 0},
		{"key generate --dir DIR", 1},
		{"key rotate --dir DIR --overlap 0s --bits 2048", 1}, // the newest key is no RSA key
		{"key list --dir DIR", 0},
	} {
		cmd := exec.Command("realmgate", strings.Fields(strings.ReplaceAll(tt.args, "DIR", dir))...)
		out, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != tt.want {
			t.Errorf("%s: %d, want %d\n%s", tt.args, got, tt.want, out)
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
