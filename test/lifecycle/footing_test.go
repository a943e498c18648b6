package lifecycle

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/admin"
)

// footing is what a daemon takes of the system.
type footing struct {
	children int // processes whose parent it is, also those that nobody has waited for
	parts    int // instances that its plugins have
	places   int // entries of the folder of sockets, all the way down
	files    int // open ones, but for those of the database, which opens as many as it has use for
	live     int // MiB of memory after a garbage collection
	resident int // MiB
}

func (f footing) String() string {
	return fmt.Sprintf("%d children, %d parts, %d sockets and folders of sockets, %d open files, %d MiB live, %d MiB resident",
		f.children, f.parts, f.places, f.files, f.live, f.resident)
}

// What a daemon may have grown by, generously: a leak of 1 MiB a time shows.
const (
	moreLive     = 8
	moreResident = 48
)

// footing takes a daemon's.
func (g *gate) footing() footing {
	g.t.Helper()
	f := footing{children: len(g.children()), files: len(g.files()), places: len(g.places())}
	for _, p := range g.list() {
		f.parts += p.Instances
	}
	f.resident = residentOf(g.t, g.PID()) >> 20
	if all := collected.FindAllStringSubmatch(g.Log.String(), -1); len(all) > 0 {
		f.live, _ = strconv.Atoi(all[len(all)-1][1]) // it is a number
	}
	return f
}

// residentOf gives how many bytes of memory a process has.
func residentOf(t *testing.T, pid int) (bytes int) {
	t.Helper()
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		t.Fatal(err)
	}
	_, rss, _ := strings.Cut(string(status), "VmRSS:")
	if _, err := fmt.Sscan(rss, &bytes); err != nil {
		t.Fatal(err)
	}
	return bytes << 10
}

// collected finds in the line of a garbage collection (GODEBUG=gctrace=1) how much is live after it.
var collected = regexp.MustCompile(`(?m)^gc \d+ @.* \d+->\d+->(\d+) MB, `)

func (g *gate) children() (out []int) {
	g.t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		g.t.Fatal(err)
	}
	for _, path := range all {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(text), ") ") // what a process calls itself may have anything in it
		if f := strings.Fields(rest); len(f) > 1 && f[1] == strconv.Itoa(g.PID()) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path))) // it is a number
			out = append(out, pid)
		}
	}
	return out
}

// places lists what is in the folder of sockets.
func (g *gate) places() (out []string) {
	g.t.Helper()
	_ = filepath.WalkDir(g.runtime, func(path string, _ os.DirEntry, err error) error {
		if err == nil && path != g.runtime {
			out = append(out, path)
		}
		return nil // what is gone already does not count
	})
	return out
}

// settled asks for a while and takes the daemon's footing then, with nobody connected.
func (g *gate) settled(questions []question, generation int64) footing {
	g.t.Helper()
	l := g.begin(questions, generation)
	l.answers(2000)   // several garbage collections
	l.uninterrupted() // nothing happens to them
	var last footing
	await(g.t, "the daemon comes to rest", func() bool {
		before := last
		time.Sleep(200 * time.Millisecond) // connections are closed on their own time
		last = g.footing()
		return before.files == last.files && before.children == last.children
	})
	return last
}

// restored fails unless the daemon is back where it was.
func (g *gate) restored(before footing, questions []question, generation int64) {
	g.t.Helper()
	if g.t.Failed() {
		return
	}
	var now footing
	for end := time.Now().Add(20 * time.Second); ; {
		now = g.settled(questions, generation)
		ok := now.children == before.children && now.parts == before.parts && now.places == before.places && now.files <= before.files &&
			now.live <= before.live+moreLive && now.resident <= before.resident+moreResident
		if ok || time.Now().After(end) {
			break
		}
	}
	g.t.Logf("before: %v; now: %v", before, now)
	if now.children != before.children {
		g.t.Errorf("the daemon has %d children, and had %d", now.children, before.children)
	}
	if now.parts != before.parts {
		g.t.Errorf("the plugins have %d parts, and had %d", now.parts, before.parts)
	}
	if now.places != before.places {
		g.t.Errorf("there are sockets and folders of sockets %q, and there were %d", g.places(), before.places)
	}
	if now.files > before.files {
		g.t.Errorf("the daemon has %d files open, and had %d: %q", now.files, before.files, g.files())
	}
	if before.live == 0 || now.live > before.live+moreLive || now.resident > before.resident+moreResident {
		g.t.Errorf("the daemon takes %d MiB (resident %d), and took %d (%d)", now.live, now.resident, before.live, before.resident)
	}
}

func (g *gate) files() (out []string) {
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", g.PID()))
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && !strings.Contains(to, "/realmgate.db") {
			out = append(out, to)
		}
	}
	slices.Sort(out)
	return out
}

// list gives the plugins as the daemon lists them.
func (g *gate) list() (all []admin.Plugin) {
	g.t.Helper()
	if err := json.Unmarshal([]byte(g.Operate("plugin", "list", "--json")), &all); err != nil {
		g.t.Fatal(err)
	}
	return all
}

// pids gives the processes of a plugin.
func (g *gate) pids(name string) (out []int) {
	g.t.Helper()
	for _, p := range g.list() {
		if p.Name == name && p.PID != 0 {
			out = append(out, p.PID)
		}
	}
	return out
}

// maxGoroutines is what a daemon with two plugins that rests may have: it has about 75.
const maxGoroutines = 100

// unburdened fails if the daemon has kept goroutines of the generations that it has had. To see them it is ended.
func (g *gate) unburdened() {
	g.t.Helper()
	if g.t.Failed() {
		return
	}
	g.Dump()
	n := strings.Count(g.Log.String(), "\ngoroutine ")
	g.t.Logf("%d goroutines", n)
	if n == 0 || n > maxGoroutines {
		g.t.Errorf("the daemon has %d goroutines", n)
	}
}
