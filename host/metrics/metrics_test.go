package metrics

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/realmgate/realmgate/host/catalog"
	"github.com/realmgate/realmgate/sdk/breaker"
)

// scrape gives all series as lines, and checks that they can be parsed.
func scrape(t testing.TB, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != http.StatusOK || w.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	p := expfmt.NewTextParser(model.UTF8Validation)
	if _, err := p.TextToMetricFamilies(strings.NewReader(w.Body.String())); err != nil {
		t.Fatal(err)
	}
	return w.Body.String()
}

func want(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, l := range lines {
		if !strings.Contains(text, l+"\n") {
			t.Errorf("no line %s", l)
		}
	}
}

func TestDecisionsAndTokens(t *testing.T) {
	m := New(Options{Version: "1.2.3"})
	m.Decided("r1", "allowed", "", 3*time.Millisecond)
	m.Decided("r1", "allowed", "", 300*time.Millisecond)
	m.Decided("r1", "denied", "token_expired", time.Millisecond)
	m.Decided("r1", "denied", "alice_is_out", time.Millisecond) // what a part makes up is no label
	m.Decided("r2", "unavailable", "", time.Second)
	for _, status := range []int{200, 400, 401, 429, 500, 501, 503} {
		m.Answered("r1", "token", status)
	}
	text := scrape(t, m)
	want(t, text,
		`realmgate_decisions_total{outcome="allowed",realm="r1",reason=""} 2`,
		`realmgate_decisions_total{outcome="denied",realm="r1",reason="token_expired"} 1`,
		`realmgate_decisions_total{outcome="denied",realm="r1",reason="(other)"} 1`,
		`realmgate_decisions_total{outcome="unavailable",realm="r2",reason=""} 1`,
		`realmgate_decision_duration_seconds_bucket{outcome="allowed",realm="r1",le="0.005"} 1`,
		`realmgate_decision_duration_seconds_count{outcome="allowed",realm="r1"} 2`,
		`realmgate_token_requests_total{endpoint="token",outcome="done",realm="r1"} 1`,
		`realmgate_token_requests_total{endpoint="token",outcome="refused",realm="r1"} 3`,
		`realmgate_token_requests_total{endpoint="token",outcome="limited",realm="r1"} 1`,
		`realmgate_token_requests_total{endpoint="token",outcome="unavailable",realm="r1"} 2`,
	)
	for _, part := range []string{`realmgate_build_info{goversion="go`, `version="1.2.3"} 1`, "go_goroutines ", "process_open_fds "} {
		if !strings.Contains(text, part) {
			t.Errorf("no %s", part)
		}
	}
	if strings.Contains(text, "alice") {
		t.Error("a part's words became a label")
	}
}

// However many realms there are, the series are bounded; those of a realm that is gone end.
func TestRealmsAreBounded(t *testing.T) {
	m := New(Options{})
	names := make([]string, MaxRealms+10)
	for n := range names {
		names[n] = fmt.Sprintf("r%04d", n)
		m.Decided(names[n], "allowed", "", time.Millisecond)
		m.Answered(names[n], "token", 200)
	}
	text := scrape(t, m)
	want(t, text, `realmgate_decisions_total{outcome="allowed",realm="(other)",reason=""} 10`, `realmgate_token_requests_total{endpoint="token",outcome="done",realm="(other)"} 10`)
	if n := strings.Count(text, "realmgate_decisions_total{"); n != MaxRealms+1 {
		t.Errorf("%d series", n)
	}
	m.Serves(names[:1], time.Unix(1_800_000_000, 0))
	m.Decided("new", "allowed", "", time.Millisecond)
	text = scrape(t, m)
	want(t, text, `realmgate_decisions_total{outcome="allowed",realm="r0000",reason=""} 1`, `realmgate_decisions_total{outcome="allowed",realm="new",reason=""} 1`,
		"realmgate_generation 1", "realmgate_generation_start_time_seconds 1.8e+09")
	if strings.Contains(text, "r0001") {
		t.Error("a realm that is gone has series")
	}
}

func TestReloads(t *testing.T) {
	m := New(Options{SecretReads: func() (uint64, uint64) { return 7, 2 }})
	m.Reloaded(true)
	m.Reloaded(false)
	m.Reloaded(false)
	want(t, scrape(t, m), `realmgate_reloads_total{outcome="done"} 1`, `realmgate_reloads_total{outcome="refused"} 2`,
		`realmgate_secret_reads_total{from="memory"} 7`, `realmgate_secret_reads_total{from="store"} 2`)
}

type fakePlugins struct{}

func (fakePlugins) Plugins() []catalog.Status {
	return []catalog.Status{
		{Name: "p", State: catalog.StateDraining, Instances: 1, Calls: 2, ClosedTo: []string{"realm b"}, Outbound: []breaker.PartReport{{Part: "oidc", Openings: 1, Open: 1}}},
		{Name: "p", State: catalog.StateReady, Instances: 3, Calls: 4, Stuck: 5, BreakerOpen: true, ClosedTo: []string{"realm a", "secret store s"},
			Outbound: []breaker.PartReport{{Part: "oidc", Openings: 3, Open: 2}}},
	}
}

func (fakePlugins) Counts() map[string]catalog.Counts {
	return map[string]catalog.Counts{"p": {Calls: map[catalog.Outcome]uint64{catalog.OutcomeDone: 6}, Retries: 7, Restarts: 8, Dropped: 9,
		Openings: map[string]uint64{"oidc": 12, "oauth": 1}}}
}

// Of two plugins of one name, of which one takes the other's place, there is one series.
func TestPlugins(t *testing.T) {
	text := scrape(t, New(Options{Plugins: fakePlugins{}}))
	want(t, text, `realmgate_outbound_breakers_open{part="oidc",plugin="p"} 3`, `realmgate_outbound_breakers_open{part="oauth",plugin="p"} 0`,
		`realmgate_outbound_breaker_openings_total{part="oidc",plugin="p"} 12`, `realmgate_outbound_breaker_openings_total{part="oauth",plugin="p"} 1`)
	want(t, text, `realmgate_plugin_state{plugin="p",state="ready"} 1`, `realmgate_plugin_state{plugin="p",state="draining"} 1`,
		`realmgate_plugin_state{plugin="p",state="failing"} 0`, `realmgate_plugin_instances{plugin="p"} 4`, `realmgate_plugin_calls_in_flight{plugin="p"} 6`,
		`realmgate_plugin_calls_stuck{plugin="p"} 5`, `realmgate_plugin_breaker_open{plugin="p"} 1`, `realmgate_plugin_realm_breakers_open{plugin="p"} 3`,
		`realmgate_plugin_calls_total{outcome="done",plugin="p"} 6`, `realmgate_plugin_retries_total{plugin="p"} 7`, `realmgate_plugin_restarts_total{plugin="p"} 8`, `realmgate_plugin_log_lines_dropped_total{plugin="p"} 9`)
}

func TestOnlyReads(t *testing.T) {
	w := httptest.NewRecorder()
	New(Options{}).ServeHTTP(w, httptest.NewRequest("POST", "/metrics", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Error(w.Code)
	}
}

// Every reason that the documents list for decisions is a label of its own.
func TestReasonsAreThoseOfTheDocuments(t *testing.T) {
	if !slices.IsSorted(reasons) {
		t.Fatal("the reasons are not sorted")
	}
	text, err := os.ReadFile("../../docs/http.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(text), "| reason | status | meaning |")
	table, _, end := strings.Cut(table, "\n\n")
	if !ok || !end {
		t.Fatal("docs/http.md has no table of reasons")
	}
	word := regexp.MustCompile("`([a-z_]+)`")
	n := 0
	for row := range strings.Lines(table) {
		cells := strings.Split(row, "|")
		if len(cells) < 3 || !strings.Contains(cells[2], "401") && !strings.Contains(cells[2], "403") {
			continue
		}
		for _, m := range word.FindAllStringSubmatch(cells[1], -1) {
			n++
			if known(m[1]) != m[1] {
				t.Errorf("%s has no label", m[1])
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d reasons were found", n)
	}
}

// BenchmarkDecided says what measuring adds to a decision.
func BenchmarkDecided(b *testing.B) {
	m := New(Options{})
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.Decided("r1", "allowed", "", time.Millisecond)
		}
	})
}
