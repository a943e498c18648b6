package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// An explanation changes nothing: it neither makes a key nor publishes one, nor does what it asks make the daemon note one. What
// the audit log has of keys is of those who asked for a token.
func TestExplainChangesNothing(t *testing.T) {
	d := prepare(t, t.TempDir(), "audit {\n  path = \"data/audit.log\"\n}\nrealm \"demo\" {\n  authentication {\n    token_broker {\n      type = \"key-pair\"\n      key_dir = \"keys\"\n      max_token_generation = \"PT1H\"\n    }\n  }\n}\n")
	d.command("key", "generate", "--dir", "keys")
	d.run()
	token := d.rootToken("demo")
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	d.stopped = false
	d.run() // nobody has asked this process for a token or its keys
	files := func() (out []string) {
		for _, dir := range []string{d.dir, filepath.Join(d.dir, "keys"), filepath.Join(d.dir, "data")} {
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				out = append(out, filepath.Join(dir, e.Name()))
			}
		}
		return out
	}
	text, err := os.ReadFile(filepath.Join(d.dir, "config.hcl"))
	other := bytes.Replace(text, []byte(`"PT1H"`), []byte(`"PT2H"`), 1)
	if err != nil || bytes.Equal(text, other) {
		t.Fatal(err, "the configuration is the same")
	}
	against := filepath.Join(d.dir, "other.hcl")
	if err := os.WriteFile(against, other, 0o600); err != nil {
		t.Fatal(err)
	}
	manifest, err := os.ReadFile(filepath.Join(d.dir, "keys", "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	before, _ := d.told("data/audit.log")
	there := files()

	if got, text := d.explained(token, "-r", "demo"); got.Status != 200 {
		t.Errorf("%s", text)
	}
	if got, text := d.explained(token, "-r", "demo", "--against", against); got.Status != 200 || got.Other == nil || got.Other.Status != 200 {
		t.Errorf("%s", text)
	}
	if got := files(); !slices.Equal(got, there) {
		t.Errorf("there was %v\nand is %v", there, got)
	}
	if now, err := os.ReadFile(filepath.Join(d.dir, "keys", "keys.json")); err != nil || !bytes.Equal(now, manifest) {
		t.Errorf("the keys were changed, %v", err)
	}
	d.rootToken("demo") // which does make the daemon note the key, after all that the explanations may have done
	var lines []map[string]string
	await(t, func() bool {
		lines, _ = d.told("data/audit.log")
		return len(find(lines[len(before):], "key.publish", "done")) == 1
	})
	for n, l := range lines[len(before):][:3] {
		if l["event"] != "decision.explain" {
			t.Errorf("line %d is of %s", n+1, l["event"])
		}
	}
	if published, signed := atEvent(lines, len(before), "key.publish"), atEvent(lines, len(before), "key.sign"); published < signed {
		t.Error("the key was noted before anybody asked for a token")
	}
}

// atEvent gives where the first line of an event is, from a line on.
func atEvent(lines []map[string]string, from int, event string) int {
	return from + slices.IndexFunc(lines[from:], func(l map[string]string) bool { return l["event"] == event })
}
