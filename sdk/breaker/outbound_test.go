package breaker

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// rig has servers that can be made to fail, and breakers of which the log is kept.
type rig struct {
	*Outbound
	*clock
	log bytes.Buffer
}

func newRig(t *testing.T) *rig {
	t.Helper()
	x := &rig{clock: &clock{time.Unix(1_800_000_000, 0)}}
	x.Outbound = NewOutbound(Config{Failures: 3, Now: x.now}, slog.New(slog.NewTextHandler(&x.log, nil)))
	return x
}

type flaky struct {
	*httptest.Server
	status, asked atomic.Int64
}

func newFlaky(t *testing.T) *flaky {
	t.Helper()
	f := &flaky{}
	f.status.Store(200)
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		f.asked.Add(1)
		w.WriteHeader(int(f.status.Load()))
	}))
	t.Cleanup(f.Close)
	return f
}

func (x *rig) client(t *testing.T, part string) *http.Client {
	t.Helper()
	tr := x.Transport(part, &http.Transport{}, nil)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// TestOutboundIsShared: instances of a part that call one server share what they know of it, others are not hindered: neither
// who calls another server, nor another part.
func TestOutboundIsShared(t *testing.T) {
	x := newRig(t)
	down, well := newFlaky(t), newFlaky(t)
	down.status.Store(503)
	one, two, other := x.client(t, "oidc"), x.client(t, "oidc"), x.client(t, "introspection")
	for range 3 {
		_ = get(t, one, down.URL, time.Minute)
	}
	before := down.asked.Load()
	err := get(t, two, down.URL+"/elsewhere", time.Minute)
	if !errors.Is(err, ErrOpen) || !strings.Contains(err.Error(), "answers 503") || down.asked.Load() != before {
		t.Errorf("%v, and it was asked %d times", err, down.asked.Load()-before)
	}
	if err := get(t, one, well.URL, time.Minute); err != nil {
		t.Errorf("another server: %v", err)
	}
	if err := get(t, other, down.URL, time.Minute); err != nil {
		t.Errorf("another part: %v", err)
	}
}

// TestOutboundTells: one line at the opening and one at the end, and a report that has it.
func TestOutboundTells(t *testing.T) {
	x := newRig(t)
	s := newFlaky(t)
	s.status.Store(502)
	c := x.client(t, "oidc")
	r, changed := x.Report()
	if r.Changes != 0 || len(r.Parts) > 0 {
		t.Errorf("at first: %+v", r)
	}
	for range 10 {
		_ = get(t, c, s.URL+"/path?query", time.Minute)
	}
	select {
	case <-changed:
	default:
		t.Error("nobody was told")
	}
	r, changed = x.Report()
	if len(r.Parts) != 1 || r.Parts[0].Part != "oidc" || r.Parts[0].Openings != 1 || r.Parts[0].Open != 1 || len(r.Parts[0].Servers) != 1 ||
		r.Parts[0].Servers[0] != (ServerReport{Authority: s.URL, Since: x.now(), Why: "answers 502"}) {
		t.Errorf("open: %+v", r)
	}
	for range 3 { // tries that fail are no news
		x.pass(time.Minute)
		_ = get(t, c, s.URL, time.Minute)
	}
	select {
	case <-changed:
		t.Error("a try that failed was told")
	default:
	}
	s.status.Store(200)
	x.pass(time.Minute)
	if err := get(t, c, s.URL, time.Minute); err != nil {
		t.Error(err)
	}
	if r, _ = x.Report(); len(r.Parts) != 1 || r.Parts[0].Openings != 1 || r.Parts[0].Open != 0 || len(r.Parts[0].Servers) > 0 {
		t.Errorf("closed: %+v", r)
	}
	lines := strings.Split(strings.TrimSpace(x.log.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "level=WARN") || !strings.Contains(lines[0], "server="+s.URL) || !strings.Contains(lines[0], "answers 502") ||
		!strings.Contains(lines[1], "level=INFO") || !strings.Contains(lines[1], "after=4m0s") {
		t.Errorf("%s", x.log.String())
	}
	if strings.Contains(x.log.String(), "query") {
		t.Error("more than the server is logged")
	}
}

// prying is a log whose reader asks about everything before it goes on.
type prying struct {
	slog.Handler
	look func()
}

func (p prying) Handle(ctx context.Context, r slog.Record) error {
	p.look()
	return p.Handler.Handle(ctx, r)
}

// TestNoLockWhileLogging: a log that is slow keeps nobody from calling servers.
func TestNoLockWhileLogging(t *testing.T) {
	x := newRig(t)
	s := newFlaky(t)
	c := x.client(t, "oidc")
	looks := 0
	x.Outbound.log = slog.New(prying{slog.NewTextHandler(&x.log, nil), func() {
		looks++
		_, _ = x.Report()
		_ = x.of("oidc", s.URL).Open()
	}})
	s.status.Store(503)
	for range 3 {
		_ = get(t, c, s.URL, time.Minute)
	}
	s.status.Store(200)
	x.pass(time.Minute)
	if err := get(t, c, s.URL, time.Minute); err != nil || looks != 2 {
		t.Errorf("%v, %d lines", err, looks)
	}
}

// TestOutboundRests: no server is left alone for longer than 5 seconds without a try, unless it is said otherwise.
func TestOutboundRests(t *testing.T) {
	x := newRig(t)
	s := newFlaky(t)
	s.status.Store(503)
	c := x.client(t, "oidc")
	for range 20 {
		_ = get(t, c, s.URL, time.Minute)
		x.pass(5 * time.Second)
	}
	before := s.asked.Load()
	_ = get(t, c, s.URL, time.Minute)
	if s.asked.Load() != before+1 {
		t.Error("it was not tried after 5 seconds")
	}
}

// TestForgotten: a server that nobody asks for any more is not shown as one that fails for ever, and takes no room.
func TestForgotten(t *testing.T) {
	x := newRig(t)
	for range 3 {
		for _, host := range []string{"gone", "used"} {
			try(t, x.of("oauth", host).Breaker, Bad)
		}
	}
	try(t, x.of("oauth", "failed once").Breaker, Bad)
	x.of("oauth", "well")
	x.pass(forgetAfter - time.Second)
	x.of("oauth", "used")
	x.pass(time.Second)
	x.sweep()
	r, _ := x.Report()
	if len(r.Parts) != 1 || r.Parts[0].Open != 1 || r.Parts[0].Servers[0].Authority != "used" || r.Parts[0].Openings != 2 {
		t.Errorf("%+v", r)
	}
	if n := len(x.parts["oauth"].servers); n != 1 {
		t.Errorf("%d servers are remembered", n)
	}
	if x.sweeper == nil {
		t.Error("the other one is not looked at again")
	}
	x.pass(forgetAfter)
	x.sweep()
	if r, _ = x.Report(); r.Parts[0].Open != 0 || x.sweeper != nil {
		t.Errorf("%+v", r)
	}
}

// TestServersAreBounded: each part has room for so many servers, and for a new one that is forgotten which was not asked for the
// longest time, whether or not it failed; but none that is left alone.
func TestServersAreBounded(t *testing.T) {
	x := newRig(t)
	fail := func(host string) {
		t.Helper()
		x.pass(time.Millisecond)
		try(t, x.of("oauth", host).Breaker, Bad)
	}
	for range 3 {
		fail("alone")
	}
	fail("used")
	for n := range 3 * MaxServers { // mistyped ones, of which none is asked twice
		if fail(strconv.Itoa(n)); n%(MaxServers/2) == 0 {
			try(t, x.of("oauth", "used").Breaker, Neither)
		}
	}
	if n := len(x.parts["oauth"].servers); n != MaxServers {
		t.Errorf("%d servers", n)
	}
	fail("used")
	if fail("used"); !x.of("oauth", "used").Open() {
		t.Error("a server that is asked was forgotten for such as are not")
	}
	if r, _ := x.Report(); len(r.Parts) != 1 || r.Parts[0].Open != 2 || r.Parts[0].Servers[0].Authority != "alone" || r.Parts[0].Overlooked != 0 {
		t.Errorf("%+v", r)
	}
}

// TestServersThatAreOverlooked: where all that a part has room for are left alone, further ones are called without a breaker, which is told;
// other parts do not notice.
func TestServersThatAreOverlooked(t *testing.T) {
	x := newRig(t)
	for n := range MaxServers {
		for range 3 {
			try(t, x.of("oauth", strconv.Itoa(n)).Breaker, Bad)
		}
	}
	x.tell()
	x.log.Reset()
	_, changed := x.Report()
	down := newFlaky(t)
	down.status.Store(503)
	c := x.client(t, "oauth")
	for range 5 {
		if err := get(t, c, down.URL, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-changed:
	default:
		t.Error("nobody was told")
	}
	if r, _ := x.Report(); r.Parts[0].Open != MaxServers || len(r.Parts[0].Servers) != maxReported || r.Parts[0].Overlooked != 5 {
		t.Errorf("%d open, %d named, %d overlooked", r.Parts[0].Open, len(r.Parts[0].Servers), r.Parts[0].Overlooked)
	}
	if got := x.log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "level=WARN") || !strings.Contains(got, "part=oauth servers=1000") {
		t.Errorf("%s", got)
	}
	other := x.client(t, "oidc")
	for range 3 {
		_ = get(t, other, down.URL, time.Minute)
	}
	if err := get(t, other, down.URL, time.Minute); !errors.Is(err, ErrOpen) {
		t.Errorf("another part: %v", err)
	}
}

// TestDo: what is asked by other means than HTTP is left alone, too.
func TestDo(t *testing.T) {
	x := newRig(t)
	broken, calls := errors.New("broken"), 0
	var answer error
	do := func(ctx context.Context) error {
		return x.Do(ctx, "sql", "the database", func(context.Context) error { calls++; return answer })
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	answer = broken
	for range 3 {
		_ = do(gone) // who leaves says nothing
	}
	for range 3 {
		if err := do(t.Context()); !errors.Is(err, broken) {
			t.Errorf("%v", err)
		}
	}
	if err := do(t.Context()); !errors.Is(err, ErrOpen) || !strings.Contains(err.Error(), "the database: ") || calls != 6 {
		t.Errorf("%v after %d calls", err, calls)
	}
	answer = nil
	x.pass(time.Minute)
	if err := do(t.Context()); err != nil || calls != 7 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

func TestAuthority(t *testing.T) {
	for text, want := range map[string]string{
		"https://IDP.example.com/a?b":  "https://idp.example.com:443",
		"http://idp.example.com":       "http://idp.example.com:80",
		"https://u:p@[2001:db8::1]:81": "https://[2001:db8::1]:81",
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := authorityOf(u); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestOutboundOf(t *testing.T) {
	x := newRig(t)
	if OutboundOf(WithOutbound(t.Context(), x.Outbound)) != x.Outbound {
		t.Error("not those of the context")
	}
	if a, b := OutboundOf(context.Background()), OutboundOf(context.Background()); a == nil || a == b {
		t.Error("strangers share breakers")
	}
}
