package metrics

import "github.com/prometheus/client_golang/prometheus"

// Remembered says where decisions came from, and what is kept of them.
type Remembered struct {
	// Memory were remembered, Shared with an equal request that was under way, and the others made: Plan where the answer may be
	// remembered, Unremembered where it may not, Passed where none can be.
	Memory, Shared, Plan, Unremembered, Passed uint64
	AllowedEntries, DeniedEntries              int
	AllowedBytes, DeniedBytes                  uint64 // estimated
}

// remembered is a collector that asks at each scrape.
type remembered func() Remembered

var (
	answersDesc = describe("decision_cache_answers_total",
		"Decisions by where they came from: remembered, shared with an equal request that was under way, made by the plan, made with an answer that may not be remembered, or passed on to the plan since none can be.", "from")
	entriesDesc = describe("decision_cache_entries", "Decisions that are remembered, also those whose time is over and whose place was not needed since.", "kind")
	bytesDesc   = describe("decision_cache_bytes", "What they take, an estimate.", "kind")
)

// Describe gives what Collect may give.
func (remembered) Describe(out chan<- *prometheus.Desc) {
	out <- answersDesc
	out <- entriesDesc
	out <- bytesDesc
}

// Collect asks.
func (r remembered) Collect(out chan<- prometheus.Metric) {
	s := r()
	for from, n := range map[string]uint64{"memory": s.Memory, "shared": s.Shared, "plan": s.Plan, "unremembered": s.Unremembered, "passed": s.Passed} {
		out <- prometheus.MustNewConstMetric(answersDesc, prometheus.CounterValue, float64(n), from)
	}
	for kind, of := range map[string]struct {
		entries int
		bytes   uint64
	}{"allowed": {s.AllowedEntries, s.AllowedBytes}, "denied": {s.DeniedEntries, s.DeniedBytes}} {
		out <- prometheus.MustNewConstMetric(entriesDesc, prometheus.GaugeValue, float64(of.entries), kind)
		out <- prometheus.MustNewConstMetric(bytesDesc, prometheus.GaugeValue, float64(of.bytes), kind)
	}
}
