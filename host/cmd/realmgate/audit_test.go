package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// told reads the audit log of a daemon; every line has to be a JSON object.
func (d *gate) told(path string) (lines []map[string]string, text string) {
	d.t.Helper()
	raw, err := os.ReadFile(filepath.Join(d.dir, path))
	if err != nil {
		d.t.Fatal(err)
	}
	for l := range bytes.Lines(raw) {
		var m map[string]any
		if err := json.Unmarshal(l, &m); err != nil {
			d.t.Fatalf("%v: %s", err, l)
		}
		line := map[string]string{}
		for k, v := range m {
			line[k] = fmt.Sprint(v)
		}
		lines = append(lines, line)
	}
	return lines, string(raw)
}

// find gives the lines of an event and outcome.
func find(lines []map[string]string, event, outcome string) (out []map[string]string) {
	for _, l := range lines {
		if l["event"] == event && l["outcome"] == outcome {
			out = append(out, l)
		}
	}
	return out
}

const auditedRealm = `
realm "demo" {
}
audit {
  path      = "log/audit.log"
  decisions = true
}
`

// What happens to a daemon stands in its audit log, with who did it, and without any secret or token.
func TestAuditLog(t *testing.T) {
	t.Parallel()
	d := start(t, auditedRealm)
	root := d.root["demo"]
	token := d.rootToken("demo")
	d.check("demo", token)
	d.check("demo", token+"x")
	d.grant("demo", root.ClientID, "wr0ng-secret", "PRINCIPAL_ROLE:ALL")
	d.grant("demo", root.ClientSecret, root.ClientID, "PRINCIPAL_ROLE:ALL")
	d.command("role", "create", "-r", "demo", "dev")
	created := d.command("principal", "create", "-r", "demo", "alice", "--json")
	d.command("role", "grant", "-r", "demo", "dev", "alice")
	d.command("principal", "disable", "-r", "demo", "alice")
	var alice struct {
		Credentials struct {
			Secret string `json:"client_secret"`
		} `json:"credentials"`
	}
	if err := json.Unmarshal([]byte(created), &alice); err != nil || alice.Credentials.Secret == "" {
		t.Fatal(err, created)
	}

	lines, text := d.told("log/audit.log")
	for _, secret := range []string{root.ClientSecret, token, strings.Split(token, ".")[2], "wr0ng-secret", alice.Credentials.Secret} {
		if strings.Contains(text, secret) {
			t.Errorf("the audit log has %q", secret)
		}
	}
	for _, want := range []struct {
		event, outcome string
		times          int
	}{
		{"root.create", "attempted", 1}, {"root.create", "done", 1}, {"token.issue", "done", 1}, {"token.issue", "refused", 2}, {"decision", "done", 1}, {"decision", "refused", 1},
		{"role.create", "attempted", 1}, {"role.create", "done", 1}, {"principal.create", "done", 1}, {"role.grant", "done", 1}, {"principal.update", "done", 1},
	} {
		if got := find(lines, want.event, want.outcome); len(got) != want.times {
			t.Errorf("%s %s: %d lines, want %d\n%s", want.event, want.outcome, len(got), want.times, text)
		}
	}
	if t.Failed() {
		return
	}
	issued := find(lines, "token.issue", "done")[0]
	if issued["client_id"] != root.ClientID || issued["principal"] != "root" || issued["client"] != "127.0.0.1" || issued["listener"] != "main" || issued["token_id"] == "" {
		t.Errorf("issued: %v", issued)
	}
	if decided := find(lines, "decision", "done")[0]; decided["token_id"] != issued["token_id"] || decided["request_id"] == issued["request_id"] {
		t.Errorf("decided: %v, issued: %v", decided, issued)
	}
	if granted := find(lines, "role.grant", "done")[0]; !strings.HasPrefix(granted["peer"], fmt.Sprintf("uid=%d pid=", os.Getuid())) || granted["principal"] != "alice" || granted["role"] != "dev" {
		t.Errorf("granted: %v", granted)
	}
	if info, err := os.Stat(filepath.Join(d.dir, "log/audit.log")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
}

// A disk that is full stops tokens and changes, or does not, as configured.
func TestAuditOnAFullDisk(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("there is no /dev/full")
	}
	d := start(t, auditedRealm)
	root := d.root["demo"]
	before := d.rootToken("demo")
	restart := func(env ...string) {
		if err := d.stop(); err != nil {
			t.Fatal(err)
		}
		d.stopped = false
		d.run(append(env, "REALMGATE_AUDIT__PATH=/dev/full", "REALMGATE_AUDIT__DECISIONS=false")...)
	}
	create := func(name string) (answer, answer) {
		got := d.admin(http.MethodPost, "/v1/realms/demo/roles", `{"name":"`+name+`"}`)
		return got, d.admin(http.MethodGet, "/v1/realms/demo/roles/"+name, "")
	}

	restart()
	if a := d.grant("demo", root.ClientID, root.ClientSecret, "PRINCIPAL_ROLE:ALL"); a.status != http.StatusServiceUnavailable || strings.Contains(a.text, "access_token") {
		t.Errorf("a token: %d %s", a.status, a.text)
	}
	if a, found := create("dev"); a.status != http.StatusServiceUnavailable || !strings.Contains(a.text, "unaudited") || found.status != http.StatusNotFound {
		t.Errorf("a role: %d %s, then %d", a.status, a.text, found.status)
	}
	if a := d.check("demo", before); a.reason() == "unavailable" {
		t.Errorf("decisions are not audited, and need no line: %d %s", a.status, a.text)
	}
	if !strings.Contains(d.log.String(), "an audit line could not be written") {
		t.Error("the daemon's log does not say why")
	}

	restart("REALMGATE_AUDIT__ON_FAILURE=continue")
	d.rootToken("demo")
	if a, found := create("dev"); a.status != http.StatusCreated || found.status != http.StatusOK {
		t.Errorf("a role: %d %s, then %d", a.status, a.text, found.status)
	}
}

// A daemon that is to audit does not start when it cannot.
func TestAuditLogThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	d := start(t, auditedRealm)
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(d.dir, "log/audit.log"), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := d.serveOnce()
	if err == nil || !strings.Contains(out, "log/audit.log: its mode 0644 lets others in") {
		t.Errorf("%v\n%s", err, out)
	}
}

// Two daemons with one audit log would lose lines: the second one does not start.
func TestAuditLogOfAnotherDaemon(t *testing.T) {
	t.Parallel()
	d := start(t, auditedRealm)
	out, err := d.serveOnce()
	if err == nil || !strings.Contains(out, "log/audit.log: another daemon writes to it: give each daemon an audit { path } of its own") {
		t.Errorf("%v\n%s", err, out)
	}
	d.rootToken("demo")
}

// The door on the way from the wire: who guesses has to wait, others do not, and a proxy's word on who it is counts only
// where it is trusted.
func TestGuardedDoor(t *testing.T) {
	t.Parallel()
	const limits = `
realm "demo" {
  authentication {
    token_service {
      limit {
        failures = 2
        delay    = "1m"
      }
    }
  }
}
`
	ask := func(d *gate, from, secret string) answer {
		form := url.Values{"grant_type": {"client_credentials"}, "client_id": {d.root["demo"].ClientID}, "client_secret": {secret}, "scope": {"PRINCIPAL_ROLE:ALL"}}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.url+"/realms/demo/v1/oauth/tokens", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("X-Forwarded-For", from)
		return d.do(req)
	}
	for _, trusted := range []bool{true, false} {
		proxies := `[]`
		if trusted {
			proxies = `["127.0.0.1"]`
		}
		d := start(t, limits+"listener \"main\" {\n  address = \"ADDRESS\"\n  trusted_proxies = "+proxies+"\n}\n")
		for range 3 {
			if a := ask(d, "198.51.100.1", "guess"); a.status != http.StatusUnauthorized {
				t.Fatalf("%d %s", a.status, a.text)
			}
		}
		secret := d.root["demo"].ClientSecret
		if a := ask(d, "203.0.113.9, 198.51.100.1", secret); a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" || a.body["reason"] != "too_many_requests" {
			t.Errorf("trusted %v: the one who guessed: %d %s", trusted, a.status, a.text)
		}
		want := http.StatusOK
		if !trusted { // then it is the same peer, whatever it says of itself
			want = http.StatusTooManyRequests
		}
		if a := ask(d, "198.51.100.2", secret); a.status != want {
			t.Errorf("trusted %v: somebody else: %d %s", trusted, a.status, a.text)
		}
		lines, text := d.told("data/audit.log")
		if got := find(lines, "token.issue", "limited"); len(got) != 1 || got[0]["reason"] != "failures" {
			t.Errorf("trusted %v: %v\n%s", trusted, got, text)
		}
	}
}

// Whoever makes up tokens has to wait, and pushes nothing out of the audit log; a good token from the same place is heard.
func TestForgedTokensAtTheDoor(t *testing.T) {
	t.Parallel()
	d := start(t, `
realm "demo" {
  authentication {
    token_service {
      limit {
        peer_failures = 10
        delay         = "1m"
      }
    }
  }
}
realm "other" {}
`)
	good, others := d.rootToken("demo"), d.rootToken("other")
	parts := strings.Split(good, ".")
	made := []string{
		"junk", damaged(good), others, parts[0] + "." + parts[1] + ".", "e30." + parts[1] + "." + parts[2],
		base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"at+jwt"}`)) + "." + parts[1] + ".",
	}
	for i := range 60 {
		a := d.exchange("demo", made[i%len(made)])
		if want := map[bool]int{true: http.StatusBadRequest, false: http.StatusTooManyRequests}[i < 11]; a.status != want {
			t.Fatalf("token %d of kind %d: %d %s, want %d", i, i%len(made), a.status, a.text, want)
		}
	}
	if a := d.post("demo", "/v1/oauth/revoke", "Bearer "+made[0], "token="+made[0]); a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" {
		t.Errorf("revocation: %d %s", a.status, a.text)
	}
	if a := d.exchange("demo", good); a.status != http.StatusOK {
		t.Errorf("a good token: %d %s", a.status, a.text)
	}
	if _, text := d.told("data/audit.log"); strings.Count(text, "\n") > 25 || strings.Contains(text, parts[1]) {
		t.Errorf("the audit log has %d lines:\n%s", strings.Count(text, "\n"), text)
	}
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	lines, text := d.told("data/audit.log")
	sum := 0
	for _, l := range find(lines, "token.exchange", "limited") {
		n, _ := strconv.Atoi(l["count"])
		sum += max(n, 1)
	}
	if sum != 49 {
		t.Errorf("%d limited exchanges are told\n%s", sum, text)
	}
}

// A log that logrotate moves away under the daemon goes on in a new file.
func TestAuditLogIsMoved(t *testing.T) {
	t.Parallel()
	d := start(t, auditedRealm)
	path := filepath.Join(d.dir, "log", "audit.log")
	d.rootToken("demo")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	d.rootToken("demo")
	before, _ := d.told("log/audit.log.1")
	after, text := d.told("log/audit.log")
	await(t, func() bool { return strings.Contains(d.log.String(), "moved, removed or cut short") })
	if len(find(before, "token.issue", "done")) != 1 || len(find(after, "token.issue", "done")) != 1 {
		t.Errorf("%v\n%s", before, text)
	}
}

// admin asks the admin socket.
func (d *gate) admin(method, path, body string) answer {
	d.t.Helper()
	// The folder of a test may be too long for the address of a socket.
	short, err := os.MkdirTemp("", "rg")
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(short) }()
	at := filepath.Join(short, "s")
	if err := os.Symlink(filepath.Join(d.dir, "admin.sock"), at); err != nil {
		d.t.Fatal(err)
	}
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", at)
	}}
	defer tr.CloseIdleConnections()
	req, err := http.NewRequestWithContext(d.t.Context(), method, "http://admin"+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	res, err := tr.RoundTrip(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return answer{status: res.StatusCode, header: res.Header, text: string(text)}
}

// serveOnce runs a daemon that is to end by itself.
func (d *gate) serveOnce() (string, error) {
	cmd := exec.CommandContext(d.t.Context(), "realmgate", "serve")
	cmd.Dir = d.dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}
