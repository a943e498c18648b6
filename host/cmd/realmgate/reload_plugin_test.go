package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/admin"
)

// rebuild changes the bytes of a plugin's binary, as an upgrade does: a new file takes its name.
func rebuild(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".new", append(text, 0), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// A request stays with the generation that it began in, whose plugin process lives on for it; those that come later have
// the new one, and the process of the old one ends when the request has.
func TestRequestsKeepTheirGeneration(t *testing.T) {
	t.Parallel()
	path := testPlugin(t, "moody")
	d := start(t, "shutdown_grace = \"1m\"\n"+moodyConfig(path, "one"))
	old := d.pids()
	release := filepath.Join(t.TempDir(), "go")
	slow := make(chan answer, 1)
	go func() { slow <- d.check("mood", "wait~"+release) }()
	await(t, func() bool { return strings.Contains(d.log.String(), "configuration loaded") }) // and then in the plugin:
	d.answers(t, "one")

	rebuild(t, path)
	d.edit(`tag  = "one"`, `tag  = "two"`)
	has(t, d.command("reload"), `tag: "…" -> "…"`, "plugin process moody: replaced")
	d.answers(t, "two")
	both := d.pids()["moody"]
	if len(both) != 2 || !slices.Contains(both, old["moody"][0]) {
		t.Errorf("processes of the plugin while a request is under way: %v, then %v", old, both)
	}
	select {
	case a := <-slow:
		t.Errorf("the request ended with the reload: %d %s", a.status, a.text)
	default:
	}
	if err := os.WriteFile(release, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if a := <-slow; a.reason() != "one" {
		t.Errorf("the request that began before the reload: %d %s", a.status, a.text)
	}
	await(t, func() bool { return syscall.Kill(old["moody"][0], 0) != nil })
	if now := d.pids(); len(now["moody"]) != 1 || now["default"][0] != old["default"][0] {
		t.Errorf("processes afterwards: %v, before %v", now, old)
	}
}

// A plugin that was started for a reload and does not stay well takes the reload back.
func TestReloadSwitchesBack(t *testing.T) {
	t.Parallel()
	for mood, why := range map[string]string{"dies": "exit status 7", "silent": "not answer"} { // of two that ask it, either may be first
		t.Run(mood, func(t *testing.T) {
			t.Parallel()
			d := start(t, strings.Replace(moodyConfig(testPlugin(t, "moody"), "one"), `"500ms"`, `"20s"`, 1)) // what follows is in it
			old := d.pids()
			doom := filepath.Join(t.TempDir(), "doom")
			d.edit(`"good"`, `"`+mood+`", DOOM = "`+doom+`"`)
			d.edit(`tag  = "one"`, `tag  = "two"`)
			d.edit(`realm "calm" {}`, "realm \"calm\" {}\nrealm \"more\" {}\nlog {\n  level = \"debug\"\n}\n")
			out := make(chan string, 1)
			go func() { out <- d.refused("reload") }()
			await(t, func() bool { return d.check("mood", "x").reason() == "two" }) // it serves for a while
			both, one := d.pids()["moody"], d.pidsOf(func(p admin.Plugin) bool { return p.Serves })
			if len(both) != 2 || len(one["moody"]) != 1 || one["moody"][0] == old["moody"][0] || len(one["default"]) != 1 {
				t.Errorf("while it is watched there are %v, of which %v serve; before %v", both, one, old)
			}
			if err := os.WriteFile(doom, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			has(t, <-out, "the new configuration serves; watching moody for 20s\n", "switched back to the former configuration: ", "config.hcl:13:1: plugin moody: ", why, `13 | plugin "moody" {`)
			d.answers(t, "one")
			if a := d.check("more", ""); a.status != 404 {
				t.Errorf("a realm of the configuration that was taken back: %d %s", a.status, a.text)
			}
			if one := d.pidsOf(func(p admin.Plugin) bool { return p.Serves }); len(one["moody"]) != 1 || one["moody"][0] != old["moody"][0] {
				t.Errorf("switched back, %v serve; before %v", one, old)
			}
			await(t, func() bool { return len(d.pids()["moody"]) == 1 })
			if now := d.pids(); now["moody"][0] != old["moody"][0] || now["default"][0] != old["default"][0] {
				t.Errorf("processes %v, before %v", now, old)
			}
			has(t, d.audit(), `"event":"config.reload","outcome":"failed"`)
			if strings.Contains(d.audit(), `plugin \"moody\" {`) {
				t.Error("the audit log has lines of the configuration")
			}
			d.edit(`"`+mood+`", DOOM = "`+doom+`"`, `"good"`)
			d.edit(`plugin_health_window = "20s"`, `plugin_health_window = "100ms"`)
			has(t, d.command("reload"), "tag")
			d.answers(t, "two")
		})
	}
}

// A plugin that was started for a reload, and of which too few calls failed to take it back, is told of.
func TestReloadTellsOfFewFailures(t *testing.T) {
	t.Parallel()
	d := start(t, strings.Replace(moodyConfig(testPlugin(t, "moody"), "one"), `"500ms"`, `"5s"`, 1))
	d.edit(`"good"`, `"good", NEW = "process"`)
	d.edit(`tag  = "one"`, `tag  = "two"`)
	out := make(chan string, 1)
	go func() { out <- d.command("reload") }()
	await(t, func() bool { return d.check("mood", "x").reason() == "two" })
	if a := d.check("mood", "fail"); a.status != 503 {
		t.Errorf("%d %s", a.status, a.text)
	}
	const what = "plugin moody: every call of its token-broker(moody) of realm mood fails, the last one with: this build takes nothing"
	has(t, <-out, "plugin process moody: replaced: its block changed", "config.hcl:13:1: warning: "+what)
	has(t, d.log.String(), "[WARN]  realmgate.reload: config.hcl:13:1: warning: "+what)
	has(t, d.audit(), `"outcome":"done"`, `"detail":"`+what+`"`)
}

// Whatever keeps a configuration from serving is said with its place, and the daemon serves on as it did.
func TestReloadIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	down, gone := filepath.Join(dir, "down"), filepath.Join(dir, "gone")
	for _, f := range []string{down, gone} {
		if err := os.WriteFile(f, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d := start(t, moodyConfig(testPlugin(t, "moody"), "one"))
	token, old := d.rootToken("calm"), d.pids()
	whole, err := os.ReadFile(filepath.Join(d.dir, "config.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	const tag = `tag  = "one"`
	for name, tt := range map[string]struct {
		old, to string
		say     []string
		waived  bool // --allow-unavailable lets it pass
	}{
		"syntax":         {tag, `tag = `, []string{"config.hcl:", "invalid expression"}, false},
		"an unknown key": {`realm "calm" {}`, "realm \"calm\" {\n  hoste = []\n}", []string{"config.hcl:18:3", `unknown key "hoste"`, "hosts", "18 |"}, false},
		"wrong settings": {tag, `tag = "wrong"`, []string{"config.hcl:23:7", "no broker has this tag", `23 |       tag = "wrong"`}, false},
		"a listener":     {`address = "127.0.0.1:`, `address = "127.0.0.2:`, []string{"config.hcl:10:3", `address of listener "main" cannot be changed`, "Restart"}, false},
		"no such type":   {`type = "moody"`, `type = "mooody"`, []string{"config.hcl:22:7", `no plugin offers a token-broker of type "mooody"`}, false},
		"a broken plugin": {`realm "calm" {}`, "plugin \"gone\" {\n  path = \"/nonexistent/gone\"\n}\nrealm \"calm\" {}",
			[]string{"config.hcl:17:1", "/nonexistent/gone", "--allow-unavailable"}, true},
		"a changed plugin that does not start": {`"good"`, `"mute"`, []string{"config.hcl:13:1", "plugin moody", "--allow-unavailable"}, true},
		"a part that cannot be built":          {tag, tag + "\n      gone = \"" + gone + "\"", []string{"config.hcl:21:5", "what it needs is gone", "--allow-unavailable"}, true},
		"a part that cannot work":              {tag, tag + "\n      down = \"" + down + "\"", []string{"config.hcl:21:5", "cannot do its work now", "what it needs is down", "21 |     token_broker {", "--allow-unavailable"}, true},
	} {
		d.edit(tt.old, tt.to)
		if name != "syntax" && name != "an unknown key" && name != "a listener" {
			for _, args := range [][]string{{"reload", "--dry-run"}, {"reload"}, {"reload", "--fresh"}} {
				has(t, d.refused(args...), tt.say...)
			}
		}
		before := d.log.String()
		if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		await(t, func() bool {
			return strings.Count(d.log.String(), "the former one serves on") > strings.Count(before, "the former one serves on")
		})
		await(t, func() bool {
			said := strings.TrimPrefix(d.log.String(), before)
			return !slices.ContainsFunc(tt.say[:2], func(s string) bool { return !strings.Contains(said, s) })
		})
		d.answers(t, "one")
		if a := d.check("calm", token); a.status != 200 {
			t.Errorf("%s: the other realm: %d %s", name, a.status, a.text)
		}
		if now := d.pids(); fmt.Sprint(now) != fmt.Sprint(old) {
			t.Errorf("%s: processes %v, before %v", name, now, old)
		}
		if tt.waived {
			said := []string{"not available"}
			if name == "a changed plugin that does not start" {
				said = append(said, "plugin process moody: lost", "realm mood: served until now")
			}
			has(t, d.command("reload", "--dry-run", "--allow-unavailable"), append(said, "nothing has")...)
			has(t, d.command("reload", "--allow-unavailable"), said...)
			if len(said) > 1 {
				has(t, d.audit(), "lose moody, no longer serve realm mood")
			}
			if name == "a part that cannot work" || name == "a broken plugin" {
				d.answers(t, "one")
			}
			if a := d.check("calm", token); a.status != 200 {
				t.Errorf("%s, allowed: the other realm: %d %s", name, a.status, a.text)
			}
			d.command("reload") // what was so before is no reason to refuse
		}
		if err := os.WriteFile(filepath.Join(d.dir, "config.hcl"), whole, 0o600); err != nil {
			t.Fatal(err)
		}
		if tt.waived {
			d.command("reload")
			await(t, func() bool { return len(d.pids()["moody"]) == 1 })
			old = d.pids()
		}
	}
	has(t, d.audit(), `"event":"config.reload","outcome":"refused"`)
}

// A realm that is served and would not be is refused, whatever else does not start.
func TestReloadKeepsRealms(t *testing.T) {
	t.Parallel()
	d := start(t, moodyConfig(testPlugin(t, "moody"), "one")+"plugin \"gone\" {\n  path = \"/nonexistent/gone\"\n}\n")
	d.edit(`type = "moody"`, `type = "mooody"`)
	for _, args := range [][]string{{"reload", "--dry-run"}, {"reload"}} {
		has(t, d.refused(args...), `realm "mood" would not be served`, `config.hcl:22:7: warning: no plugin offers a token-broker of type "mooody"`, `Did you mean "moody"?`)
	}
	d.answers(t, "one")
	has(t, d.command("reload", "--allow-unavailable"), `config.hcl:22:7: warning: no plugin offers a token-broker of type "mooody"`, "realm mood: served until now, and not any more")
}

// Only what changed is made anew: a part whose settings are the same goes on in its process, unless --fresh is asked for.
func TestReloadReplacesWhatChanged(t *testing.T) {
	t.Parallel()
	path := testPlugin(t, "moody")
	d := start(t, moodyConfig(path, "one"))
	token, old := d.rootToken("calm"), d.pids()
	rebuild(t, path)
	has(t, d.command("reload", "--dry-run"), "plugin process moody: replaced: its binary changed")
	if now := d.pids(); fmt.Sprint(now) != fmt.Sprint(old) {
		t.Errorf("a dry run leaves processes: %v, before %v", now, old)
	}
	d.command("reload")
	await(t, func() bool { return len(d.pids()["moody"]) == 1 })
	if now := d.pids(); now["moody"][0] == old["moody"][0] || now["default"][0] != old["default"][0] {
		t.Errorf("processes %v, before %v", now, old)
	}
	if a := d.check("calm", token); a.status != 200 { // its key is in the process only
		t.Errorf("a token of the other realm: %d %s", a.status, a.text)
	}
	built := d.check("mood", "x").text
	d.command("reload")
	if now := d.check("mood", "x").text; message(now) != message(built) {
		t.Errorf("a part that has not changed was built anew: %s, before %s", now, built)
	}
	has(t, d.command("reload", "--dry-run", "--fresh"), "nothing would change")
	has(t, d.command("reload", "--fresh"), "nothing changed in the configuration; every part was built anew")
	if now := d.check("mood", "x").text; message(now) == message(built) {
		t.Errorf("--fresh built nothing anew: %s", now)
	}
	d.edit("plugin \"moody\" {\n  path = \""+path+"\"\n  env  = { MOOD = \"good\" }\n}\n", "")
	has(t, d.refused("reload"), `no plugin offers a token-broker of type "moody"`)
	d.edit("realm \"mood\" {\n  authentication {\n    timeout = \"20s\"\n    token_broker {\n      type = \"moody\"\n      tag  = \"one\"\n    }\n  }\n}\n", "")
	has(t, d.command("reload"), "plugin process moody: stopped", `realm "mood": removed`)
	await(t, func() bool { return len(d.pids()["moody"]) == 0 })
}

// message leaves the id of the request out of an answer.
func message(text string) string {
	before, _, _ := strings.Cut(text, `"request_id"`)
	return before
}

// A plugin that could not be started is tried again, and serves when it has: without a reload, and without what an operator
// has begun to write meanwhile.
func TestPluginThatComesLate(t *testing.T) {
	t.Parallel()
	path := testPlugin(t, "moody")
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	other := testPlugin(t, "asker")
	d := start(t, moodyConfig(path, "one")+"plugin \"asker\" {\n  path = \""+other+"\"\n}\n")
	old := d.pids()
	// What has come to be on disk meanwhile is not taken: a binary that does not start, a lock file that nobody understands.
	for file, mode := range map[string]os.FileMode{other: 0o700, filepath.Join(d.dir, "realmgate.lock.json"): 0o600} {
		if err := os.WriteFile(file+".new", []byte("nonsense"), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	if a := d.check("mood", "x"); a.status != 503 {
		t.Errorf("without its plugin: %d %s", a.status, a.text)
	}
	d.edit(`realm "calm" {}`, "realm \"calm\" {}\nrealm \"more\" {}\nnonsense\n")
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); d.check("mood", "x").reason() != "one"; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the realm does not come to be served")
		}
	}
	if a := d.check("more", ""); a.status != 404 {
		t.Errorf("the file was read: %d %s", a.status, a.text)
	}
	has(t, d.audit(), "a plugin that had not started, has")
	if now := d.pids(); len(old["asker"]) != 1 || fmt.Sprint(now["asker"]) != fmt.Sprint(old["asker"]) {
		t.Errorf("processes %v, before %v", now, old)
	}
}
