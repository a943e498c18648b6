package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/realmgate/realmgate/host/catalog"
)

// Plugins tells about the plugins; *catalog.Catalog does.
type Plugins interface {
	// Plugins lists the plugins. There may be two of one name, of which one is on its way out.
	Plugins() []catalog.Status
	// Counts gives what was counted of the plugins that there are and were, by name.
	Counts() map[string]catalog.Counts
}

// plugins is a collector that asks at each scrape.
type plugins struct{ from Plugins }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(namespace+"_"+name, help, labels, nil)
}

var (
	pluginState     = describe("plugin_state", "How many plugins of the name are in the state: more than one while one replaces another one, or where realms have processes of their own.", "plugin", "state")
	pluginInstances = describe("plugin_instances", "Instances that are configured.", "plugin")
	pluginInFlight  = describe("plugin_calls_in_flight", "Calls that are under way.", "plugin")
	pluginStuck     = describe("plugin_calls_stuck", "Calls that the daemon gave up and that the plugin has not ended for a second.", "plugin")
	pluginBreaker   = describe("plugin_breaker_open", "1 while calls are answered unavailable without asking the plugin, since it failed too often.", "plugin")
	pluginClosed    = describe("plugin_realm_breakers_open", "Realms and secret stores whose calls are answered unavailable without asking the plugin, since there was no answer in time too often.", "plugin")
	pluginCalls     = describe("plugin_calls_total", "Calls that have ended.", "plugin", "outcome")
	pluginRetries   = describe("plugin_retries_total", "Calls that were made once more, since their process, or its session, was lost and there was one again in time.", "plugin")
	pluginDropped   = describe("plugin_log_lines_dropped_total", "Lines that the plugin printed and that were not logged, since there were too many.", "plugin")
	outboundOpen    = describe("outbound_breakers_open", "Other servers that parts of the type leave alone for a while, since they failed again and again.", "plugin", "part")
	outboundTotal   = describe("outbound_breaker_openings_total", "How often parts of the type began to leave another server alone.", "plugin", "part")
	pluginRestarts  = describe("plugin_restarts_total", "Processes that took the place of one that had ended.", "plugin")
)

// Describe gives what Collect may give.
func (p *plugins) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{pluginState, pluginInstances, pluginInFlight, pluginStuck, pluginBreaker, pluginClosed, pluginCalls, pluginRetries, pluginRestarts, pluginDropped, outboundOpen, outboundTotal} {
		out <- d
	}
}

// Collect asks for all plugins. Those of one name are added up.
func (p *plugins) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v int, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	type sum struct {
		states                                  map[catalog.State]int
		instances, calls, stuck, breaks, closed int
	}
	sums := map[string]*sum{}
	open := map[string]map[string]int{} // servers, by plugin and part
	for _, s := range p.from.Plugins() {
		of := sums[s.Name]
		if of == nil {
			of = &sum{states: map[catalog.State]int{}}
			sums[s.Name] = of
		}
		of.states[s.State]++
		of.instances += s.Instances
		of.calls += s.Calls
		of.stuck += s.Stuck
		of.closed += len(s.ClosedTo)
		if s.BreakerOpen {
			of.breaks = 1
		}
		for _, part := range s.Outbound {
			if open[s.Name] == nil {
				open[s.Name] = map[string]int{}
			}
			open[s.Name][part.Part] += part.Open
		}
	}
	for name, of := range sums {
		for _, state := range catalog.States {
			gauge(pluginState, of.states[state], name, string(state))
		}
		gauge(pluginInstances, of.instances, name)
		gauge(pluginInFlight, of.calls, name)
		gauge(pluginStuck, of.stuck, name)
		gauge(pluginBreaker, of.breaks, name)
		gauge(pluginClosed, of.closed, name)
	}
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	for name, c := range p.from.Counts() {
		for outcome, n := range c.Calls {
			counter(pluginCalls, n, name, string(outcome))
		}
		counter(pluginRetries, c.Retries, name)
		counter(pluginRestarts, c.Restarts, name)
		counter(pluginDropped, c.Dropped, name)
		for part, n := range c.Openings {
			counter(outboundTotal, n, name, part)
			gauge(outboundOpen, open[name][part], name, part)
		}
	}
}
