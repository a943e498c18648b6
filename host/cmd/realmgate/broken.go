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
		verb := "is"
		if len(names) > 1 {
			verb = "are"
		}
		text := fmt.Sprintf("%s %s not served: %s", realmsNamed(names), verb, why)
		out = append(out, cfg.Realm(names[0]).Diagnose("", text, ""))
	}
	return out
}

// realmsNamed names realms, the first ones of many.
func realmsNamed(names []string) string {
	switch more := len(names) - maxNamed; {
	case more > 0:
		return fmt.Sprintf("realms %s and %d more", strings.Join(names[:maxNamed], ", "), more)
	case len(names) > 1:
		return "realms " + strings.Join(names, ", ")
	}
	return "realm " + names[0]
}
