package oauth

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

func TestTokensAreKept(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, tokenFor(3600))
	x := newRig(t, nil)
	first := x.token(t, e.URL)
	if again := x.token(t, e.URL); again != first || e.asked.Load() != 1 {
		t.Errorf("%s, %d requests", again, e.asked.Load())
	}
	// Nothing is shared with what differs in anything.
	seen := map[string]bool{first: true}
	for name, change := range map[string]func(*sdk.Connection){
		"realm":   func(c *sdk.Connection) { c.Realm = "r2" },
		"name":    func(c *sdk.Connection) { c.Name = "glue2" },
		"version": func(c *sdk.Connection) { c.Version = 2 },
		"client":  func(c *sdk.Connection) { *c = connectionOf(e.URL, "client2") },
		"scope":   func(c *sdk.Connection) { *c = connectionOf(e.URL, "client", "a") },
		"shifted": func(c *sdk.Connection) { c.Realm, c.Name = "rg", "lue" },
	} {
		c := connection(e.URL)
		change(&c)
		got, err := x.vend(t, sdk.VendRequest{Connection: c})
		if token := string(got.Properties["token"].Reveal()); err != nil || seen[token] {
			t.Errorf("another %s shares %q, %v", name, token, err)
		} else {
			seen[token] = true
		}
	}
	x.host.set("another secret")
	if token := x.token(t, e.URL); seen[token] {
		t.Error("another secret shares a token")
	}
	x.host.set(theSecret)
	if token := x.token(t, e.URL); token != first {
		t.Errorf("%s, want %s", token, first)
	}
}

func TestSingleFlight(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	issue := tokenFor(3600)
	e := newEndpoint(t, func(w http.ResponseWriter, r *http.Request) { <-gate; issue(w, r) })
	x := newRig(t, nil)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if got := x.token(t, e.URL); got != "token-1" {
				t.Error(got)
			}
		})
	}
	for e.asked.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	close(gate)
	wg.Wait()
	if n := e.asked.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// A token is renewed before its end without anybody waiting; the former one serves meanwhile, and while the endpoint is down.
func TestRenewal(t *testing.T) {
	t.Parallel()
	issue := tokenFor(3600)
	e := newEndpoint(t, issue)
	x := newRig(t, map[string]any{"refresh_before": "PT5M"})
	first := x.token(t, e.URL)
	x.advance(54 * time.Minute)
	if got := x.token(t, e.URL); got != first || e.asked.Load() != 1 {
		t.Errorf("%s, %d requests before the window", got, e.asked.Load())
	}
	gate := make(chan struct{})
	e.answer.Store(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { <-gate; w.WriteHeader(503) }))
	x.advance(2 * time.Minute)
	for range 3 { // none of them waits for the endpoint
		if got := x.token(t, e.URL); got != first {
			t.Errorf("%s, want %s", got, first)
		}
	}
	close(gate)
	x.settled(t, e)
	if n := e.asked.Load(); n != 2 {
		t.Errorf("%d requests", n)
	}
	e.answer.Store(http.HandlerFunc(status(503, "")))
	for range 20 {
		x.advance(time.Second)
		if got := x.token(t, e.URL); got != first {
			t.Errorf("%s while the endpoint is down, want %s", got, first)
		}
		x.settled(t, e)
	}
	if n := e.asked.Load(); n < 3 || n > 7 {
		t.Errorf("%d requests of a down endpoint in 20 seconds", n)
	}
	x.advance(4 * time.Minute)
	x.wantFailure(t, e.URL, "503")
	e.answer.Store(issue)
	x.advance(lastBackoff)
	second := x.token(t, e.URL)
	if second == first {
		t.Error("the expired token serves on")
	}
	x.advance(56 * time.Minute)
	if got := x.token(t, e.URL); got != second {
		t.Errorf("%s, want %s", got, second)
	}
	x.settled(t, e)
	if got := x.token(t, e.URL); got == second {
		t.Error("the token was not renewed ahead")
	}
}

// settled waits until no request is under way.
func (x *rig) settled(t *testing.T, e *endpoint) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		busy := false
		for _, k := range x.tokens.kept.All() {
			k.mu.Lock()
			busy = busy || k.flight != nil
			k.mu.Unlock()
		}
		if !busy {
			return
		}
		if time.Since(began) > 10*time.Second {
			t.Fatalf("a request to %s does not end", e.URL)
		}
	}
}

// Who wants a token that lives longer than the kept one still does gets a new one.
func TestLeastLife(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, tokenFor(3600))
	x := newRig(t, nil)
	first := x.token(t, e.URL)
	x.advance(30 * time.Minute)
	for atLeast, same := range map[time.Duration]bool{10 * time.Minute: true, 45 * time.Minute: false} {
		c, err := x.vend(t, sdk.VendRequest{Connection: connection(e.URL), MinLifetime: atLeast})
		if token := string(c.Properties["token"].Reveal()); err != nil || same && token != first && e.asked.Load() == 1 || !same && token == first {
			t.Errorf("%v: %s, %v", atLeast, token, err)
		}
	}
	if n := e.asked.Load(); n != 2 {
		t.Errorf("%d requests", n)
	}
}

// A token of which nobody says when it expires is kept for a while, and nothing is promised of it.
func TestUnknownLife(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, text(`{"access_token":"opaque","token_type":"Bearer"}`))
	x := newRig(t, nil)
	for range 2 {
		c, err := x.vend(t, sdk.VendRequest{Connection: connection(e.URL), MinLifetime: time.Hour})
		if err != nil || !c.Expires.IsZero() || len(c.Properties) != 1 {
			t.Errorf("%v until %v, %v", c.Properties, c.Expires, err)
		}
	}
	if n := e.asked.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
	x.advance(unknownFor)
	x.token(t, e.URL)
	if n := e.asked.Load(); n != 2 {
		t.Errorf("%d requests after a while", n)
	}
}

// What is kept is bounded.
func TestBound(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, tokenFor(3600))
	x := newRig(t, map[string]any{"max_tokens": 3})
	for n := range int64(50) {
		c := connection(e.URL)
		c.Version = n
		if _, err := x.vend(t, sdk.VendRequest{Connection: c}); err != nil {
			t.Fatal(err)
		}
	}
	x.tokens.kept.CleanUp()
	if n := x.tokens.kept.EstimatedSize(); n > 3 {
		t.Errorf("%d tokens are kept", n)
	}
}

// A vendor that was closed asks nobody.
func TestClosed(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, tokenFor(60))
	x := newRig(t, nil)
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	x.wantFailure(t, e.URL, "was not waited for")
	if n := e.asked.Load(); n != 0 {
		t.Errorf("%d requests", n)
	}
}
