package metrics

import (
	"net/http"
	"runtime"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Options is what metrics are made of.
type Options struct {
	Version string // of the daemon
	// Plugins is asked for each scrape; nil: there are none.
	Plugins Plugins
	// SecretReads gives how often the value of a secret was remembered, and how often its store was asked; nil: never.
	SecretReads func() (remembered, asked uint64)
	// Memory gives what is remembered of decisions; nil: nothing is.
	Memory func() Remembered
	Logger hclog.Logger // gets what cannot be exposed; nil: silent
}

// Metrics is what is measured. It is safe for concurrent use.
type Metrics struct {
	registry   *prometheus.Registry
	handler    http.Handler
	realms     *realms
	decisions  *prometheus.CounterVec
	latency    *prometheus.HistogramVec
	tokens     *prometheus.CounterVec
	reloads    *prometheus.CounterVec
	generation prometheus.Gauge
	since      prometheus.Gauge
}

// buckets are bounds of latencies in seconds: a decision that is remembered takes less than a millisecond, and none takes
// longer than its realm's timeout.
var buckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// New makes metrics with a registry of their own.
func New(o Options) *Metrics {
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help})
	}
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		realms:   &realms{named: map[string]bool{}},
		decisions: counter("decisions_total",
			"Decisions on credentials. The reason is that of a denial, as docs/http.md lists them.", "realm", "outcome", "reason"),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: "decision_duration_seconds",
			Help: "How long decisions took.", Buckets: buckets}, []string{"realm", "outcome"}),
		tokens:     counter("token_requests_total", "Requests to the token endpoints that were answered.", "realm", "endpoint", "outcome"),
		reloads:    counter("reloads_total", "Reloads of the configuration, also those that a plugin which started late caused.", "outcome"),
		generation: gauge("generation", "Number of the configuration that serves: 1 at the start, one more with each switch, also with one back."),
		since:      gauge("generation_start_time_seconds", "When the configuration that serves began to, in seconds since 1970."),
	}
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: "build_info", Help: "Always 1."}, []string{"version", "goversion"})
	build.WithLabelValues(o.Version, runtime.Version()).Set(1)
	m.registry.MustRegister(m.decisions, m.latency, m.tokens, m.reloads, m.generation, m.since, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if o.Plugins != nil {
		m.registry.MustRegister(&plugins{o.Plugins})
	}
	if o.SecretReads != nil {
		m.registry.MustRegister(secretReads(o.SecretReads))
	}
	if o.Memory != nil {
		m.registry.MustRegister(remembered(o.Memory))
	}
	m.handler = promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog: o.Logger.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Error}), MaxRequestsInFlight: 4, Timeout: 10 * time.Second,
	})
	return m
}

const namespace = "realmgate"

// ServeHTTP answers a scrape, in the text format of Prometheus.
func (m *Metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "GET and HEAD only", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	m.handler.ServeHTTP(w, r)
}

// Decided counts a decision: outcome is allowed, denied, unavailable or, if the caller did not wait for it, abandoned.
// reason is that of a denial, empty otherwise.
func (m *Metrics) Decided(realm, outcome, reason string, took time.Duration) {
	realm = m.realms.label(realm)
	m.decisions.WithLabelValues(realm, outcome, known(reason)).Inc()
	m.latency.WithLabelValues(realm, outcome).Observe(took.Seconds())
}

// Answered counts a request to one of the endpoints of the token service, by the HTTP status of its answer.
func (m *Metrics) Answered(realm, endpoint string, status int) {
	outcome := "refused"
	switch {
	case status < 300:
		outcome = "done"
	case status == http.StatusTooManyRequests:
		outcome = "limited"
	case status >= 500 && status != http.StatusNotImplemented: // a realm without the endpoint refuses
		outcome = "unavailable"
	}
	m.tokens.WithLabelValues(m.realms.label(realm), endpoint, outcome).Inc()
}

// Reloaded counts a reload that has ended, and whether the daemon took the configuration.
func (m *Metrics) Reloaded(took bool) {
	outcome := "refused"
	if took {
		outcome = "done"
	}
	m.reloads.WithLabelValues(outcome).Inc()
}

// Serves notes that a configuration serves from now on, which has these realms. Series of others end.
func (m *Metrics) Serves(realms []string, now time.Time) {
	m.generation.Inc()
	m.since.Set(float64(now.UnixNano()) / float64(time.Second))
	for _, gone := range m.realms.keep(realms) {
		of := prometheus.Labels{"realm": gone}
		m.decisions.DeletePartialMatch(of)
		m.latency.DeletePartialMatch(of)
		m.tokens.DeletePartialMatch(of)
	}
}
