package remember

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/sdk"
)

// fill puts n decisions of a shape there, as a plan would.
func fill(m *Memory, n int, shape func(i int) pipeline.Decision) {
	k := newKeys()
	for i := range n {
		e := &entry{decision: own(shape(i)), section: 1, end: m.now().add(time.Hour)}
		space := m.allowed
		if e.decision.Verdict == pipeline.Denied {
			space = m.denied
		}
		space.Set(k.of(1, "r", bearer(fmt.Sprint(i))), e)
	}
	m.allowed.CleanUp()
	m.denied.CleanUp()
}

// shapes are decisions with texts of their own, as they come from a process.
var shapes = map[string]func(int) pipeline.Decision{
	"two roles": func(i int) pipeline.Decision {
		return pipeline.Decision{
			Verdict: pipeline.Allowed, Realm: "realm1", Tenant: "oidc-tenant1", TokenID: fmt.Sprintf("%032x", i), Expires: time.Now().Add(time.Hour),
			Principal: sdk.Principal{Realm: fmt.Sprint("realm", i%9), ID: fmt.Sprintf("%032x", i), Name: fmt.Sprint("principal-", i), Enabled: true, Roles: []string{fmt.Sprint("service", i), fmt.Sprint("catalog", i)}},
			Roles:     []string{fmt.Sprint("service", i)},
		}
	},
	"attributes": func(i int) pipeline.Decision {
		return pipeline.Decision{
			Verdict: pipeline.Allowed, Realm: "realm1", TokenID: fmt.Sprint(i),
			Principal: sdk.Principal{ID: fmt.Sprint(i), Name: fmt.Sprint("p", i), Attributes: map[string]string{fmt.Sprint("team", i): fmt.Sprint("t", i), fmt.Sprint("site", i): "x"}},
		}
	},
	"many roles": func(i int) pipeline.Decision {
		d := pipeline.Decision{Verdict: pipeline.Allowed, Realm: "realm1", TokenID: fmt.Sprint(i)}
		for n := range 100 {
			d.Principal.Roles = append(d.Principal.Roles, fmt.Sprintf("role-%d-%d", i, n))
		}
		d.Roles = d.Principal.Roles
		return d
	},
	"denied": func(i int) pipeline.Decision {
		return pipeline.Decision{Verdict: pipeline.Denied, Realm: "realm1", Denial: &sdk.Denial{Reason: fmt.Sprint("reason", i%9), Detail: fmt.Sprintf("token %d is not valid here", i)}}
	},
}

// The estimate of what entries take is near the truth, and never far below it.
func TestWeight(t *testing.T) {
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			n := 20_000
			if name == "many roles" {
				n = 2000
			}
			m := New(Limits{Allowed: 1 << 30, Denied: 1 << 30}, &epochs{})
			before := heap()
			fill(m, n, shape)
			taken := float64(heap() - before)
			s := m.Stats()
			estimated := float64(s.AllowedBytes + s.DeniedBytes)
			if s.AllowedEntries+s.DeniedEntries != n {
				t.Fatalf("%+v", s)
			}
			t.Logf("%.0f bytes per entry, estimated %.0f", taken/float64(n), estimated/float64(n))
			if r := taken / estimated; r > 1.15 || r < 0.4 {
				t.Errorf("entries take %.2f of what is estimated", r)
			}
			runtime.KeepAlive(m)
		})
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}
