package main

import (
	"bytes"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/realmgate/realmgate/host/admin"
)

// TestPluginRows: what is not known is a dash, and no error, however long, moves a column.
func TestPluginRows(t *testing.T) {
	t.Parallel()
	at := time.Now().Add(-time.Minute)
	long := strings.Repeat("long ", 50)
	plugins := []admin.Plugin{
		{Name: "failed", State: "failed", Since: at, Reason: long, ReasonTime: &at},
		{Name: "own", For: "realm a", Version: "1.2.3", Digest: "0123456789abcdef", State: "ready", Since: at, PID: 42, Serves: true, Reason: "it ended", ReasonTime: &at,
			ClosedTo: []string{"realm 1", "realm 2", "realm 3", "realm 4", "realm 5", "realm 6", "realm 7", "realm 8", "realm 9", "realm a", "realm b", "secret store s"},
			Outbound: []admin.Outbound{{Part: "oidc", Openings: 4, Open: 3, Servers: []admin.LeftAlone{{Server: "https://idp.example.com:443", Since: at, Reason: "cannot be reached"}}}, {Part: "oauth", Openings: 1, Overlooked: 7}}},
	}
	var out bytes.Buffer
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0) // as door.print has it
	pluginRows(w, plugins)
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	column := strings.Index(lines[0], "STATE")
	for n, want := range map[int][]string{1: {"failed", "-", "-", "failed", "-", "1m0s", "-", "0", "0", "0", "-"},
		2: {"own", "(realm", "a)", "1.2.3", "0123456789ab", "ready", "yes", "1m0s", "42", "0", "0", "0", "-"}} {
		if got := strings.Fields(lines[n]); strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("%q, want %q", got, want)
		}
		if at := strings.Index(lines[n][column:], plugins[n-1].State); at != 0 {
			t.Errorf("the state is not below its title:\n%s", out.String())
		}
	}
	has(t, out.String(), "failed, last error, 1m0s ago: "+long, "own (realm a), last error, 1m0s ago: it ended",
		"own (realm a) is not called for realm 1, realm 2, realm 3, realm 4, realm 5, realm 6, realm 7, realm 8, realm 9, realm a and 2 more: there was no answer in time",
		"own (realm a), oidc leaves https://idp.example.com:443 alone for 1m0s: it cannot be reached", "own (realm a), oidc leaves 2 further servers alone",
		"own (realm a), oauth has called servers 7 times that it does not look after")
}
