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
	offers := []admin.Implementation{{Kind: "token-broker", Type: "x"}, {Kind: "authenticator", Type: "y"}}
	plugins[1].Implementations = append(offers, offers...)
	for wide, want := range map[bool][][]string{
		false: {{"failed", "-", "failed", "-", "1m0s", "-", "0", "-"},
			{"own", "(realm", "a)", "1.2.3", "ready", "yes", "1m0s", "42", "0", "token-broker/x", "and", "3", "more"}},
		true: {{"failed", "-", "failed", "-", "1m0s", "-", "0", "-", "0", "0", "-"},
			{"own", "(realm", "a)", "1.2.3", "ready", "yes", "1m0s", "42", "0", "0123456789ab", "0", "0", "token-broker/x,", "authenticator/y,", "token-broker/x,", "authenticator/y"}},
	} {
		lines := strings.Split(pluginTable(t, plugins, wide), "\n")
		column := strings.Index(lines[0], "STATE")
		for n, want := range want {
			line := lines[n+1]
			if got := strings.Fields(line); strings.Join(got, "|") != strings.Join(want, "|") {
				t.Errorf("%q, want %q", got, want)
			}
			if at := strings.Index(line[column:], plugins[n].State); at != 0 {
				t.Errorf("the state is not below its title:\n%s", strings.Join(lines, "\n"))
			}
			if !wide && len(line) > 100 {
				t.Errorf("a line of %d characters: %s", len(line), line)
			}
		}
	}
	has(t, pluginTable(t, plugins, false), "failed, last error, 1m0s ago: "+long, "own (realm a), last error, 1m0s ago: it ended",
		"own (realm a) is not called for realm 1, realm 2, realm 3, realm 4, realm 5, realm 6, realm 7, realm 8, realm 9, realm a and 2 more: there was no answer in time",
		"own (realm a), oidc leaves https://idp.example.com:443 alone for 1m0s: it cannot be reached", "own (realm a), oidc leaves 2 further servers alone",
		"own (realm a), oauth has called servers 7 times that it does not look after")
}

func pluginTable(t *testing.T, plugins []admin.Plugin, wide bool) string {
	t.Helper()
	var out bytes.Buffer
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0) // as door.print has it
	pluginRows(w, plugins, wide)
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
