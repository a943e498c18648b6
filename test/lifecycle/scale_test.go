package lifecycle

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/internal/daemontest"
	"github.com/realmgate/realmgate/internal/manyrealms"
)

// crowd starts a daemon with the first n of very many realms, whose foreign provider is down.
func crowd(t *testing.T, n int) *gate {
	t.Helper()
	d := daemontest.New(t, daemontest.Options{
		HCL: "log {\n  level = \"error\"\n}\n" + manyrealms.Head("secrets") + manyrealms.Realms(n, "http://127.0.0.1:1"),
	})
	dir := filepath.Join(d.Dir, "secrets")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := manyrealms.WriteKeys(dir, n); err != nil {
		t.Fatal(err)
	}
	d.Start()
	return &gate{t: t, Daemon: d}
}

// size gives the memory that the daemon and its plugin have, in bytes.
func (g *gate) size() int {
	g.t.Helper()
	sum := residentOf(g.t, g.PID())
	for _, pid := range g.pids("default") {
		sum += residentOf(g.t, pid)
	}
	return sum
}

// perRealm bounds the memory that a realm takes in both processes, in bytes. Of ten thousand it is 22 KB, of
// these 37: what a plugin's small heap may become before it is collected (serve.collectLess) is shared by fewer.
const perRealm = 40 << 10

// Thousands of realms of all shapes are served, a first start makes all of their root principals, a reload that changes one leaves
// the instances of the others, and each takes little memory.
func TestManyRealms(t *testing.T) {
	t.Parallel()
	const realms, shapes = 2000, int(manyrealms.Shapes)
	few := crowd(t, shapes)
	own := few.size()
	few.Stop()

	g := crowd(t, realms)
	tokens := map[string]string{}
	for _, n := range []int{0, 1, 4, realms/2 + 1, realms - 1} {
		name := manyrealms.Name(n)
		tokens[name] = g.Token(name)
	}
	served := func() {
		t.Helper()
		for name, token := range tokens {
			if who, roles := g.Check(name, token).Who(); who != "root" || roles != "service_admin" {
				t.Errorf("%s: %q %q", name, who, roles)
			}
			other := manyrealms.Name(5)
			if a := g.Check(other, token); a.Status != 401 {
				t.Errorf("%s takes the token of %s: %d", other, name, a.Status)
			}
		}
		if a := g.Check(manyrealms.Name(realms-3), "x.y.z"); a.Status != 401 {
			t.Errorf("an external realm: %d %s", a.Status, a.Text)
		}
	}
	served()
	little := func(most int) {
		t.Helper()
		each := 0
		defer func() { t.Logf("%d bytes for a realm, and %d MiB for a daemon with %d", each, own>>20, shapes) }()
		await(t, "little memory", func() bool {
			each = (g.size() - own) / (realms - shapes)
			return each < most
		})
	}
	little(perRealm)

	before := g.list()
	g.write("config.hcl", strings.Replace(g.config(), `timeout = "5s"`, `timeout = "4s"`, 1))
	report := g.Operate("reload")
	if strings.Count(report, "realm ") != 1 || !strings.Contains(report, `"5s" -> "4s"`) {
		t.Errorf("reloaded: %s", report)
	}
	served()
	for i, p := range g.list() {
		if p.Instances != before[i].Instances || p.PID != before[i].PID {
			t.Errorf("plugin %s had %d instances in process %d, and has %d in %d", p.Name, before[i].Instances, before[i].PID, p.Instances, p.PID)
		}
	}
	little(perRealm * 3 / 2)
}
