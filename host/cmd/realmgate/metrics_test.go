package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// scrape gives the metrics that a client gets at a URL.
func scrape(t *testing.T, c *http.Client, url string) string {
	t.Helper()
	res, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/plain") {
		t.Fatalf("%s %v %v", res.Status, res.Header, err)
	}
	return string(body)
}

// What a daemon does shows in its metrics, on the admin socket and on a listener of their own; who is behind it does not.
func TestMetrics(t *testing.T) {
	t.Parallel()
	address := freeAddress(t)
	d := start(t, fmt.Sprintf("metrics {\n  address = %q\n}\nrealm \"demo\" {}\nrealm \"other\" {}\n", address))
	token := d.rootToken("demo")
	if a := d.check("demo", token); a.status != http.StatusOK {
		t.Fatal(a.status, a.text)
	}
	if a := d.check("other", token); a.status != http.StatusUnauthorized {
		t.Fatal(a.status, a.text)
	}
	d.grant("demo", "nobody", "wrong-secret", "PRINCIPAL_ROLE:ALL")
	pid := d.pids()["default"][0]
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if now := d.pids()["default"]; len(now) == 1 && now[0] != pid && strings.Contains(d.command("plugin", "list"), " ready ") {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the plugin is not restarted")
		}
	}
	token = d.rootToken("demo") // its key ended with the process
	if a := d.check("demo", token); a.status != http.StatusOK {
		t.Fatal(a.status, a.text)
	}
	d.edit(`realm "other" {}`, "")
	d.command("reload")
	d.edit(`realm "demo" {}`, `realm "demo" { tenant = "nobody" }`)
	d.refused("reload", "--socket", "admin.sock")

	admin := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var n net.Dialer
		return n.DialContext(ctx, "unix", filepath.Join(d.dir, "admin.sock"))
	}}}
	for _, text := range []string{scrape(t, admin, "http://admin/metrics"), scrape(t, http.DefaultClient, "http://"+address+"/metrics")} {
		has(t, text, `realmgate_decisions_total{outcome="allowed",realm="demo",reason=""} 2`,
			`realmgate_decision_duration_seconds_bucket{outcome="allowed",realm="demo",le="10"} `,
			`realmgate_token_requests_total{endpoint="token",outcome="done",realm="demo"} 2`,
			`realmgate_token_requests_total{endpoint="token",outcome="refused",realm="demo"} 1`,
			`realmgate_plugin_state{plugin="default",state="ready"} 1`, `realmgate_plugin_restarts_total{plugin="default"} 1`,
			`realmgate_plugin_calls_total{outcome="done",plugin="default"} `, `realmgate_plugin_breaker_open{plugin="default"} 0`,
			`realmgate_reloads_total{outcome="done"} 1`, `realmgate_reloads_total{outcome="refused"} 1`, "realmgate_generation 2\n",
			`realmgate_secret_reads_total{from="store"} `, "realmgate_build_info{", "go_goroutines ")
		for _, secret := range []string{token, "root", d.root["demo"].ClientID, d.root["demo"].ClientSecret, "wrong-secret", "nobody", `realm="other"`} {
			if strings.Contains(text, secret) {
				t.Errorf("the metrics have %q", secret)
			}
		}
	}
	if res, err := http.Get(d.url + "/metrics"); err != nil || res.StatusCode != http.StatusNotFound {
		t.Errorf("the door for callers has metrics: %v %v", res, err)
	}
	rows := d.command("plugin", "list", "--wide", "--socket", "admin.sock")
	has(t, rows, "SHA256", "SINCE", "CALLS", "ready")
}
