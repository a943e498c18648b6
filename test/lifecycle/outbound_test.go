package lifecycle

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/realmgate/realmgate/internal/daemontest"
	"github.com/realmgate/realmgate/internal/oidctest"
)

// failuresToRest is how many failures in a row it takes for a server to be left alone.
const failuresToRest = 5

// passage leads to an OpenID provider, and can be shut or made to lead nowhere, which the provider itself cannot.
type passage struct {
	t       *testing.T
	address string
	to      http.Handler
	server  *http.Server
	slow    atomic.Bool
	asked   atomic.Int64
}

func newPassage(t *testing.T, to string) *passage {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	p := &passage{t: t, to: httputil.NewSingleHostReverseProxy(u), address: "127.0.0.1:0"}
	p.open()
	t.Cleanup(p.shut)
	return p
}

func (p *passage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.asked.Add(1)
	if p.slow.Load() {
		_, _ = io.Copy(io.Discard, r.Body) // without which a server does not see that a caller leaves
		<-r.Context().Done()
		return
	}
	r.Host = ""
	p.to.ServeHTTP(w, r)
}

func (p *passage) open() {
	p.t.Helper()
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", p.address)
	if err != nil {
		p.t.Fatal(err)
	}
	p.address, p.server = l.Addr().String(), &http.Server{Handler: p, ReadHeaderTimeout: time.Minute}
	go func() { _ = p.server.Serve(l) }()
}

func (p *passage) shut() { _ = p.server.Close() }

// outboundTest is a daemon with realms whose tenants reach one provider on two ways: one and two on the first, three on the second, and
// keys, which reads JWTs, on the first.
type outboundTest struct {
	*daemontest.Daemon
	t             *testing.T
	first, second *passage
	opaque, jwt   string
}

func newOutboundTest(t *testing.T) *outboundTest {
	t.Helper()
	idp := oidctest.Start(t, oidctest.Options{})
	x := &outboundTest{t: t, first: newPassage(t, idp.Issuer), second: newPassage(t, idp.Issuer)}
	claims := map[string]any{"name": "alice"}
	x.opaque, x.jwt = idp.Token(t, oidctest.TokenOptions{Opaque: true, Claims: claims}), idp.Token(t, oidctest.TokenOptions{Claims: claims})
	hcl := `
secret_store "vars" {
  type      = "env"
  variables = ["IDP_SECRET"]
}
authentication {
  type = "external"
  authenticator {
    type = "claims"
  }
}
tenant_defaults {
  principal_mapper {
    name_claim_path = "name"
  }
}
`
	for name, way := range map[string]*passage{"one": x.first, "two": x.first, "three": x.second} {
		hcl += fmt.Sprintf(`
realm %[1]q {
  tenant = %[1]q
}
tenant %[1]q {
  identity_provider {
    type          = "introspection"
    endpoint      = "http://%[2]s/token/introspection"
    client_id     = %[3]q
    client_secret = "urn:realmgate-secret:vars:IDP_SECRET"
    audience      = [%[4]q]
    max_age       = "PT0S"
    timeout       = "PT1S"
  }
}
`, name, way.address, idp.ClientID, idp.Audience)
	}
	hcl += fmt.Sprintf(`
realm "keys" {
  tenant = "keys"
}
tenant "keys" {
  identity_provider {
    type     = "oidc"
    issuer   = %q
    jwks_uri = "http://%s/jwks"
    audience = [%q]
  }
}
`, idp.Issuer, x.first.address, idp.Audience)
	x.Daemon = daemontest.New(t, daemontest.Options{HCL: hcl, Env: []string{"IDP_SECRET=" + idp.ClientSecret}})
	x.Start()
	return x
}

// ask asks about a realm's token and gives the status, and the line that the daemon logged.
func (x *outboundTest) ask(realm string) (status int, logged string) {
	x.t.Helper()
	token := x.opaque
	if realm == "keys" {
		token = x.jwt
	}
	before := len(x.logged(realm))
	status = x.Check(realm, token).Status
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if lines := x.logged(realm); len(lines) > before {
			return status, lines[len(lines)-1]
		}
	}
	x.t.Fatalf("a decision of %s is not logged", realm)
	return 0, ""
}

// logged gives the lines about decisions of a realm.
func (x *outboundTest) logged(realm string) (out []string) {
	for l := range strings.Lines(x.Log.String()) {
		if strings.HasSuffix(l, "\n") && strings.Contains(l, " decision: ") && strings.Contains(l, " realm="+realm+" ") {
			out = append(out, l)
		}
	}
	return out
}

// until asks about realms until something is so.
func (x *outboundTest) until(what string, is func() bool, realms ...string) {
	x.t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
		for _, r := range realms {
			x.ask(r)
		}
		if time.Now().After(end) {
			x.t.Fatalf("%s: not in a minute; %s\n%s", what, x.Operate("plugin", "list"), x.outboundMetrics())
		}
	}
}

func (x *outboundTest) outboundMetrics() string {
	x.t.Helper()
	var out strings.Builder
	for l := range strings.Lines(x.Metrics()) {
		if strings.HasPrefix(l, "realmgate_outbound") {
			out.WriteString(l)
		}
	}
	return out.String()
}

// TestServersThatFail: a provider that is down or hangs makes the realms unavailable that need it, at once after some have found out, and
// no others; nobody is denied. What is left alone is shown and logged once, and when it is back all goes on by itself.
func TestServersThatFail(t *testing.T) {
	t.Parallel()
	x := newOutboundTest(t)
	for _, r := range []string{"one", "two", "three", "keys"} {
		if status, logged := x.ask(r); status != http.StatusOK {
			t.Fatalf("%s: %d\n%s", r, status, logged)
		}
	}
	server := "http://" + x.first.address
	for n, how := range []struct {
		does      string // what the provider does
		fail, end func()
	}{
		{"cannot be reached", x.first.shut, x.first.open},
		{"does not answer in time", func() { x.first.slow.Store(true) }, func() { x.first.slow.Store(false) }},
	} {
		how.fail()
		shown := "introspection leaves " + server + " alone for "
		x.until(how.does, func() bool { return strings.Contains(x.Operate("plugin", "list"), shown) }, "one")
		rows := x.Operate("plugin", "list")
		if !strings.Contains(rows, ": it "+how.does+"\n") || !strings.Contains(rows, " ready ") {
			t.Errorf("%s", rows)
		}
		// A realm that has not asked yet learns from the other: it does not fail as often as it takes to find out. It may be the one
		// who tries, again and again where the machine is so slow that rests are over.
		because, asked := "is left alone for a while (it "+how.does+")", 0
		x.until(because, func() bool {
			asked++
			status, logged := x.ask("two")
			if status != http.StatusServiceUnavailable {
				t.Errorf("%d while the provider %s", status, how.does)
			}
			return strings.Contains(logged, because)
		})
		if asked >= failuresToRest {
			t.Errorf("a realm found out by itself: it asked %d times", asked)
		}
		for _, r := range []string{"three", "keys"} {
			if status, logged := x.ask(r); status != http.StatusOK {
				t.Errorf("%s: %d\n%s", r, status, logged)
			}
		}
		metric := `{part="introspection",plugin="default"} `
		for _, want := range []string{"realmgate_outbound_breakers_open" + metric + "1\n", fmt.Sprintf("realmgate_outbound_breaker_openings_total%s%d\n", metric, n+1)} {
			if got := x.outboundMetrics(); !strings.Contains(got, want) {
				t.Errorf("no %s in\n%s", want, got)
			}
		}
		if text := x.Operate("plugin", "list", "--json"); !strings.Contains(text, `"server": "`+server+`"`) {
			t.Errorf("%s", text)
		}
		how.end()
		x.until("back", func() bool { status, _ := x.ask("two"); return status == http.StatusOK })
		x.until("all are well", func() bool { status, _ := x.ask("one"); return status == http.StatusOK })
		x.until("told", func() bool {
			return strings.Contains(x.outboundMetrics(), "realmgate_outbound_breakers_open"+metric+"0\n")
		})
		if rows := x.Operate("plugin", "list"); strings.Contains(rows, "leaves") {
			t.Errorf("%s", rows)
		}
		for _, line := range []string{"a server fails again and again", "a server is well again"} {
			x.until(line, func() bool { return strings.Count(x.Log.String(), line) > n })
			if got := strings.Count(x.Log.String(), line); got != n+1 {
				t.Errorf("%q is logged %d times, want %d", line, got, n+1)
			}
		}
	}
	if text := x.Log.String(); strings.Contains(text, x.opaque) {
		t.Error("a token is logged")
	}
}
