package audit

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/origin"
)

func address(i int) string {
	return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}).String()
}

// refused tells of a request from an address.
func refused(t *testing.T, l *Log, from string, e Event) {
	t.Helper()
	e.Name, e.Outcome = TokenIssue, Refused
	ctx := origin.With(t.Context(), origin.Origin{Listener: "main", Peer: from + ":1", Client: netip.MustParseAddr(from)})
	if err := l.Tally(ctx, e); err != nil {
		t.Fatal(err)
	}
}

// A flood takes bounded space, is told with its size, and hides nothing about a client that the realm knows.
func TestTallyOfAFlood(t *testing.T) {
	t.Parallel()
	const requests = 5_000
	var out bytes.Buffer
	now := time.Unix(1_800_000_000, 0)
	l := open(t, Config{Path: Stdout, Stdout: &out, Now: func() time.Time { return now }})
	for i := range requests {
		refused(t, l, address(i), Event{Realm: "r", Reason: "invalid_client"}.Client(fmt.Sprint("nobody", i), false))
		refused(t, l, "192.0.2.9", Event{Realm: "r", Reason: "token_malformed"})
	}
	// An attack on one client, and a real failure in the midst of it.
	for i := range requests {
		refused(t, l, address(i), Event{Realm: "r", Reason: "invalid_client"}.Client("alice", true))
	}
	refused(t, l, "192.0.2.1", Event{Realm: "r", Reason: "invalid_client"}.Client("bob", true))
	if err := l.Record(t.Context(), Event{Name: TokenIssue, Outcome: Done, Realm: "r", ClientID: "bob", TokenID: "t1"}); err != nil {
		t.Fatal(err)
	}
	now = now.Add(window)
	l.sweep()

	got := lines(t, out.Bytes(), 0)
	if len(got) > promptLines+clientLines+10 {
		t.Errorf("%d lines", len(got))
	}
	told := map[string]int{}
	for _, m := range got {
		n := 1
		if c, ok := m["count"].(float64); ok {
			if n = int(c); m["since"] != "2027-01-15T08:00:00Z" || m["time"] != "2027-01-15T08:01:00Z" {
				t.Errorf("%v", m)
			}
		}
		told[fmt.Sprint(m["outcome"], " ", m["reason"], " ", m["client_id"])] += n
	}
	for key, want := range map[string]int{
		"refused invalid_client <nil>": requests, "refused token_malformed <nil>": requests, "refused invalid_client alice": requests,
		"refused invalid_client bob": 1, "done <nil> bob": 1,
	} {
		if told[key] != want {
			t.Errorf("%s: %d are told, want %d", key, told[key], want)
		}
	}
	// Of clients that the realm knows it is told where each of the first few came from, also in the midst of the flood.
	from := map[any]map[any]bool{"alice": {}, "bob": {}}
	for _, m := range got {
		if of := from[m["client_id"]]; of != nil && m["client"] != nil {
			of[m["client"]] = true
		}
	}
	if len(from["alice"]) != clientLines || !from["bob"]["192.0.2.1"] {
		t.Errorf("where it came from: %v", from)
	}
	for _, m := range got {
		if m["count"] != nil && m["reason"] == "token_malformed" && m["client"] != "192.0.2.9" {
			t.Errorf("where the repetitions came from: %v", m)
		}
	}

	// The next window begins with lines again.
	out.Reset()
	refused(t, l, "192.0.2.9", Event{Realm: "r", Reason: "token_malformed"})
	if m := lines(t, out.Bytes(), 0); len(m) != 1 || m[0]["count"] != nil {
		t.Errorf("%v", m)
	}
	out.Reset()
	l.sweep()
	if out.Len() > 0 {
		t.Errorf("nothing was repeated: %s", &out)
	}
}

// Whether the realm knows a client decides how it is told at last, and not whether something is written at once: the time of
// the answer would tell.
func TestTallyDoesNotTellClientsApart(t *testing.T) {
	t.Parallel()
	// prompt gives which of a number of requests about a client had something written at once, after others about nobody.
	prompt := func(known bool, before int) (when []bool) {
		var out bytes.Buffer
		l := open(t, Config{Path: Stdout, Stdout: &out})
		for i := range before {
			refused(t, l, address(i), Event{Realm: "r", Reason: "invalid_client"}.Client(fmt.Sprint("nobody", i), false))
		}
		for i := range 100 {
			out.Reset()
			refused(t, l, address(i), Event{Realm: "r", Reason: "invalid_client"}.Client("it", known))
			when = append(when, out.Len() > 0)
			out.Reset()
			refused(t, l, address(i), Event{Realm: "r", Reason: "invalid_client"}.Client("another", false))
			when = append(when, out.Len() > 0)
		}
		return when
	}
	for _, before := range []int{0, 30, 59, 60, 100} {
		if a, b := prompt(true, before), prompt(false, before); !slices.Equal(a, b) {
			t.Errorf("after %d others: a known client %v, an unknown one %v", before, a, b)
		}
	}
}

// Somebody who goes through many realms, and through the reasons, takes no more space.
func TestTallyOfManyRealms(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := open(t, Config{Path: Stdout, Stdout: &out})
	for i := range 5000 {
		refused(t, l, address(i), Event{Realm: fmt.Sprint("realm", i), Reason: strings.Repeat("x", i%7)})
	}
	if n := len(l.tally.kept); n > promptLines+summaries+10 {
		t.Errorf("%d kinds are kept", n)
	}
	l.sweep()
	got, sum := lines(t, out.Bytes(), 0), 0
	for _, m := range got {
		n, _ := m["count"].(float64)
		sum += max(int(n), 1)
	}
	if len(got) > promptLines+summaries+10 || sum != 5000 {
		t.Errorf("%d lines tell of %d", len(got), sum)
	}
}

// What was counted is told at the latest when the log is closed.
func TestTallyIsToldAtTheEnd(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := open(t, Config{Path: Stdout, Stdout: &out})
	for range 3 {
		refused(t, l, "192.0.2.1", Event{Realm: "r"})
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if m := lines(t, out.Bytes(), 0); len(m) != 2 || m[1]["count"] != 2.0 {
		t.Errorf("%v", m)
	}
}

// Where no line can be written the caller hears it, and what was counted is told once there is room.
func TestTallyOnAFullDisk(t *testing.T) {
	t.Parallel()
	out := &failing{}
	l := open(t, Config{Path: Stdout, Stdout: out, Refuse: true})
	for range 3 {
		refused(t, l, "192.0.2.1", Event{Realm: "r"})
	}
	out.full = true
	l.sweep()
	for range 2 {
		if err := l.Tally(t.Context(), Event{Name: TokenIssue, Realm: "r"}); !errors.Is(err, ErrUnwritten) {
			t.Errorf("%v", err)
		}
	}
	out.full = false
	l.sweep()
	if m := lines(t, out.Bytes(), 3); len(m) != 2 || m[1]["count"] != 2.0 {
		t.Errorf("%v", m)
	}
	if err := l.Tally(t.Context(), Event{Name: TokenIssue, Realm: "r"}); err != nil {
		t.Error(err)
	}
	if m := lines(t, out.Bytes(), 3); len(m) != 3 {
		t.Errorf("%v", m)
	}
}

func TestTallyWithoutALog(t *testing.T) {
	t.Parallel()
	var l *Log
	if err := l.Tally(t.Context(), Event{}); err != nil {
		t.Error(err)
	}
}

// What one plugin asks says nothing of another one, nor one of its parts of another; a flood of them all is bounded.
func TestTallyOfPlugins(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := open(t, Config{Path: Stdout, Stdout: &out})
	tell := func(plugin, part string) {
		if err := l.Tally(t.Context(), Event{Name: PluginRefused, Outcome: Refused, Realm: "r", Plugin: plugin, Part: part, Reason: "principals"}); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		tell("acme", "principal-mapper(a)")
		tell("acme", "principal-mapper(b)")
		tell("other", "principal-mapper(a)")
	}
	l.sweep()
	counts := map[string]float64{}
	for _, m := range lines(t, out.Bytes(), 0) {
		n, _ := m["count"].(float64)
		counts[fmt.Sprint(m["plugin"], " ", m["part"])] += max(1, n)
	}
	if want := map[string]float64{"acme principal-mapper(a)": 3, "acme principal-mapper(b)": 3, "other principal-mapper(a)": 3}; !maps.Equal(counts, want) {
		t.Errorf("%v, want %v", counts, want)
	}
	out.Reset()
	for i := range 5_000 {
		tell("acme", fmt.Sprintf("principal-mapper(%d)", i))
	}
	l.sweep()
	if n := len(lines(t, out.Bytes(), 0)); n > promptLines+summaries+2 {
		t.Errorf("%d lines", n)
	}
}
