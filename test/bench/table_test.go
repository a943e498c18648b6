package bench

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/sdk/rpc"
)

var (
	full = flag.Bool("table", false, "measure for long enough, and print the table")
	only = flag.String("rows", "", "a regular expression: measure the rows with such a name alone")
)

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	buildtest.Clean()
	os.Exit(code)
}

// TestTable measures all rows. What it prints is worth something with -table only.
func TestTable(t *testing.T) {
	needProc(t)
	o := options{rounds: 1, during: 50 * time.Millisecond, bare: 25 * time.Millisecond, callers: []int{1, 8}, tokens: 8, realms: 20, times: 1}
	progress := func(format string, args ...any) {
		t.Logf("%s  "+format, append([]any{time.Now().Format(time.TimeOnly)}, args...)...)
	}
	if *full {
		o = options{rounds: 5, during: 200 * time.Millisecond, bare: 80 * time.Millisecond, callers: []int{1, 8, 64}, tokens: 128, realms: 1000, times: 3}
		progress = func(format string, args ...any) {
			fmt.Fprintf(os.Stderr, "%s  "+format+"\n", append([]any{time.Now().Format(time.TimeOnly)}, args...)...)
		}
	}
	wanted, err := regexp.Compile(*only)
	if err != nil {
		t.Fatalf("-rows: %v", err)
	}
	all, operations := chosen(t, wanted, rows(o), operations(o))
	begun, busy := time.Now(), loadAverage()
	progress("building")
	g := newGates(t)
	legs := filepath.Join(buildtest.Plugin(t), "realmgate-plugin-default")
	for binary, want := range map[string]rpc.SessionMode{legs: rpc.SessionLegs, g.naive: rpc.SessionHostCalls} {
		if _, got := bareStart(t, binary); got != want {
			t.Fatalf("%s: the session is %v, want %v", binary, got, want)
		}
	}
	progress("starting the daemons, and making principals and tokens")
	for _, r := range all {
		r.prepare(o, g)
	}
	var table, notes strings.Builder
	writeHead(&table, o)
	if len(all) > 0 {
		plain := g.running(o, daemonPlain)
		bare := newBare(t, plain.Check("internal", plain.Token("internal")), plain.Issue("internal"))
		measure(t, o, bare, all, progress)
		writeRows(&table, &notes, o, all)
	}
	if len(operations) > 0 {
		progress("starts and reloads")
		few, many := g.running(o, daemonPlain), g.running(o, daemonMany)
		for _, other := range g.made {
			if other != few && other != many {
				other.Stop()
			}
		}
		writeOperated(&table, &notes, o, operations, operate(t, o, few, many))
	}
	fmt.Fprintf(&notes, "%s; load average %s before and %s after; %s in all.\n", machine(), busy, loadAverage(), time.Since(begun).Round(time.Second))
	if *full {
		fmt.Printf("%s\n%s", &table, &notes)
	} else {
		t.Logf("\n%s\n%s", &table, &notes)
	}
	for _, r := range all {
		r.honest(t)
	}
}

// chosen gives the rows, and the operations, that are asked for.
func chosen(t *testing.T, wanted *regexp.Regexp, all []*row, operations []operation) ([]*row, []operation) {
	t.Helper()
	var names []string
	for _, r := range all {
		names = append(names, r.what)
	}
	for _, x := range operations {
		names = append(names, x.what)
	}
	if !slices.ContainsFunc(names, wanted.MatchString) {
		t.Fatalf("-rows: there is no row like %q, but\n  %s", wanted, strings.Join(names, "\n  "))
	}
	all = slices.DeleteFunc(all, func(r *row) bool { return !wanted.MatchString(r.what) })
	for _, r := range all {
		if r.naive != nil && !slices.Contains(all, r.naive) {
			r.naive = nil
		}
	}
	return all, slices.DeleteFunc(operations, func(x operation) bool { return !wanted.MatchString(x.what) })
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
