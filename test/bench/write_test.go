package bench

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// writeHead begins the table.
func writeHead(w io.Writer, o options) {
	count := join(o.callers, "%d")
	fmt.Fprintf(w, "| what | compared with | rate, %[1]s callers | CPU | of it in the plugin, %% | p99 |\n|---|---|---|---|---|---|\n", count)
}

// writeRows prints rows, and, as notes, what says nothing about another machine.
func writeRows(w, notes io.Writer, o options, all []*row) {
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
	for n, callers := range o.callers {
		s := total(slices.Concat(*all[0].cells[n].bare...))
		fmt.Fprintf(notes, "The bare handler, %d at a time: %.0f answers in a second, %.0f µs of CPU each, p99 %v.\n",
			callers, s.rate(), s.each()/1000, quantile(s.lat, 0.99).Round(10*time.Microsecond))
	}
}

// operation is a ratio of two things that are measured of starts and reloads.
type operation struct {
	what, to string
	a, b     int
}

func operations(o options) []operation {
	many := fmt.Sprintf("%d realms", o.realms)
	return []operation{
		{"time to start, few realms", "the default plugin, started by go-plugin alone", fewStart, pluginStart},
		{"time to start, " + many, "few realms", manyStart, fewStart},
		{"time to reload, few realms, nothing changed", "its start", fewReload, fewStart},
		{"time to reload, " + many + ", nothing changed", "its start", manyReload, manyStart},
		{"time to reload, " + many + ", one of them changed", "nothing changed", oneReload, manyReload},
		{"time to reload, " + many + ", every part anew (`--fresh`)", "nothing changed", freshReload, manyReload},
		{"memory of daemon and plugin after a start, " + many, "few realms", manyMemory, fewMemory},
	}
}

// writeOperated prints operations, and, as notes, all that was measured for them.
func writeOperated(w, notes io.Writer, o options, wanted []operation, all []operated) {
	many := fmt.Sprintf("%d realms", o.realms)
	for _, x := range wanted {
		fmt.Fprintf(w, "| %s | %s | %.2f | | | |\n", x.what, x.to, middle(all, x.a)/middle(all, x.b))
	}
	ms := func(thing int) time.Duration { return time.Duration(middle(all, thing)).Round(time.Millisecond) }
	fmt.Fprintf(notes, "Start: the plugin by go-plugin alone %v, few realms %v, %s %v.\n", ms(pluginStart), ms(fewStart), many, ms(manyStart))
	fmt.Fprintf(notes, "Reload: few realms %v, %s %v, one of them changed %v, every part anew %v.\n", ms(fewReload), many, ms(manyReload), ms(oneReload), ms(freshReload))
	mib := func(bytes float64) float64 { return bytes / (1 << 20) }
	fmt.Fprintf(notes, "Memory: few realms %.0f MiB, %s %.0f MiB: %.0f MiB for each 1,000 realms.\n", mib(middle(all, fewMemory)), many, mib(middle(all, manyMemory)),
		mib(middle(all, manyMemory)-middle(all, fewMemory))*1000/float64(o.realms))
}

const bareHandler = "the bare handler"

// line prints the ratios of a row to the bare handler, or those divided by another row's.
func line(w io.Writer, what, to string, r, other *row) {
	var rate, cpu, plugin, tail []float64
	for n, c := range r.cells {
		x, y, z := c.ratios()
		if other == nil {
			plugin = append(plugin, share(c.seen))
		} else {
			a, b, c := other.cells[n].ratios()
			x, y, z = x/a, y/b, z/c
		}
		rate, cpu, tail = append(rate, x), append(cpu, y), append(tail, z)
	}
	fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s |\n", what, to, join(rate, "%.2f"), join(cpu, "%.1f"), join(plugin, "%.0f"), join(tail, "%.1f"))
}

func join[T any](all []T, format string) string {
	out := make([]string, len(all))
	for n, x := range all {
		out[n] = fmt.Sprintf(format, x)
	}
	return strings.Join(out, " / ")
}
