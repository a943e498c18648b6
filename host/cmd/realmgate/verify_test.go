package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/plugintest"
)

// rogueConfig has the rogue in all of its parts.
const rogueConfig = `
plugin "rogue" {
  path = %q
  env  = { ROGUE = %q }
  limits {
    memory = "unlimited" # for the race detector
  }
}
active_roles_provider {
  type = "rogue"
}
tenant "t" {
  identity_provider {
    type = "rogue"
  }
  principal_mapper {
    type  = "rogue"
    claim = "badge"
  }
}
realm "r" {
  tenant = "t"
  authentication {
    type = "mixed"
    authenticator {
      type = "rogue"
    }
    token_broker {
      type   = "rogue"
      secret = "urn:realmgate-secret:s:key"
    }
  }
}
`

// unraced builds the command without the race detector, under which verify takes six times as long: for tests that are about the plugin
// which it looks at. Of its own races the tests with rogues tell.
func unraced(t *testing.T) string {
	t.Helper()
	return buildtest.Command(t, "host/cmd/realmgate", "realmgate-unraced")
}

// verify runs the command and gives its report and its exit code.
func verify(t *testing.T, args ...string) (verification, int) {
	t.Helper()
	return verifyBy(t, "realmgate", args...)
}

func verifyBy(t *testing.T, command string, args ...string) (verification, int) {
	t.Helper()
	cmd := exec.Command(command, append([]string{"plugin", "verify", "--json"}, args...)...)
	cmd.Dir = t.TempDir()
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	var v verification
	if err := json.Unmarshal(out, &v); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return v, cmd.ProcessState.ExitCode()
}

// Each way not to keep to the contract is found by the check that is there for it, and nothing else is.
func TestVerifyFindsRogues(t *testing.T) {
	t.Parallel()
	path := testPlugin(t, "rogue")
	for mode, want := range map[string]struct{ check, finding string }{
		"":                             {},
		"speaks no session legs":       {},
		"panics when it is made":       {"settings", "the constructor panics: panic: no licence"},
		"babbles before the handshake": {"start", `printed "welcome" where the handshake is due`},
		"ends at once":                 {"start", "panic: no licence"},
		"does not describe itself":     {"start", "not done within"},
		"has no version":               {"manifest", "no version"},
		"has another schema":           {"settings schema", `the schema requires "claims", which the case's settings do not have; Configure takes them`},
		"takes unknown settings":       {"unknown key", "an unknown key gives no fault at /key_that_is_not_known; its faults: none"},
		"ends on large settings":       {"large settings", "exit status 5"},
		"releases nothing":             {"life", "a call of a released instance succeeds"},
		"mixes identities up":          {"identities side by side", "while others are mapped, too"},
		"does not hear":                {"cancellation", "a call that was given up goes on in the plugin"},
		"never answers":                {"call", "no answer in time"},
		"ends on odd input":            {"odd input", "exit status 5"},
		"panics on odd input":          {"odd input", "the plugin panics"},
		"maps to nobody":               {"call", "a principal that has neither id nor name"},
		"does not say what it wants":   {"questions", `the authenticator "rogue" asks for principals`},
		"remembers across realms":      {"realms side by side", "what realm plugintest-north knows"},
		"answers for another realm":    {"call", `answers with a principal of realm "other"`},
		"issues for another realm":     {"call", `the realm of the token's credential is "other", and "plugintest" in its grant`},
		"issues long lives":            {"call", "a token for 1m0s lives for 24h1m0s"},
		"believes any signature":       {"tokens", "that was changed at its end, is accepted"},
		"believes other realms":        {"tokens", "a token of another realm is accepted"},
		"believes any token":           {"call", "a made-up token is accepted"},
		"activates what is asked for":  {"call", "is activated, which is not granted"},
		"prints":                       {"standard output", `printed to its standard output: "mapped`},
		"logs its secret":              {"secrets", "logs a secret that it was given or made: the value of urn:realmgate-secret:s:key"},
		"tells its secret":             {"secrets", "an error has a secret that the plugin was given"},
		"takes small messages only":    {"large messages", "just under 4 MiB is not taken"},
		"does not end":                 {"shutdown", "not by itself within 2s"},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "config.hcl")
			if err := os.WriteFile(file, fmt.Appendf(nil, rogueConfig, path, mode), 0o600); err != nil {
				t.Fatal(err)
			}
			v, code := verify(t, "--step", "20s", "--config", file, "rogue")
			found := false
			for _, r := range v.Checks {
				text := strings.Join(r.Got, "\n")
				if r.Outcome != plugintest.Failed {
					continue
				}
				if r.Did == "" || r.Rule == "" || text == "" {
					t.Errorf("the report of %s does not say all: %+v", r.Check, r)
				}
				found = found || r.Check == want.check && strings.Contains(text, want.finding)
				if r.Check != want.check && !consequence(mode, want.check, r) {
					t.Errorf("%s %s failed as well: %s", r.Kind, r.Check, text)
				}
			}
			if found != (want.check != "") || code == 0 != (want.check == "") || v.Failed == 0 != (want.check == "") {
				t.Errorf("exit code %d, want %q at %q: %d ok, %d failed, %d skipped; found: %v", code, want.finding, want.check, v.OK, v.Failed, v.Skipped, found)
			}
		})
	}
}

// What there was no time for is listed as what was not done.
func TestVerifyEnds(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "config.hcl")
	if err := os.WriteFile(file, fmt.Appendf(nil, rogueConfig, testPlugin(t, "rogue"), "never answers"), 0o600); err != nil {
		t.Fatal(err)
	}
	v, code := verifyBy(t, unraced(t), "--step", "10s", "--time", "12s", "--config", file, "rogue") // each call takes a step
	if code != 1 || !slices.ContainsFunc(v.Checks, func(r plugintest.Result) bool {
		return r.Outcome == plugintest.Skipped && slices.Contains(r.Got, "the run was stopped")
	}) {
		t.Errorf("%d: %+v", code, v.Checks)
	}
}

// onBothWays are the checks that are made on the unary services as well, where a fault shows again.
var onBothWays = []string{"call", "unknown key", "life", "wrong kind", "concurrency", "cancellation", "deadline", "odd input"}

// consequence says which check a fault shows in beside its own.
func consequence(mode, check string, r plugintest.Result) bool {
	if r.Check == "unary services" && slices.Contains(onBothWays, check) {
		return true
	}
	others := map[string][]string{
		"does not hear":               {"deadline"},
		"takes unknown settings":      {"large settings"},
		"activates what is asked for": {"odd input"},
		"panics on odd input":         {"two instances"},
		"remembers across realms":     {"a directory that changes"},
	}
	return slices.Contains(others[mode], r.Check)
}

// What came with the daemon keeps to the contract, as far as it can be tried without servers.
func TestVerifyBundled(t *testing.T) {
	t.Parallel()
	paths := map[string]string{"default": filepath.Join(buildtest.Plugin(t), "realmgate-plugin-default")}
	for _, name := range []string{"aws", "vault"} {
		paths[name] = buildtest.Command(t, "plugins/"+name+"/realmgate-plugin-"+name, "bundled-"+name) // no name by which daemons of other tests would find it
	}
	for name, path := range paths {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, code := verifyBy(t, unraced(t), "--allow-untried", path)
			for _, r := range v.Checks {
				if r.Outcome == plugintest.Failed {
					t.Errorf("%s %s %s: %q", r.Kind, r.Type, r.Check, r.Got)
				}
			}
			if code != 0 || v.OK < 12 {
				t.Errorf("exit code %d, %d checks", code, v.OK)
			}
		})
	}
}

// A third party's plugin passes with a case for each of its parts, and nothing is left out.
func TestVerifyThirdParty(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "badge.json")
	if err := os.WriteFile(file, []byte(`{"kind": "principal-mapper", "type": "badge", "settings": {"claim": "badge"}, "claims": {"badge": "7"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	v, code := verifyBy(t, unraced(t), "--case", file, buildtest.Command(t, "examples/realmgate-plugin-acme", "acme-mapper"))
	if code != 0 || v.Failed+v.Skipped > 0 || v.OK < 20 {
		t.Errorf("exit code %d: %+v", code, v)
	}
}

// What a plugin prints is kept in bounds, and how much is not kept is known.
func TestPrintedIsBounded(t *testing.T) {
	t.Parallel()
	p, line := &printed{}, bytes.Repeat([]byte("x"), 1<<20)
	for range maxPrinted>>20 + 2 {
		p.add(line)
	}
	if n := len(p.text()); n != maxPrinted || p.dropped() != 2*len(line) {
		t.Errorf("%d bytes are kept, %d are not", n, p.dropped())
	}
}

// What is said of a part names what keeps decisions from being remembered.
func TestInspectTellsOfRemembering(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]inspectedOffer{
		"its answers may be remembered":                         {Kind: sdk.KindTokenBroker.String(), Cacheable: true},
		"its answers are remembered only where it gives a time": {Kind: sdk.KindTokenBroker.String()},
		"": {Kind: sdk.KindCredentialVendor.String()},
	} {
		if got := strings.Join(o.notes(), "; "); got != want {
			t.Errorf("%s: %q, want %q", o.Kind, got, want)
		}
	}
}
