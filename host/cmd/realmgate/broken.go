package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/realmgate/realmgate/host/catalog"
	"github.com/realmgate/realmgate/host/config"
)

// broken says what could not be brought up at the start, at its place: plugins that did not start, also those that no realm
// names, and realms that are not served.
func (r *rooms) broken() config.Diagnostics {
	cfg := r.first.Held.Config()
	return append(r.notStarted(cfg), unserved(cfg, r.first.Held.Realms())...)
}

func (r *rooms) notStarted(cfg *config.Config) (out config.Diagnostics) {
	for _, p := range r.catalog.Plugins() {
		if p.State == catalog.StateFailed {
			out = append(out, cfg.Plugin(p.Name).Diagnose("", p.LastError, ""))
		}
	}
	return out
}

// maxNamed is how many realms a message names.
const maxNamed = 10

// unserved gives the realms that are not served, those that have the same reason as one.
func unserved(cfg *config.Config, state map[string]error) (out config.Diagnostics) {
	by := map[string][]string{} // reason -> realms
	var reasons []string
	for _, name := range slices.Sorted(maps.Keys(state)) {
		err := state[name]
		if err == nil {
			continue
		}
		why := err.Error()
		if by[why] == nil {
			reasons = append(reasons, why)
		}
		by[why] = append(by[why], name)
	}
	for _, why := range reasons {
		names := by[why]
		text := fmt.Sprintf("realm %s is not served: %s", names[0], why)
		switch more := len(names) - maxNamed; {
		case more > 0:
			text = fmt.Sprintf("realms %s and %d more are not served: %s", strings.Join(names[:maxNamed], ", "), more, why)
		case len(names) > 1:
			text = fmt.Sprintf("realms %s are not served: %s", strings.Join(names, ", "), why)
		}
		out = append(out, cfg.Realm(names[0]).Diagnose("", text, ""))
	}
	return out
}
