package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/host/audit"
)

// The audit log has what another configuration starts: where it is before anything is read of it, and then which plugins. None is
// started for a realm that there is not.
func TestExplainAgainstIsAudited(t *testing.T) {
	t.Parallel()
	d := start(t, "audit {\n  path = \"data/audit.log\"\n}\nrealm \"demo\" {}\n")
	token := d.rootToken("demo")
	text, err := os.ReadFile(filepath.Join(d.dir, "config.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	ran, script, other := filepath.Join(d.dir, "ran"), filepath.Join(d.dir, "plug.sh"), filepath.Join(d.dir, "other.hcl")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n: > '"+ran+"'\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(more, realm string) {
		t.Helper()
		hcl := strings.Replace(string(text), `realm "demo" {}`, `realm "`+realm+`" {}`, 1) + "plugin \"evil\" {\n  path = \"" + script + "\"\n}\n" + more
		if err := os.WriteFile(other, []byte(hcl), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	lines := func() (out []audit.Event) {
		t.Helper()
		log, err := os.ReadFile(filepath.Join(d.dir, "data", "audit.log"))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(log)) {
			var e audit.Event
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			if e.Name == audit.DecisionExplain {
				out = append(out, e)
			}
		}
		return out
	}
	const broken = "realm \"broken\" {\n  authentication {\n    token_broker {\n      type = \"symmetric-key\"\n    }\n  }\n}\n"
	for n, tt := range []struct{ more, realm, outcome, change, detail string }{
		{"", "renamed", audit.Failed, "", "no such realm"},
		{broken, "demo", audit.Failed, "start evil", "other.hcl:"},
		{"", "demo", audit.Done, "start evil", "allowed"},
	} {
		write(tt.more, tt.realm)
		out, err := d.tryExplain(token, "-r", "demo", "--against", other)
		if (err == nil) != (tt.outcome == audit.Done) {
			t.Errorf("%v\n%s", err, out)
		}
		if _, err := os.Stat(ran); (err == nil) != (tt.change != "") {
			t.Errorf("%+v: the plugin ran: %v", tt, err == nil)
		}
		_ = os.Remove(ran)
		got := lines()
		if len(got) != 2*n+2 {
			t.Fatalf("%d lines: %+v", len(got), got)
		}
		before, after := got[2*n], got[2*n+1]
		if before.Outcome != audit.Attempted || before.Against != other || before.Realm != "demo" {
			t.Errorf("before: %+v", before)
		}
		if after.Outcome != tt.outcome || after.Against != other || after.Change != tt.change || !strings.Contains(after.Detail, tt.detail) {
			t.Errorf("%+v, after: %+v", tt, after)
		}
	}
}
