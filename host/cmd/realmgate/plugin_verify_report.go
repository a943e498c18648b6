package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/realmgate/realmgate/host/child"
	"github.com/realmgate/realmgate/sdk/plugintest"
)

// verification is the report on one plugin: as JSON at the end, or as text as it comes.
type verification struct {
	Name    string              `json:"name"`
	Path    string              `json:"path"`
	SHA256  string              `json:"sha256"`
	OK      int                 `json:"ok"`
	Failed  int                 `json:"failed"`
	Skipped int                 `json:"skipped"`
	Untried int                 `json:"untried"` // parts
	Checks  []plugintest.Result `json:"checks"`

	out   io.Writer
	json  bool
	about string // the part that the last line was about
	errs  []error
}

// maxFinding is how much of one finding is shown: it may have text of the plugin in it.
const maxFinding = 2 << 10

func (v *verification) line(format string, args ...any) {
	if _, err := fmt.Fprintf(v.out, format+"\n", args...); err != nil {
		v.errs = append(v.errs, err)
	}
}

func (v *verification) begin() {
	if !v.json {
		v.line("plugin %s, %s, sha256 %s", v.Name, v.Path, v.SHA256)
	}
}

// Report takes the result of one check.
func (v *verification) Report(r plugintest.Result) {
	for n, text := range r.Got {
		r.Got[n] = child.Safe(text, maxFinding)
	}
	v.Checks = append(v.Checks, r)
	switch r.Outcome {
	case plugintest.OK:
		v.OK++
	case plugintest.Failed:
		v.Failed++
	case plugintest.Skipped:
		v.Skipped++
	case plugintest.Untried:
		v.Untried++
	}
	if v.json {
		return
	}
	about := "the plugin"
	if r.Kind != "" {
		about = strings.TrimSpace(r.Kind + " " + r.Type + " " + r.Case)
	}
	if about != v.about {
		v.line("\n%s", about)
		v.about = about
	}
	switch r.Outcome {
	case plugintest.OK:
		v.line("  ok       %s: %s", r.Check, r.Did)
	case plugintest.Untried:
		v.line("  UNTRIED  %s", strings.Join(r.Got, "; "))
	case plugintest.Skipped:
		v.line("  skipped  %s: %s", r.Check, strings.Join(r.Got, "; "))
	case plugintest.Failed:
		v.line("  FAILED   %s", r.Check)
		v.line("             what was done  %s", r.Did)
		for _, text := range r.Got {
			v.line("             what came      %s", text)
		}
		v.line("             the contract   %s", r.Rule)
	}
}

func (v *verification) end() error {
	if !v.json {
		v.line("\n%d ok, %d failed, %d skipped, %d parts untried", v.OK, v.Failed, v.Skipped, v.Untried)
		return errors.Join(v.errs...)
	}
	e := json.NewEncoder(v.out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
