package bench

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/realmgate/realmgate/host/admin"
	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/internal/daemontest"
)

// gate is a daemon that is measured.
type gate struct {
	*daemontest.Daemon
	t       *testing.T
	admin   *admin.Client
	foreign *foreign
	ready   chan time.Time
}

// common is what every daemon's configuration begins with: nothing that a daemon at work would not have, but without limits
// of rates, since all callers are one peer. %[1]s is the level of the log, %[2]s the folder of keys.
const common = `
log {
  level = "%[1]s"
}
authentication {
  cache {
    max_age = "0s" # but where a realm says otherwise
  }
  token_broker {
    type             = "key-pair"
    private_key_file = "%[2]s/RS256.pem"
  }
  token_service {
    limit {
      peer_rate   = 0
      client_rate = 0
    }
  }
}
`

// unary has a daemon take the bundled parts from the plugin that has no legs.
const unary = `
plugin "default" {
  path = "%s"
  allow {
    principals = true
  }
}
`

// gates makes the daemons of a run; they have provider and keys in common.
type gates struct {
	t       *testing.T
	foreign *foreign
	keys    string
	naive   string // path of the binary
	made    map[string]*gate
}

func newGates(t *testing.T) *gates {
	t.Helper()
	g := &gates{t: t, foreign: newForeign(t), keys: t.TempDir(), naive: buildtest.Command(t, "test/bench/naive", "naive"), made: map[string]*gate{}}
	keyFiles(t, g.keys)
	return g
}

// new prepares a daemon. It does not run yet.
func (g *gates) new(level, hcl string) *gate {
	g.t.Helper()
	dir, err := os.MkdirTemp("", "rgb") // the path of a socket is short
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = conn.Close() })
	out := &gate{t: g.t, foreign: g.foreign, ready: make(chan time.Time, 1)}
	go out.listen(conn)
	out.Daemon = daemontest.New(g.t, daemontest.Options{
		HCL: fmt.Sprintf(common, level, g.keys) + g.foreign.tenant("idp") + hcl,
		Env: []string{"RUNTIME_DIRECTORY=" + dir, "NOTIFY_SOCKET=" + conn.LocalAddr().String()},
	})
	out.admin = admin.NewClient(filepath.Join(out.Dir, "admin.sock"))
	g.t.Cleanup(out.admin.Close)
	return out
}

// running gives one of the daemons, which is started when it is asked for first.
func (g *gates) running(o options, daemon string) *gate {
	g.t.Helper()
	if d, ok := g.made[daemon]; ok {
		return d
	}
	level, hcl := "warn", fmt.Sprintf(realms, g.keys)
	switch daemon {
	case daemonNaive:
		hcl += fmt.Sprintf(unary, g.naive)
	case daemonInfo:
		level = "info"
	case daemonMany:
		hcl = g.manyRealms(o.realms)
	}
	d := g.new(level, hcl)
	g.made[daemon] = d
	d.begin()
	return d
}

// listen notes when the daemon says that it is ready, as it does to systemd (sd_notify(3)).
func (g *gate) listen(conn *net.UnixConn) {
	text := make([]byte, 4096)
	for {
		n, err := conn.Read(text)
		if err != nil {
			return // it is closed at the end
		}
		if strings.Contains(string(text[:n]), "READY=1") {
			select {
			case g.ready <- time.Now():
			default: // after a reload, for which nobody waits here
			}
		}
	}
}

// begin starts the daemon and gives how long it takes until it is ready, in nanoseconds.
func (g *gate) begin() float64 {
	g.t.Helper()
	select {
	case <-g.ready: // of a reload
	default:
	}
	begun := time.Now()
	g.Start()
	select {
	case now := <-g.ready:
		return float64(now.Sub(begun))
	case <-time.After(slow):
		g.t.Fatal("the daemon does not say that it is ready")
		return 0
	}
}

// pids gives the processes of the daemon and its plugins.
func (g *gate) pids() ([]int, error) {
	all, err := g.admin.Plugins(g.t.Context())
	if err != nil {
		return nil, err
	}
	out := []int{g.PID()}
	for _, p := range all {
		if p.PID != 0 {
			out = append(out, p.PID)
		}
	}
	return out, nil
}

// server is the daemon as it is asked.
func (g *gate) server(names bool) server {
	return server{address: strings.TrimPrefix(g.URL, "http://"), pids: g.pids, names: names}
}

// The principals that foreign tokens name, and their roles.
const people = 16

func person(n int) string { return fmt.Sprintf("person-%d", n%people) }

var roles = []string{"reader", "writer"}

// populate gives a realm the principals that foreign tokens name.
func (g *gate) populate(realm string) {
	g.t.Helper()
	for _, role := range roles {
		if _, err := g.admin.CreateRole(g.t.Context(), realm, admin.NewRole{Name: role}); err != nil {
			g.t.Fatal(err)
		}
	}
	for n := range people {
		if _, err := g.admin.CreatePrincipal(g.t.Context(), realm, admin.NewPrincipal{Name: person(n), Roles: roles, WithoutSecret: true}); err != nil {
			g.t.Fatal(err)
		}
	}
}

// clients makes principals of a realm that have secrets.
func (g *gate) clients(realm string, count int) []admin.Credentials {
	g.t.Helper()
	if _, err := g.admin.CreateRole(g.t.Context(), realm, admin.NewRole{Name: "service"}); err != nil {
		g.t.Fatal(err)
	}
	out := make([]admin.Credentials, count)
	for n := range out {
		made, err := g.admin.CreatePrincipal(g.t.Context(), realm, admin.NewPrincipal{Name: client(n), Roles: []string{"service"}})
		if err != nil {
			g.t.Fatal(err)
		}
		out[n] = *made.Credentials
	}
	return out
}

func client(n int) string { return fmt.Sprintf("client-%d", n) }

// own gives tokens of a realm's own, as asks for decisions about them.
func (g *gate) own(realm string, by []admin.Credentials, count int) []ask {
	g.t.Helper()
	out := make([]ask, count)
	for n := range out {
		c := by[n%len(by)]
		out[n] = check(realm, g.TokenIn(g.Grant(realm, c.ClientID, c.ClientSecret, "PRINCIPAL_ROLE:ALL")), client(n%len(by)))
	}
	return out
}

// theirs gives the provider's tokens, as asks for decisions of a realm about them.
func (g *gate) theirs(realm string, count int) []ask {
	g.t.Helper()
	out := make([]ask, count)
	var signing errgroup.Group
	signing.SetLimit(runtime.GOMAXPROCS(0))
	for n := range out {
		signing.Go(func() error {
			token, err := g.foreign.token(person(n), roles)
			out[n] = check(realm, token, person(n))
			return err
		})
	}
	if err := signing.Wait(); err != nil {
		g.t.Fatal(err)
	}
	return out
}

// both gives tokens of either kind in turn.
func (g *gate) both(realm string, by []admin.Credentials, count int) []ask {
	g.t.Helper()
	var out []ask
	theirs := g.theirs(realm, (count+1)/2)
	for n, own := range g.own(realm, by, (count+1)/2) {
		out = append(out, own, theirs[n])
	}
	return out
}

// grants gives asks for tokens.
func grants(realm string, by []admin.Credentials) []ask {
	body := url.Values{"grant_type": {"client_credentials"}, "scope": {"PRINCIPAL_ROLE:ALL"}}.Encode()
	out := make([]ask, len(by))
	for n, c := range by {
		basic := base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(c.ClientID) + ":" + url.QueryEscape(c.ClientSecret)))
		out[n].raw = fmt.Appendf(nil, "POST /realms/%s/v1/oauth/tokens HTTP/1.1\r\nHost: bench\r\nAuthorization: Basic %s\r\n"+
			"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", realm, basic, len(body), body)
	}
	return out
}
