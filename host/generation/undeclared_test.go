package generation_test

import (
	"bytes"
	"context"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/host/catalog"
	"github.com/realmgate/realmgate/host/child"
	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/host/remember"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/serve"
)

// counter is an authenticator that says how often it was asked.
type counter struct {
	hint  time.Duration
	asked atomic.Int64
}

func (c *counter) Authenticate(ctx context.Context, cr sdk.Credential) (sdk.Principal, error) {
	if c.hint > 0 {
		sdk.CacheFor(ctx, c.hint)
	}
	return sdk.Principal{
		ID: cr.Principal.ID, Name: cr.Principal.Name, Enabled: true, Roles: []string{"service_admin"},
		Attributes: map[string]string{"asked": strconv.FormatInt(c.asked.Add(1), 10)},
	}, nil
}

// serveCounters serves counters in a process of their own: a silent one, one that says that it is cacheable, and one that hints.
func serveCounters() {
	build := func(hint time.Duration) sdk.New[struct{}, *counter] {
		return func(context.Context, sdk.Setup, struct{}) (*counter, error) { return &counter{hint: hint}, nil }
	}
	serve.Main("counters", "1", sdk.AuthenticatorType("silent", build(0)), sdk.AuthenticatorType("declared", build(0), sdk.Cacheable()),
		sdk.AuthenticatorType("hinting", build(time.Minute)))
}

// A decision is remembered only if each part on its way says that it may be, or for how long; the log says which part does not.
func TestPartsSayWhetherTheyAreRemembered(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for typ, want := range map[string]struct {
		remembered bool
		told       string
	}{
		"silent":   {false, "part=\"authenticator(silent)\" plugin=counters realms=1 first=[\"demo\"]"},
		"hinting":  {true, "part=\"authenticator(hinting)\" plugin=counters realms=1 first=[\"demo\"]"},
		"declared": {true, ""},
	} {
		w := newWorld(t, map[string]string{"KEY": benchKey}, catalog.Source{Name: "counters", Program: child.Program{Path: self}})
		w.Memory = remember.New(remember.Limits{Allowed: 8 << 20, Denied: 8 << 20}, w.directory)
		var log bytes.Buffer
		w.Logger = hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Info})
		gen := w.build(t, strings.Replace(remembering, "    cache {", "    authenticator {\n      type = \""+typ+"\"\n    }\n    cache {", 1))
		token := w.token(t, gen, "demo")
		var asked [2]string
		for i := range asked {
			d := decide(t, gen, "demo", token)
			if d.Verdict != pipeline.Allowed {
				t.Fatalf("%s: %v %v", typ, d.Denial, d.Err)
			}
			asked[i] = d.Principal.Attributes["asked"]
		}
		if (asked[0] == asked[1]) != want.remembered {
			t.Errorf("%s: asked %s times", typ, asked[1])
		}
		if got := log.String(); want.told == "" && strings.Contains(got, "not remembered") || !strings.Contains(got, want.told) {
			t.Errorf("%s: the log says %q", typ, got)
		}
	}
}
