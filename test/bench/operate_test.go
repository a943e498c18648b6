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
	"github.com/realmgate/realmgate/host/config"
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

// operated is what starts, reloads and memory were, in nanoseconds and bytes.
type operated struct {
	pluginStart, fewStart, manyStart       int64
	readFew, reloadFew                     int64
	readMany, reloadMany, reloadOne, fresh int64
	fewMemory, manyMemory                  int64
}

// operate measures a daemon with few realms and one with many, which run.
func operate(t *testing.T, o options, few, many *gate) (out operated) {
	t.Helper()
	binary := filepath.Join(buildtest.Plugin(t), "realmgate-plugin-default")
	var bare, fewStarts, manyStarts []time.Duration
	for range o.times {
		took, _ := bareStart(t, binary)
		bare = append(bare, took)
		fewStarts = append(fewStarts, few.again())
		out.fewMemory = max(out.fewMemory, few.resident())
		manyStarts = append(manyStarts, many.again())
		out.manyMemory = max(out.manyMemory, many.resident())
	}
	out.pluginStart, out.fewStart, out.manyStart = int64(median(bare)), int64(median(fewStarts)), int64(median(manyStarts))

	var readFew, reloadFew, readMany, reloadMany, reloadOne, fresh []time.Duration
	for range o.times {
		readFew = append(readFew, few.read())
		reloadFew = append(reloadFew, few.reload(0, admin.ReloadOptions{}))
		readMany = append(readMany, many.read())
		reloadMany = append(reloadMany, many.reload(0, admin.ReloadOptions{}))
		many.change()
		reloadOne = append(reloadOne, many.reload(1, admin.ReloadOptions{}))
		fresh = append(fresh, many.reload(0, admin.ReloadOptions{Fresh: true}))
	}
	out.readFew, out.reloadFew, out.readMany = int64(median(readFew)), int64(median(reloadFew)), int64(median(readMany))
	out.reloadMany, out.reloadOne, out.fresh = int64(median(reloadMany)), int64(median(reloadOne)), int64(median(fresh))
	return out
}

// again starts the daemon anew, which has been started before: its database is there.
func (g *gate) again() time.Duration {
	g.t.Helper()
	g.Stop()
	return g.begin()
}

func (g *gate) resident() int64 {
	g.t.Helper()
	pids, err := g.pids()
	if err != nil {
		g.t.Fatal(err)
	}
	n, err := resident(pids)
	if err != nil {
		g.t.Fatal(err)
	}
	return n
}

// read reads the daemon's configuration, in this process, and does nothing with it.
func (g *gate) read() time.Duration {
	g.t.Helper()
	begun := time.Now()
	if cfg, diags := config.Load(config.Options{Files: []string{filepath.Join(g.Dir, "config.hcl")}}); cfg == nil {
		g.t.Fatal(diags.Err())
	}
	return time.Since(begun)
}

// reload has the daemon take its configuration, in which as many blocks have changed.
func (g *gate) reload(changed int, o admin.ReloadOptions) time.Duration {
	g.t.Helper()
	begun := time.Now()
	got, err := g.admin.Reload(g.t.Context(), o)
	took := time.Since(begun)
	if err != nil {
		g.t.Fatal(err)
	}
	if len(got.Blocks) != changed {
		g.t.Fatalf("%d blocks have changed, want %d: %v", len(got.Blocks), changed, got.Blocks)
	}
	return took
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
