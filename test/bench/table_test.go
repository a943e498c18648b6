package bench

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/sdk/rpc"
)

var full = flag.Bool("table", false, "measure for long enough, and print the table")

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	buildtest.Clean()
	os.Exit(code)
}

// TestTable measures all rows. What it prints is worth something with -table only.
func TestTable(t *testing.T) {
	o := options{rounds: 1, during: 50 * time.Millisecond, bare: 20 * time.Millisecond, callers: []int{1, 8}, realms: 20, times: 1}
	progress := t.Logf
	if *full {
		o = options{rounds: 5, during: 350 * time.Millisecond, bare: 150 * time.Millisecond, callers: []int{1, 8, 64}, realms: 1000, times: 5}
		progress = func(format string, args ...any) {
			fmt.Fprintf(os.Stderr, "%s  "+format+"\n", append([]any{time.Now().Format(time.TimeOnly)}, args...)...)
		}
	}
	begun, busy := time.Now(), loadAverage()
	progress("building")
	g := newGates(t)
	legs := filepath.Join(buildtest.Plugin(t), "realmgate-plugin-default")
	for binary, want := range map[string]rpc.SessionMode{legs: rpc.SessionLegs, g.naive: rpc.SessionHostCalls} {
		if _, got := bareStart(t, binary); got != want {
			t.Fatalf("%s: the session is %v, want %v", binary, got, want)
		}
	}
	progress("starting the daemons")
	few := fmt.Sprintf(realms, g.keys)
	plain, naive, info, many := g.new("warn", few), g.new("warn", fmt.Sprintf(unary, g.naive)+few), g.new("info", few), g.new("warn", g.manyRealms(o.realms))
	for _, d := range []*gate{plain, naive, info, many} {
		d.begin()
	}
	progress("making principals and tokens")
	all := rows(o, plain, naive, info, many)
	bare := newBare(t, plain.Check("internal", plain.Token("internal")), plain.Issue("internal"))
	measure(t, o, bare, all, progress)
	for _, r := range all {
		r.honest(t)
	}
	progress("starts and reloads")
	naive.Stop()
	info.Stop()
	did := operate(t, o, plain, many)
	if t.Failed() {
		return
	}
	var out io.Writer = &strings.Builder{}
	if *full {
		out = os.Stdout
	}
	write(out, o, all, did)
	fmt.Fprintf(out, "\n%s; load average %s before and %s after; %s in all.\n", machine(), busy, loadAverage(), time.Since(begun).Round(time.Second))
	if b, ok := out.(*strings.Builder); ok {
		t.Log("\n" + b.String())
	}
}

// write prints the table.
func write(w io.Writer, o options, all []*row, did operated) {
	count := strings.Trim(strings.Join(strings.Fields(fmt.Sprint(o.callers)), " / "), "[]")
	fmt.Fprintf(w, "| what | compared with | rate, %[1]s callers | CPU, %[1]s callers | p99, %[1]s callers |\n|---|---|---|---|---|\n", count)
	for _, r := range all {
		line(w, r.what, "the bare handler", r.cells, func(c, _ int) ([]sample, []sample) { return r.cells[c].seen, r.cells[c].bare })
		if b := r.beside; b != nil {
			line(w, r.what, "the same, naive", r.cells, func(c, _ int) ([]sample, []sample) { return r.cells[c].seen, b.cells[c].seen })
		}
	}
	one := func(what, to string, a, b int64) {
		fmt.Fprintf(w, "| %s | %s | %.2f | | |\n", what, to, float64(a)/float64(b))
	}
	many := fmt.Sprintf("%d realms", o.realms)
	one("time to start, few realms", "the default plugin, started by go-plugin alone", did.fewStart, did.pluginStart)
	one("time to start, "+many, "few realms", did.manyStart, did.fewStart)
	one("time to reload, few realms, nothing changed", "reading the configuration", did.reloadFew, did.readFew)
	one("time to reload, "+many+", nothing changed", "reading the configuration", did.reloadMany, did.readMany)
	one("time to reload, "+many+", one of them changed", "nothing changed", did.reloadOne, did.reloadMany)
	one("time to reload, "+many+", every part anew (`--fresh`)", "nothing changed", did.fresh, did.reloadMany)
	one("memory of daemon and plugin, "+many, "few realms", did.manyMemory, did.fewMemory)

	fmt.Fprintf(w, "\nThe bare handler:")
	for n, callers := range o.callers {
		var all2 []sample
		for _, r := range all {
			all2 = append(all2, r.cells[n].bare...)
		}
		s := total(all2)
		fmt.Fprintf(w, " %d callers %.0f/s, %.0f µs of CPU each, p99 %v;", callers, s.rate(), s.each()/1000, quantile(s.lat, 0.99).Round(10*time.Microsecond))
	}
	ms := func(n int64) time.Duration { return time.Duration(n).Round(time.Millisecond) }
	fmt.Fprintf(w, "\nstarts: the plugin alone %v, few realms %v, %s %v; reloads: few realms %v, %s %v, one changed %v, every part anew %v;\nmemory: few realms %d MiB, %s %d MiB, %.1f MiB for 1,000 realms more.\n",
		ms(did.pluginStart), ms(did.fewStart), many, ms(did.manyStart), ms(did.reloadFew), many, ms(did.reloadMany), ms(did.reloadOne), ms(did.fresh),
		did.fewMemory>>20, many, did.manyMemory>>20, float64(did.manyMemory-did.fewMemory)/(1<<20)*1000/float64(o.realms))
}

func line(w io.Writer, what, to string, cells []*cell, pair func(c, n int) (a, b []sample)) {
	var rate, cpu, tail []string
	for n := range cells {
		x, y, z := ratios(pair(n, 0))
		rate, cpu, tail = append(rate, fmt.Sprintf("%.2f", x)), append(cpu, fmt.Sprintf("%.1f", y)), append(tail, fmt.Sprintf("%.1f", z))
	}
	fmt.Fprintf(w, "| %s | %s | %s | %s | %s |\n", what, to, strings.Join(rate, " / "), strings.Join(cpu, " / "), strings.Join(tail, " / "))
}

// machine says what this runs on.
func machine() string {
	model := runtime.GOARCH
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := strings.Cut(string(text), "model name\t: "); ok {
			model, _, _ = strings.Cut(rest, "\n")
		}
	}
	return fmt.Sprintf("%d cores of %s, %s", runtime.GOMAXPROCS(0), model, runtime.Version())
}

func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}
