package limit

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/host/origin"
)

// clients knows alice and bob, whose secret is "right", in every realm.
type clients struct {
	err   error
	heard atomic.Int64 // secrets that were looked at
}

func (c *clients) KnowsClient(_ context.Context, _, id string) (bool, error) {
	return id == "alice" || id == "bob", c.err
}

func (c *clients) Authenticate(_ context.Context, realm, id, secret string) (directory.Principal, string, error) {
	c.heard.Add(1)
	if known, _ := c.KnowsClient(context.Background(), realm, id); !known || secret != "right" {
		return directory.Principal{}, "", directory.ErrBadCredentials
	}
	return directory.Principal{Realm: realm, Name: id}, "1", nil
}

var rules = Rules{
	ClientRate: 10, ClientBurst: 20, PeerRate: 100, PeerBurst: 200, IntrospectionRate: 40, IntrospectionBurst: 80,
	Failures: 3, PeerFailures: 10, Delay: time.Second, MaxDelay: time.Minute, Forget: 10 * time.Minute,
}

// world is a door with a clock that stands still unless it is moved.
type world struct {
	t       testing.TB
	clock   atomic.Int64
	clients clients
	door    *Door
}

func newWorld(t testing.TB, entries int) *world {
	t.Helper()
	w := &world{t: t}
	w.clock.Store(1_800_000_000e9)
	door, err := New(entries, func() time.Time { return time.Unix(0, w.clock.Load()) })
	if err != nil {
		t.Fatal(err)
	}
	w.door = door
	return w
}

func (w *world) pass(d time.Duration) { w.clock.Add(int64(d)) }

func (w *world) guard(realm string, change ...func(*Rules)) *Guard {
	w.t.Helper()
	r := rules
	for _, f := range change {
		f(&r)
	}
	g, err := w.door.Guard(realm, r, &w.clients)
	if err != nil {
		w.t.Fatal(err)
	}
	return g
}

func from(addr string) context.Context {
	return origin.With(context.Background(), origin.Origin{Client: netip.MustParseAddr(addr)})
}

const here, there = "192.0.2.1", "192.0.2.2"

// ask authenticates and says what came of it: "ok", "bad", or reason and wait of a refusal.
func ask(t testing.TB, g *Guard, peer, id, secret string) string {
	t.Helper()
	p, version, err := g.Authenticate(from(peer), Token, id, secret)
	var r *Refusal
	switch {
	case errors.As(err, &r):
		return fmt.Sprint(r.Reason, " ", r.RetryAfter)
	case errors.Is(err, directory.ErrBadCredentials):
		return "bad"
	case err != nil || p.Name != id || version != "1":
		t.Fatal(p, version, err)
	}
	return "ok"
}

func (w *world) want(g *Guard, peer, id, secret, want string) {
	w.t.Helper()
	if got := ask(w.t, g, peer, id, secret); got != want {
		w.t.Errorf("%s from %s with the %s secret: %s, want %s", id, peer, secret, got, want)
	}
}

// Known and unknown clients are treated alike, so that the answers do not tell them apart.
func TestDelayGrows(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"alice", "nobody"} {
		w := newWorld(t, 100)
		g := w.guard("r", func(r *Rules) { r.PeerFailures = 0 })
		for range 3 {
			w.want(g, here, id, "wrong", "bad")
		}
		for _, delay := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
			delay *= time.Second
			w.want(g, here, id, "wrong", "bad")
			heard := w.clients.heard.Load()
			w.want(g, here, id, "wrong", "failures "+delay.String())
			w.want(g, here, id, "right", "failures "+delay.String()) // refused unheard
			w.pass(delay - time.Millisecond)
			w.want(g, here, id, "right", "failures 1ms") // asking made the wait no longer
			if w.clients.heard.Load() != heard {
				t.Fatal("a secret was looked at during the wait")
			}
			w.pass(time.Millisecond)
		}
	}
}

func TestSuccessAndTimeForgive(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 100)
	g := w.guard("r")
	fail := func(times int) {
		t.Helper()
		for range times {
			w.want(g, here, "alice", "wrong", "bad")
		}
	}
	fail(3)
	w.want(g, here, "alice", "right", "ok")
	fail(3)
	w.pass(rules.Forget + time.Second)
	fail(4)
	w.want(g, here, "alice", "right", "failures 1s")
	w.pass(time.Second)
	w.want(g, here, "alice", "right", "ok")
	fail(3)
}

// Whoever fails on purpose with a client's id does not lock the client out elsewhere.
func TestNobodyLocksOutAClientElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10_000)
	g := w.guard("r")
	for i := range 2000 {
		peer := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String()
		for range 3 {
			_ = ask(t, g, peer, "alice", "wrong")
		}
	}
	w.want(g, here, "alice", "right", "ok")
	w.want(g, there, "alice", "right", "ok")
	// But nobody has a free failure now.
	w.want(g, "192.0.2.3", "alice", "wrong", "bad")
	w.want(g, "192.0.2.3", "alice", "right", "failures 1s")
	w.pass(rules.Forget + time.Second)
	w.want(g, "192.0.2.3", "alice", "wrong", "bad")
	w.want(g, "192.0.2.3", "alice", "right", "ok")
}

func TestPeerThatTriesManyClients(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 100)
	g := w.guard("r")
	w.want(g, here, "alice", "right", "ok")
	for i := range 11 {
		w.want(g, here, fmt.Sprint("guess", i), "wrong", "bad")
	}
	w.want(g, here, "another", "wrong", "peer_failures 1s")
	w.want(g, here, "bob", "right", "peer_failures 1s")
	w.want(g, here, "alice", "right", "ok") // was right before
	w.want(g, there, "bob", "right", "ok")
	w.pass(time.Second)
	w.want(g, here, "bob", "right", "ok")
}

func TestRealmsAndNetworks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 100)
	a, b := w.guard("a"), w.guard("b")
	for range 4 {
		w.want(a, "2001:db8::1", "alice", "wrong", "bad")
	}
	w.want(a, "2001:db8::2", "alice", "right", "failures 1s") // the same /64
	w.want(a, "2001:db8:0:1::1", "alice", "right", "ok")
	w.want(b, "2001:db8::1", "alice", "right", "ok")
	w.want(a, "2001:db8::1", "bob", "right", "ok")
}

func TestRates(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 100)
	g := w.guard("r")
	for i := range 200 {
		if err := g.Admit(from(here), Token); err != nil {
			t.Fatal(i, err)
		}
	}
	refused := func(first bool) {
		t.Helper()
		var r *Refusal
		if err := g.Admit(from(here), Token); !errors.As(err, &r) || r.Reason != PeerRate || r.RetryAfter != 10*time.Millisecond || r.Seconds() != 1 || r.First != first {
			t.Fatalf("%+v %v", r, err)
		}
	}
	refused(true)
	refused(false)
	if err := g.Admit(from(there), Token); err != nil {
		t.Error("another peer:", err)
	}
	w.pass(10 * time.Millisecond)
	if err := g.Admit(from(here), Token); err != nil {
		t.Error(err)
	}
	refused(false) // the same flood still
	w.pass(time.Second)
	if err := g.Admit(from(here), Token); err != nil {
		t.Error(err)
	}

	for range 20 {
		w.want(g, here, "alice", "right", "ok")
	}
	w.want(g, there, "alice", "right", "client_rate 100ms")
	w.want(g, there, "bob", "right", "ok")
}

// Failures of others do not use up a client's share.
func TestFailuresDoNotUseUpTheClientsShare(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10_000)
	g := w.guard("r")
	for i := range 1000 {
		_ = ask(t, g, netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String(), "alice", "wrong")
	}
	for range 20 {
		w.want(g, here, "alice", "right", "ok")
	}
}

func TestFirstRefusalOfAWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 100)
	g := w.guard("r")
	for round := range 3 {
		for range 4 {
			_ = ask(t, g, here, "alice", "wrong")
		}
		for i := range 2 { // in later rounds the second attempt of four was the first to be refused
			var r *Refusal
			if _, _, err := g.Authenticate(from(here), Token, "alice", "wrong"); !errors.As(err, &r) || r.First != (round == 0 && i == 0) {
				t.Errorf("round %d, refusal %d: %+v %v", round, i, r, err)
			}
		}
		w.pass(time.Minute)
	}
}

// Failures that come at once all count, however many are heard.
func TestParallelFailures(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 100)
	g := w.guard("r")
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() { _ = ask(t, g, here, "alice", "wrong") })
	}
	wg.Wait()
	if got := ask(t, g, here, "alice", "right"); got == "ok" {
		t.Error("no wait after 50 failures at once")
	}
}

// A flood of random ids does not grow the memory, and does not push out what is remembered of a real client.
func TestFloodOfRandomClients(t *testing.T) {
	t.Parallel()
	const entries = 1000
	n := 1_000_000
	if testing.Short() {
		n = 50_000
	}
	w := newWorld(t, entries)
	g := w.guard("r")
	for range 4 {
		w.want(g, here, "alice", "wrong", "bad")
	}
	for i := range n {
		addr := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		ctx := origin.With(context.Background(), origin.Origin{Client: addr})
		if _, _, err := g.Authenticate(ctx, Token, fmt.Sprint("random", i), "wrong"); !errors.Is(err, directory.ErrBadCredentials) {
			t.Fatal(err)
		}
	}
	w.want(g, here, "alice", "right", "failures 1s")
	for name, c := range map[string]interface {
		CleanUp()
		EstimatedSize() int
	}{"peers": w.door.peers, "unknown clients": w.door.unknown.clients, "known clients": w.door.known.clients} {
		c.CleanUp()
		if size := c.EstimatedSize(); size > entries {
			t.Errorf("%s: %d entries", name, size)
		}
	}
	if size := w.door.known.clients.EstimatedSize(); size != 1 {
		t.Errorf("%d known clients", size)
	}
}

// The id of a real client, from very many networks, makes the door forget nothing about another one, nor that the client
// was right elsewhere.
func TestFloodOfOneClientsNetworks(t *testing.T) {
	t.Parallel()
	const entries = 1000
	w := newWorld(t, entries)
	g := w.guard("r")
	for range 4 {
		w.want(g, here, "bob", "wrong", "bad")
	}
	w.want(g, there, "alice", "right", "ok")
	for i := range 50 * entries {
		ctx := origin.With(context.Background(), origin.Origin{Client: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})})
		if _, _, err := g.Authenticate(ctx, Token, "alice", "wrong"); !errors.Is(err, directory.ErrBadCredentials) {
			t.Fatal(err)
		}
	}
	w.want(g, here, "bob", "right", "failures 1s")
	a := g.attempt(from(there), "alice", true)
	if !a.pair.isProven() {
		t.Error("it is forgotten that alice was right")
	}
	if n := len(a.client.pairs); n > entries/partOfClient {
		t.Errorf("alice has %d pairs", n)
	}
	w.door.known.clients.CleanUp()
	if size := w.door.known.clients.WeightedSize(); size != uint64(len(a.client.pairs)+1) { // and bob's one
		t.Errorf("the pairs of known clients weigh %d", size)
	}
}

// Tokens that nobody issued are failures of their peer. Those who present a secret that was right before are still heard.
func TestForged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 100)
	g := w.guard("r")
	w.want(g, here, "alice", "right", "ok")
	for i := range 11 {
		if err := g.Forged(from(here)); err != nil {
			t.Fatal(i, err)
		}
	}
	var r *Refusal
	for i := range 3 { // no longer for asking
		if err := g.Forged(from(here)); !errors.As(err, &r) || r.Reason != PeerFailures || r.RetryAfter != time.Second || r.First != (i == 0) {
			t.Fatalf("%+v %v", r, err)
		}
	}
	if err := g.Forged(from(there)); err != nil {
		t.Error("another peer:", err)
	}
	w.want(g, here, "bob", "right", "peer_failures 1s")
	w.want(g, here, "alice", "right", "ok")
	w.pass(time.Second)
	if err := g.Forged(from(here)); err != nil {
		t.Error(err)
	}
	if err := g.Forged(from(here)); !errors.As(err, &r) || r.RetryAfter != 2*time.Second {
		t.Errorf("%+v %v", r, err)
	}
}

// What is asked at one endpoint is not counted at another.
func TestEndpointsCountForThemselves(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 100)
	g := w.guard("r")
	ask := func(at Endpoint) string {
		t.Helper()
		_, _, err := g.Authenticate(from(here), at, "alice", "right")
		var r *Refusal
		if errors.As(err, &r) {
			return r.Reason
		} else if err != nil {
			t.Fatal(err)
		}
		return "ok"
	}
	for at, n := range map[Endpoint]int{Token: 20, Introspection: 80, Revocation: 20} {
		for i := range n {
			if got := ask(at); got != "ok" {
				t.Fatalf("endpoint %d, request %d: %s", at, i, got)
			}
		}
		if got := ask(at); got != ClientRate {
			t.Errorf("endpoint %d beyond its rate: %s", at, got)
		}
	}
	for at, n := range map[Endpoint]int{Token: 200, Introspection: 80, Revocation: 200} {
		for i := range n {
			if err := g.Admit(from(there), at); err != nil {
				t.Fatalf("endpoint %d, request %d: %v", at, i, err)
			}
		}
		if g.Admit(from(there), at) == nil {
			t.Errorf("endpoint %d: the peer asks too often", at)
		}
	}
}

// A client that comes with a token has the same share as with its secret.
func TestSpend(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 100)
	g := w.guard("r")
	for i := range 20 {
		if err := g.Spend(from(here), Token, "alice"); err != nil {
			t.Fatal(i, err)
		}
	}
	var r *Refusal
	if err := g.Spend(from(there), Token, "alice"); !errors.As(err, &r) || r.Reason != ClientRate {
		t.Errorf("%v", err)
	}
	w.want(g, here, "alice", "right", "client_rate 100ms")
	if err := g.Spend(from(here), Token, "bob"); err != nil {
		t.Error(err)
	}
}

func TestOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 100)
	g, err := w.door.Guard("r", Rules{}, &w.clients)
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		if err := g.Admit(from(here), Token); err != nil {
			t.Fatal(err)
		}
		w.want(g, here, "alice", "wrong", "bad")
	}
	w.want(g, here, "alice", "right", "ok")
}

func TestDirectoryIsDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 100)
	w.clients.err = errors.New("no store")
	g := w.guard("r")
	for range 20 {
		if _, _, err := g.Authenticate(from(here), Token, "alice", "right"); !errors.Is(err, w.clients.err) {
			t.Fatal(err)
		}
	}
	w.clients.err = nil
	w.want(g, here, "alice", "right", "ok")
}

func TestRulesAreChecked(t *testing.T) {
	t.Parallel()
	if err := rules.Check(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*Rules){
		"negative rate":     func(r *Rules) { r.PeerRate = -1 },
		"no burst":          func(r *Rules) { r.ClientBurst = 0 },
		"negative failures": func(r *Rules) { r.Failures = -1 },
		"no delay":          func(r *Rules) { r.Delay = 0 },
		"delay above most":  func(r *Rules) { r.MaxDelay = r.Delay / 2 },
		"forgets too early": func(r *Rules) { r.Forget = r.MaxDelay / 2 },
	} {
		r := rules
		change(&r)
		if r.Check() == nil {
			t.Errorf("%s: no fault", name)
		}
	}
	if _, err := New(0, nil); err == nil {
		t.Error("a door without room")
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	w := newWorld(b, DefaultEntries)
	g := w.guard("r", func(r *Rules) { r.ClientRate = 0 })
	ctx := from(here)
	for b.Loop() {
		if _, _, err := g.Authenticate(ctx, Token, "alice", "right"); err != nil {
			b.Fatal(err)
		}
	}
}
