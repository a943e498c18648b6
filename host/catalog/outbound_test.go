package catalog

import (
	"strconv"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/sdk/breaker"
)

// TestOutboundIsCounted: what processes of one plugin say adds up, one after the other and beside each other; what they show is
// fit for a terminal, and what they make up is bounded.
func TestOutboundIsCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, source(t, "p", "good"))
	p := w.plugins[0]
	say := func(h *hostCalls, part string, openings uint64, open int) {
		h.Outbound([]breaker.PartReport{{Part: part, Openings: openings, Open: open, Servers: []breaker.ServerReport{
			{Authority: "https://\x1b[31midp:443?client_secret=hunter2", Why: "answers\n503, client_secret=hunter2"},
		}}})
	}
	one, next := &hostCalls{p: p, outbound: &p.live.outbound}, &hostCalls{p: p, outbound: &outbound{}}
	say(one, "oidc", 2, 1)
	say(one, "oidc", 2, 0) // it is well again
	say(one, "oidc", 3, 1)
	say(next, "oidc", 1, 0) // of a process that took the place, or of another realm's
	say(next, "oidc", 0, 0)
	if got := w.Counts()["p"].Openings["oidc"]; got != 4 {
		t.Errorf("%d openings", got)
	}
	s := w.Plugins()[0].Outbound
	if len(s) != 1 || s[0].Open != 1 || len(s[0].Servers) != 1 {
		t.Fatalf("%+v", s)
	}
	if text := s[0].Servers[0].Authority + s[0].Servers[0].Why; strings.ContainsAny(text, "\x1b\n") || strings.Contains(text, "hunter2") {
		t.Errorf("%q", text)
	}
	for n := range 2 * maxOutboundParts {
		say(next, strconv.Itoa(n), 1, 1)
	}
	if n := len(w.Counts()["p"].Openings); n != maxOutboundParts {
		t.Errorf("%d parts are counted", n)
	}
}
