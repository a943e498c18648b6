package metrics

import "github.com/prometheus/client_golang/prometheus"

// secretReads is a collector of how often secrets were read.
type secretReads func() (remembered, asked uint64)

var readsDesc = describe("secret_reads_total", "Reads of secrets: remembered, or asked of their store.", "from")

// Describe gives what Collect may give.
func (secretReads) Describe(out chan<- *prometheus.Desc) { out <- readsDesc }

// Collect asks.
func (s secretReads) Collect(out chan<- prometheus.Metric) {
	remembered, asked := s()
	out <- prometheus.MustNewConstMetric(readsDesc, prometheus.CounterValue, float64(remembered), "memory")
	out <- prometheus.MustNewConstMetric(readsDesc, prometheus.CounterValue, float64(asked), "store")
}
