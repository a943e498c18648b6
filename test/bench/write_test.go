package bench

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// write prints the table, and what its ratios are made of.
func write(w io.Writer, o options, all []*row, did operated) {
	count := join(o.callers, "%d")
	fmt.Fprintf(w, "| what | compared with | rate, %[1]s callers | CPU | of it in the plugin, %% | p99 |\n|---|---|---|---|---|---|\n", count)
	beside := map[*row]bool{}
	for _, r := range all {
		if beside[r] {
			continue
		}
		line(w, r.what, bareHandler, r, nil)
		if r.naive != nil {
			beside[r.naive] = true
			line(w, r.naive.what, bareHandler, r.naive, nil)
			line(w, r.what, "the same, naive", r, r.naive)
		}
	}
	many := fmt.Sprintf("%d realms", o.realms)
	one := func(what, to string, a, b int64) {
		fmt.Fprintf(w, "| %s | %s | %.2f | | | |\n", what, to, float64(a)/float64(b))
	}
	one("time to start, few realms", "the default plugin, started by go-plugin alone", int64(did.fewStart), int64(did.pluginStart))
	one("time to start, "+many, "few realms", int64(did.manyStart), int64(did.fewStart))
	one("time to reload, few realms, nothing changed", "its start", int64(did.fewReload), int64(did.fewStart))
	one("time to reload, "+many+", nothing changed", "its start", int64(did.manyReload), int64(did.manyStart))
	one("time to reload, "+many+", one of them changed", "nothing changed", int64(did.oneReload), int64(did.manyReload))
	one("time to reload, "+many+", every part anew (`--fresh`)", "nothing changed", int64(did.fresh), int64(did.manyReload))
	one("memory of daemon and plugin after a start, "+many, "few realms", did.manyMemory, did.fewMemory)
	absolute(w, o, all, did)
}

const bareHandler = "the bare handler"

// line prints the ratios of a row to another one, or else to the bare handler right before.
func line(w io.Writer, what, to string, r, other *row) {
	rate, cpu, tail, plugin := make([]float64, len(r.cells)), make([]float64, len(r.cells)), make([]float64, len(r.cells)), make([]float64, len(r.cells))
	for n, c := range r.cells {
		than := c.bare
		if other != nil {
			than = other.cells[n].seen
		}
		rate[n], cpu[n], tail[n] = ratios(c.seen, than)
		plugin[n] = share(c.seen)
	}
	parts := join(plugin, "%.0f")
	if other != nil {
		parts = ""
	}
	fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s |\n", what, to, join(rate, "%.2f"), join(cpu, "%.1f"), parts, join(tail, "%.1f"))
}

// absolute prints what says nothing about another machine.
func absolute(w io.Writer, o options, all []*row, did operated) {
	for n, callers := range o.callers {
		var bare []sample
		for _, r := range all {
			bare = append(bare, r.cells[n].bare...)
		}
		s := total(bare)
		fmt.Fprintf(w, "\nThe bare handler with %d callers: %.0f answers in a second, %.0f µs of CPU each, p99 %v.", callers, s.rate(), s.each()/1000, quantile(s.lat, 0.99).Round(10*time.Microsecond))
	}
	ms := func(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
	fmt.Fprintf(w, "\nStart: the plugin by go-plugin alone %v, few realms %v, %d realms %v.", ms(did.pluginStart), ms(did.fewStart), o.realms, ms(did.manyStart))
	fmt.Fprintf(w, "\nReload: few realms %v, %d realms %v, one of them changed %v, every part anew %v.", ms(did.fewReload), o.realms, ms(did.manyReload), ms(did.oneReload), ms(did.fresh))
	fmt.Fprintf(w, "\nMemory: few realms %d MiB, %d realms %d MiB: %.0f MiB for each 1,000 realms.\n", did.fewMemory>>20, o.realms, did.manyMemory>>20,
		float64(did.manyMemory-did.fewMemory)/(1<<20)*1000/float64(o.realms))
}

func join[T any](all []T, format string) string {
	out := make([]string, len(all))
	for n, x := range all {
		out[n] = fmt.Sprintf(format, x)
	}
	return strings.Join(out, " / ")
}
