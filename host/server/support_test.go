package server

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/admin"
	"github.com/realmgate/realmgate/host/connection"
	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/host/token"
	"github.com/realmgate/realmgate/sdk"
)

// leg answers as a realm's plugins would, and remembers what it was asked.
type leg struct {
	realm  string
	mu     sync.Mutex
	asked  []sdk.Request
	forget bool                                          // for benchmarks
	act    func(ctx context.Context, s *sdk.State) error // nil: alice with the role dev
}

func (l *leg) Run(ctx context.Context, s *sdk.State) error {
	l.mu.Lock()
	if !l.forget {
		l.asked = append(l.asked, *s.Request)
	}
	l.mu.Unlock()
	s.Credential = &sdk.Credential{Realm: l.realm, Source: sdk.SourceExternal, Expires: time.Now().Add(time.Hour), TokenID: "t1"}
	s.Principal = &sdk.Principal{Realm: l.realm, ID: "1", Name: "alice", Enabled: true, Roles: []string{"ops", "dev"}}
	s.Active = []string{"ops", "dev"}
	if l.act != nil {
		return l.act(ctx, s)
	}
	return nil
}

func (l *leg) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.asked)
}

func (l *leg) last(t *testing.T) sdk.Request {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.asked) == 0 {
		t.Fatal("the plan was not asked")
	}
	return l.asked[len(l.asked)-1]
}

type goodStanding struct{}

func (goodStanding) CheckStanding(context.Context, sdk.Credential, sdk.Principal) error { return nil }

// world is a generation with realms a and b (of hosts a.example and b.example), and one that is broken.
type world struct {
	legs   map[string]*leg
	plans  map[string]*pipeline.Plan
	tokens map[string]*token.Service

	connections map[string]*connection.Service

	ping   error
	realms []admin.Realm
}

func newWorld(t testing.TB, needsHTTP bool) *world {
	t.Helper()
	w := &world{legs: map[string]*leg{}, plans: map[string]*pipeline.Plan{}, tokens: map[string]*token.Service{}, connections: map[string]*connection.Service{}}
	for _, realm := range []string{"a", "b"} {
		l := &leg{realm: realm}
		p, err := pipeline.NewPlan(pipeline.Config{
			Realm: realm, Tenant: "idp", Mode: pipeline.ModeExternal, Timeout: 10 * time.Second, Standing: goodStanding{},
			External: pipeline.Route{Schemes: []string{"bearer", "", "aws4-hmac-sha256"}, Legs: []pipeline.Leg{l}, NeedsHTTP: needsHTTP},
		})
		if err != nil {
			t.Fatal(err)
		}
		w.legs[realm], w.plans[realm] = l, p
		w.realms = append(w.realms, admin.Realm{Name: realm, Served: true})
	}
	w.realms = append(w.realms, admin.Realm{Name: "broken"})
	return w
}

func (w *world) Plan(realm string) (*pipeline.Plan, error) {
	if realm == "broken" {
		return nil, errors.New("plugin /opt/secret-path does not start")
	}
	if p := w.plans[realm]; p != nil {
		return p, nil
	}
	return nil, pipeline.ErrUnknownRealm
}

func (w *world) TokenService(realm string) (*token.Service, bool) {
	s, ok := w.tokens[realm]
	return s, ok
}

func (w *world) Connections(realm string) (*connection.Service, error) {
	if s := w.connections[realm]; s != nil {
		return s, nil
	}
	return nil, errors.New("no store at /opt/secret-path")
}

func (w *world) RealmOfHost(host string) (string, bool) {
	realm, ok := map[string]string{"a.example": "a", "b.example": "b", "::1": "b"}[host]
	return realm, ok
}

func (w *world) Ping(context.Context) error { return w.ping }

func (w *world) deps() Deps {
	return Deps{Enter: func() (Snapshot, func()) { return w, func() {} }, Realms: func() []admin.Realm { return w.realms }, Directory: w}
}

func (w *world) server(t *testing.T, c Config) *Server {
	t.Helper()
	if len(c.Listeners) == 0 {
		c.Listeners = []Listener{{Name: "main", Address: "127.0.0.1:0"}}
	}
	d := w.deps()
	if c.AdminSocket != "" {
		d.Admin = http.NotFoundHandler()
	}
	s, err := New(c, d)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// trusted is a listener behind a proxy at the address that httptest gives its requests.
var trusted = Listener{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}

// speaking is trusted in a dialect.
func speaking(dialect string) Listener {
	l := trusted
	l.Forwarded = dialect
	return l
}

// ask serves one request without a network; header is name, value, name, value.
func (w *world) ask(t *testing.T, l Listener, target string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Host = "gate.internal"
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Add(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	w.server(t, Config{}).Handler(l).ServeHTTP(rec, r)
	if rec.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%s: may be cached: %v", target, rec.Header())
	}
	if !json.Valid(rec.Body.Bytes()) {
		t.Errorf("%s: not JSON: %s", target, rec.Body)
	}
	return rec
}

// run serves on real listeners until the test ends or stop is called; stop gives what Serve answered.
func run(t *testing.T, s *Server) (stop func() error) {
	t.Helper()
	if s.bound == nil {
		if err := s.Listen(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { _ = stop() })
	return stop
}

// raw sends bytes as they are and gives the whole answer.
func raw(t *testing.T, addr net.Addr, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	go func() { _, _ = io.WriteString(conn, request) }() // the server may answer before it has read all
	b, _ := io.ReadAll(conn)                             // a reset after the answer is no failure
	return string(b)
}

var _ token.Directory = (*noClients)(nil)

// noClients is a directory that knows nobody.
type noClients struct{}

func (noClients) Authenticate(context.Context, string, string, string) (directory.Principal, string, error) {
	return directory.Principal{}, "", directory.ErrBadCredentials
}

func (noClients) GetPrincipalByID(context.Context, string, string) (directory.Principal, error) {
	return directory.Principal{}, directory.ErrNotFound
}

func (noClients) IsRevoked(context.Context, string, string, string) (bool, error) { return false, nil }

func (noClients) MoveEpoch(context.Context, string) error { return nil }

func (noClients) RevokeToken(context.Context, string, string, string, time.Time) error {
	return errors.New("not asked")
}

func (noClients) Issue(context.Context, sdk.Grant) (sdk.Token, error) {
	return sdk.Token{}, errors.New("not asked")
}
