package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/realmgate/realmgate/host/admin"
	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/sdk/rpc"
	"github.com/realmgate/realmgate/sdk/serve"
)

// The shapes of realms of a daemon with many.
const (
	shapeInternal = iota
	shapeSymmetric
	shapeClaims
	shapeDirectory
	shapeMixed
	shapes
)

// shapeName names the first realm of a shape.
func shapeName(shape int) string { return fmt.Sprintf("realm-%d", shape) }

// perTenant is how many realms have a tenant in common.
const perTenant = 10

// manyRealms is a configuration of realms of five shapes.
func (g *gates) manyRealms(count int) string {
	var b strings.Builder
	if err := os.WriteFile(filepath.Join(g.keys, "HS256"), []byte(strings.Repeat("0123456789", 4)), 0o600); err != nil {
		g.t.Fatal(err)
	}
	for n := range count {
		tenant := fmt.Sprintf("tenant-%d", n/perTenant)
		if n%perTenant == 0 {
			b.WriteString(g.foreign.tenant(tenant))
		}
		fmt.Fprintf(&b, "realm %q {\n", fmt.Sprintf("realm-%d", n))
		switch n % shapes {
		case shapeInternal:
		case shapeSymmetric:
			fmt.Fprintf(&b, "  authentication {\n    token_broker {\n      type        = \"symmetric-key\"\n      secret_file = %q\n    }\n  }\n", filepath.Join(g.keys, "HS256"))
		case shapeClaims:
			fmt.Fprintf(&b, "  tenant = %q\n  authentication {\n    type = \"external\"\n    authenticator {\n      type = \"claims\"\n    }\n  }\n", tenant)
		case shapeDirectory:
			fmt.Fprintf(&b, "  tenant = %q\n  authentication {\n    type = \"external\"\n  }\n", tenant)
		case shapeMixed:
			fmt.Fprintf(&b, "  tenant = %q\n  authentication {\n    type = \"mixed\"\n  }\n", tenant)
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// bareStart starts the default plugin by go-plugin alone, asks it what it has, and gives how long that takes, and how it serves stages.
func bareStart(t *testing.T, binary string) (time.Duration, rpc.SessionMode) {
	t.Helper()
	begun := time.Now()
	c := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig: serve.Handshake, Plugins: serve.PluginSet(), Cmd: exec.Command(binary), AutoMTLS: true, SkipHostEnv: true,
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC}, Logger: hclog.NewNullLogger(),
	})
	defer c.Kill()
	cp, err := c.Client()
	if err != nil {
		t.Fatal(err)
	}
	cc, err := cp.Dispense(serve.PluginName)
	if err != nil {
		t.Fatal(err)
	}
	m, err := rpc.NewProcess(cc.(grpc.ClientConnInterface), nil).Describe(t.Context(), "bench")
	if err != nil {
		t.Fatal(err)
	}
	return time.Since(begun), m.Session
}

// What is measured of a daemon with few realms and of one with many: nanoseconds, and bytes.
const (
	pluginStart = iota // by go-plugin alone
	fewStart
	manyStart
	fewReload // nothing has changed
	manyReload
	oneReload   // one of many realms has changed
	freshReload // of many, and every part is made anew
	fewMemory
	manyMemory
	things
)

type operated [things]float64

// operate starts and reloads two daemons again and again. Both have been started before: their databases are there.
func operate(t *testing.T, o options, few, many *gate) []operated {
	t.Helper()
	binary := filepath.Join(buildtest.Plugin(t), "realmgate-plugin-default")
	all := make([]operated, o.times)
	for n := range all {
		x := &all[n]
		few.Stop()
		many.Stop()
		took, _ := bareStart(t, binary)
		x[pluginStart] = float64(took)
		x[fewStart] = few.begin()
		x[fewMemory] = few.resident()
		x[manyStart] = many.begin()
		x[manyMemory] = many.resident()
		x[fewReload] = few.reload(0, admin.ReloadOptions{})
		x[manyReload] = many.reload(0, admin.ReloadOptions{})
		many.change()
		x[oneReload] = many.reload(1, admin.ReloadOptions{})
		x[freshReload] = many.reload(0, admin.ReloadOptions{Fresh: true})
	}
	return all
}

// middle gives the median of a thing.
func middle(all []operated, thing int) float64 {
	out := make([]float64, len(all))
	for n, x := range all {
		out[n] = x[thing]
	}
	return median(out)
}

// resident gives the memory that the daemon and its plugin take.
func (g *gate) resident() float64 {
	g.t.Helper()
	pids, err := g.pids()
	if err != nil {
		g.t.Fatal(err)
	}
	n, err := resident(pids)
	if err != nil {
		g.t.Fatal(err)
	}
	return float64(n)
}

// reload has the daemon take its configuration, in which as many blocks have changed.
func (g *gate) reload(changed int, o admin.ReloadOptions) float64 {
	g.t.Helper()
	begun := time.Now()
	got, err := g.admin.Reload(g.t.Context(), o, nil)
	took := time.Since(begun)
	if err != nil {
		g.t.Fatal(err)
	}
	if len(got.Blocks) != changed {
		g.t.Fatalf("%d blocks have changed, want %d: %v", len(got.Blocks), changed, got.Blocks)
	}
	return float64(took)
}

// change changes a setting of a part of one realm.
func (g *gate) change() {
	g.t.Helper()
	path := filepath.Join(g.Dir, "config.hcl")
	text, err := os.ReadFile(path)
	if err != nil {
		g.t.Fatal(err)
	}
	const key = "      max_token_generation = "
	before := "      type        = \"symmetric-key\"\n"
	head, tail, ok := strings.Cut(string(text), before)
	if !ok {
		g.t.Fatal("there is no realm to change")
	}
	minutes := 30
	if rest, ok := strings.CutPrefix(tail, key); ok {
		line, after, _ := strings.Cut(rest, "\n")
		if _, err := fmt.Sscanf(line, "\"PT%dM\"", &minutes); err != nil {
			g.t.Fatal(err)
		}
		minutes, tail = minutes+1, after
	}
	if err := os.WriteFile(path, fmt.Appendf(nil, "%s%s%s\"PT%dM\"\n%s", head, before, key, minutes, tail), 0o600); err != nil {
		g.t.Fatal(err)
	}
}
