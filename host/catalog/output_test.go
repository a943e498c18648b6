package catalog

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// TestJunk floods both streams with what panics or wedges go-plugin.
func TestJunk(t *testing.T) {
	t.Parallel()
	for _, tls := range []bool{true, false} {
		t.Run(fmt.Sprint("tls ", tls), func(t *testing.T) {
			t.Parallel()
			s := source(t, "p", "junk")
			s.TLS = tls
			w := newWorld(t, func(o *Options) { o.ConfigureTimeout = 2 * time.Minute }, s) // all that is printed there is read, however slowly
			h := w.mapper(t, "print")
			waitFor(t, "junk of both streams is logged", func() bool {
				log := w.log.String()
				return strings.Contains(log, "xxxx") && strings.Contains(log, "yyyy") && strings.Contains(log, "zzzz")
			})
			if got, err := w.mapSubject(t, h, "r1", "x"); err != nil || got.Name != "x" {
				t.Error(got, err)
			}
			if s := w.Plugins()[0]; s.State != StateReady || s.Restarts != 0 {
				t.Errorf("%v after %d restarts", s.State, s.Restarts)
			}
			for l := range strings.Lines(w.log.String()) {
				if len(l) > 16<<10 || !json.Valid([]byte(l)) {
					t.Fatalf("a line of %d bytes: %.200s", len(l), l)
				}
			}
		})
	}
}

func TestLogsAndEnvironment(t *testing.T) {
	t.Setenv("CATALOG_TEST_OF_THE_HOST", "secret") // so not parallel
	s := secured(t, "p", "logs")
	s.Args = []string{"-x", "y z"}
	s.Env["EXTRA"] = "1"
	s.Env["REALMGATE_PLUGIN"] = "forged"
	w := newWorld(t, nil, s)
	waitFor(t, "the lines are logged", func() bool { return strings.Contains(w.log.String(), "arguments") })
	names := map[string]bool{}
	structured := false
	for l := range strings.Lines(w.log.String()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(l), &entry); err != nil {
			t.Fatal(err)
		}
		message := entry["@message"].(string)
		// The host's own lines; a daemon of another package's tests may have been killed just before.
		if strings.HasPrefix(message, "plugins have no control groups") || message == "cleaned up behind a daemon that was killed" {
			continue
		}
		if entry["plugin"] != "p" {
			t.Errorf("plugin %v: %s", entry["plugin"], l)
		}
		if name, ok := strings.CutPrefix(message, "environment "); ok {
			names[name] = true
		}
		if strings.HasPrefix(message, "token=") {
			structured = message == "token=[hidden] is old" && entry["@level"] == "warn" && entry["client_secret"] == "[hidden]" && entry["n"] == "7"
		}
	}
	if !structured {
		t.Error("a line of hclog lost its level, its keys or its secrets")
	}
	for _, leak := range []string{"hunter2", "abcdefghijkl", "abcdef123"} {
		if strings.Contains(w.log.String(), leak) {
			t.Errorf("%s was logged", leak)
		}
	}
	for _, n := range []string{"EXTRA", modeVariable, raceVariable, "REALMGATE_PLUGIN", "REALMGATE_PLUGIN_LOG_LEVEL", "PLUGIN_UNIX_SOCKET_DIR", "PLUGIN_CLIENT_CERT",
		"PLUGIN_PROTOCOL_VERSIONS", "PLUGIN_MIN_PORT", "PLUGIN_MAX_PORT"} {
		if !names[n] {
			t.Errorf("the plugin has no %s", n)
		}
		delete(names, n)
	}
	if len(names) > 0 {
		t.Errorf("the plugin's environment has more than it needs: %v", names)
	}
	if !strings.Contains(w.log.String(), "arguments [-x y z]") {
		t.Error("the arguments are missing")
	}
	for _, dir := range w.sockets(t) {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%v %v", info.Mode(), err)
		}
	}
}
