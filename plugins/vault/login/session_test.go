package login

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/realmgate/realmgate/plugins/vault/client"
	"github.com/realmgate/realmgate/plugins/vault/flight"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/breaker"
)

// secrets is the daemon's side in a call: it says when it is asked, answers when it may, and nobody whose call is over.
type secrets struct {
	sdk.Host
	call  context.Context
	asked chan<- struct{}
	may   <-chan struct{}
}

func (h *secrets) ResolveSecret(context.Context, sdk.SecretRef) (sdk.Secret, error) {
	h.asked <- struct{}{}
	<-h.may
	if h.call.Err() != nil {
		return sdk.Secret{}, errors.New("the call is over")
	}
	return sdk.NewSecret([]byte("hunter2")), nil
}

// A login that failed is not tried again before its rest ends, whoever asks.
func TestFailedLoginRests(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.on("auth/jwt/login", says(400, "unknown role"))
	path := filepath.Join(t.TempDir(), "jwt")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	s := f.open(t, map[string]any{"jwt": map[string]any{"role": "r", "token_file": path}})
	first := ask1(t.Context(), s)
	if first == nil || first.Error() != "login: the JWT login with role r: the server answers 400: unknown role" {
		t.Fatal(first)
	}
	s.change(func() { s.trouble.until = time.Now().Add(time.Hour) })
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if err := ask1(t.Context(), s); err == nil || err.Error() != first.Error() || client.As(err) != nil {
				t.Errorf("%v, want %v", err, first)
			}
		})
	}
	all.Wait()
	if n := len(f.askedAt("auth/jwt/login")); n != 1 {
		t.Errorf("%d logins", n)
	}
	// Another token in the file ends the rest.
	f.on("auth/jwt/login", nil)
	write("two")
	eventually(t, "the changed file is taken", func() bool { return ask1(t.Context(), s) == nil })
	// So does the time.
	f.on("auth/jwt/login", says(503, "Vault is sealed"))
	s.change(func() { s.current = nil })
	if err := ask1(t.Context(), s); err == nil {
		t.Fatal("no login was made")
	}
	f.on("auth/jwt/login", nil)
	eventually(t, "it recovers by itself", func() bool { return ask1(t.Context(), s) == nil })
	if s.trouble.times != 0 {
		t.Error("a login that does not fail leaves nothing to remember")
	}
}

// A login that was not made, since the server is left alone, is none that failed: the next one is made as soon as the server is asked again.
func TestLeftAloneIsNoFailedLogin(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	at := time.Unix(1_800_000_000, 0)
	o := breaker.NewOutbound(breaker.Config{Failures: 1, Now: func() time.Time { return at }}, nil)
	s := f.openIn(breaker.WithOutbound(t.Context(), o), t, nil)
	f.on("kv/x", says(503, "Vault is sealed"))
	if ask1(t.Context(), s) == nil {
		t.Fatal("a server that is sealed answers")
	}
	s.change(func() { s.current = nil })
	for range 3 {
		if err := ask1(t.Context(), s); err == nil || !strings.HasSuffix(err.Error(), "left alone for a while") {
			t.Fatal(err)
		}
	}
	s.change(func() {
		if s.trouble.fault != nil || s.trouble.times != 0 {
			t.Errorf("%+v", s.trouble)
		}
	})
	f.on("kv/x", nil)
	at = at.Add(5 * time.Second)
	must(t, s)
}

func TestRestsGrow(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	for status, longest := range map[int]time.Duration{503: longestRest, 429: longestRest, 400: refusedRest, 403: refusedRest} {
		f.on(roleLogin, says(status, "x"))
		patient := breaker.NewOutbound(breaker.Config{Failures: 100}, nil) // it is about the rests of logins that are made
		s := f.openIn(breaker.WithOutbound(t.Context(), patient), t, nil)
		var rests []time.Duration
		for range 12 {
			began := time.Now()
			if ask1(t.Context(), s) == nil {
				t.Fatal("no failure")
			}
			s.change(func() { rests = append(rests, s.trouble.until.Sub(began)); s.trouble.until = time.Time{} })
		}
		if rests[0] > time.Second || rests[11] < longest/2 || slices.Max(rests) > longest+time.Second {
			t.Errorf("%d: %v", status, rests)
		}
	}
}

// While there is a token that serves, a login that hangs delays nobody.
func TestHangingLoginDelaysNobody(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	s := f.open(t, nil)
	must(t, s)
	release := make(chan struct{})
	f.on(roleLogin, func(w http.ResponseWriter, _ *http.Request) {
		<-release
		f.logIn(w, 3600)
	})
	s.change(func() { s.current.tired = true })
	for range 10 {
		must(t, s)
	}
	if got := f.askedAt("kv/x"); slices.ContainsFunc(got, func(x string) bool { return x != "t1" }) {
		t.Error(got)
	}
	eventually(t, "the login is under way", func() bool { return len(f.askedAt(roleLogin)) == 2 })
	close(release)
	eventually(t, "the fresh token is used", func() bool {
		must(t, s)
		got := f.askedAt("kv/x")
		return got[len(got)-1] == "t2"
	})
	if n := len(f.askedAt(roleLogin)); n != 2 {
		t.Errorf("%d logins", n)
	}
}

// A token that was replaced is given back: when nobody uses any more what was made for it, or at the end.
func TestReplacedTokenIsRevoked(t *testing.T) {
	t.Parallel()
	for what, x := range map[string]struct {
		afterlife time.Duration
		before    []string // the end
		after     []string
	}{
		"meanwhile":  {50 * time.Millisecond, []string{"t1"}, []string{"t1", "t2"}},
		"at the end": {time.Hour, nil, []string{"t1", "t2"}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			s := f.open(t, nil)
			s.afterlife = x.afterlife
			must(t, s)
			s.change(func() { s.current.tired = true })
			eventually(t, "another login", func() bool { must(t, s); return s.Current(2) })
			eventually(t, "before the end", func() bool {
				s.mu.Lock()
				defer s.mu.Unlock()
				return slices.Equal(f.askedAt(revoking), x.before) && len(s.former) == 1-len(x.before)
			})
			s.Close()
			got := f.askedAt(revoking)
			slices.Sort(got)
			if !slices.Equal(got, x.after) {
				t.Errorf("%v are revoked, want %v", got, x.after)
			}
		})
	}
}

// The token of a login that is under way at the end is revoked too.
func TestLoginUnderWayAtTheEnd(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	s := f.open(t, nil)
	entered, release := make(chan struct{}), make(chan struct{})
	f.on(roleLogin, func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		f.logIn(w, 3600)
	})
	var all sync.WaitGroup
	all.Go(func() { _ = ask1(t.Context(), s) })
	<-entered
	all.Go(s.Close)
	eventually(t, "it is closed", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.closed })
	close(release)
	all.Wait()
	if got := f.askedAt(revoking); !slices.Equal(got, []string{"t1"}) {
		t.Errorf("%v are revoked", got)
	}
	if err := ask1(t.Context(), s); err == nil || err.Error() != "login: the session is closed" {
		t.Errorf("afterwards: %v", err)
	}
}

// A caller who leaves while the daemon is asked on his behalf hurts nobody who waits, and says nothing of the login.
func TestWhoWaitsForALoginOfAnother(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	s := f.open(t, map[string]any{"approle": map[string]any{"role_id": "r", "secret_id": "urn:realmgate-secret:ops:x"}})
	asked, may := make(chan struct{}, 10), make(chan struct{})
	gone, leave := context.WithCancel(t.Context())
	call := func(ctx context.Context) context.Context {
		return sdk.WithHost(ctx, &secrets{call: ctx, asked: asked, may: may})
	}
	var all sync.WaitGroup
	all.Go(func() {
		if err := ask1(call(gone), s); !errors.Is(err, context.Canceled) {
			t.Errorf("who leaves: %v", err)
		}
	})
	<-asked
	for range 5 {
		all.Go(func() {
			if err := ask1(call(t.Context()), s); err != nil {
				t.Errorf("who waits: %v", err)
			}
		})
	}
	leave()
	close(may)
	all.Wait()
	if s.trouble.times != 0 || len(f.askedAt(roleLogin)) != 1 {
		t.Errorf("%d failures, %d logins", s.trouble.times, len(f.askedAt(roleLogin)))
	}
}

// What a login is made with may be there the next moment: that it could not be read is not remembered, and marked as the caller's.
func TestWhatALoginIsMadeWithCannotBeRead(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	s := f.open(t, map[string]any{"approle": map[string]any{"role_id": "r", "secret_id": "urn:realmgate-secret:ops:x"}})
	may := make(chan struct{})
	close(may)
	over, end := context.WithCancel(t.Context())
	end()
	// The host knows that the call is over, and the session does not yet.
	err := ask1(sdk.WithHost(t.Context(), &secrets{call: over, asked: make(chan struct{}, 9), may: may}), s)
	if err == nil || err.Error() != "login: secret_id: the call is over" || !flight.IsOwn(err) {
		t.Fatal(err)
	}
	if err := ask1(sdk.WithHost(t.Context(), &secrets{call: t.Context(), asked: make(chan struct{}, 9), may: may}), s); err != nil {
		t.Error(err)
	}
}

// A token that may not renew itself serves until its end.
func TestRenewalThatThePoliciesForbid(t *testing.T) {
	t.Parallel()
	for words, dead := range map[string]bool{"permission denied": false, "invalid token": true} {
		t.Run(words, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.on(roleLogin, func(w http.ResponseWriter, _ *http.Request) { f.logIn(w, 3) })
			f.on(renewal, says(403, words))
			s := f.open(t, nil)
			must(t, s)
			f.on(roleLogin, says(503, "Vault is sealed"))
			s.mu.Lock()
			first := s.current
			s.mu.Unlock()
			eventually(t, "it is not renewed", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return first.tired })
			s.mu.Lock()
			defer s.mu.Unlock()
			if first.dead != dead {
				t.Errorf("dead: %v", first.dead)
			}
		})
	}
}

// The end is reckoned from the question for it: the server may have answered a while ago.
func TestEndOfARenewedToken(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	s := f.open(t, nil)
	f.on(roleLogin, func(w http.ResponseWriter, _ *http.Request) { f.logIn(w, 3) })
	asked := make(chan time.Time, 8)
	f.on(renewal, func(w http.ResponseWriter, _ *http.Request) {
		asked <- time.Now()
		time.Sleep(300 * time.Millisecond) // a slow answer is what this is about
		fmt.Fprint(w, `{"request_id":"r","auth":{"client_token":"t1","lease_duration":600,"renewable":true}}`)
	})
	must(t, s)
	at := <-asked
	var end time.Time
	eventually(t, "it is renewed", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		end = s.current.expires
		return end.Sub(at) > time.Minute
	})
	if end.After(at.Add(600 * time.Second)) {
		t.Errorf("it ends %v after the question", end.Sub(at))
	}
}

// A no to looking itself up, without the words for a token that is not known, may be the policies': one login tells, and no more.
func TestTokenThatMayNotLookItselfUp(t *testing.T) {
	t.Parallel()
	for what, x := range map[string]struct {
		lookup http.HandlerFunc
		logins int
	}{
		"denied":             {says(403, "permission denied"), 2},
		"not known":          {says(403, "invalid token"), 5},
		"denied by a proxy":  {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403); fmt.Fprint(w, "<html>") }, 1},
		"the server is away": {says(503, "Vault is sealed"), 1},
		"it is a good one":   {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"request_id":"r","data":{}}`) }, 1},
		"no default policy":  {nil, 1},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.on(lookup, x.lookup)
			f.on("kv/x", says(403, "permission denied"))
			if what == "no default policy" {
				f.on(roleLogin, func(w http.ResponseWriter, _ *http.Request) {
					fmt.Fprint(w, `{"request_id":"r","auth":{"client_token":"t","lease_duration":3600,"policies":["p"]}}`)
				})
			}
			s := f.open(t, nil)
			for range 5 {
				if err := ask1(t.Context(), s); !client.Denied(err) {
					t.Fatal(err)
				}
				s.change(func() { s.current.age() })
				if what == "no default policy" && len(f.askedAt(lookup)) != 0 {
					t.Error("it is looked up")
				}
			}
			if n := len(f.askedAt(roleLogin)); n != x.logins {
				t.Errorf("%d logins, want %d", n, x.logins)
			}
		})
	}
}

// age makes a token one that is no longer young. The session's lock is the caller's.
func (t *token) age() { t.got, t.proven = time.Time{}, time.Time{} }

// A token that the server does not know soon after it has given it has another one take its place at once; if that ends so, too, it
// is a login that failed, or each question would be one more login.
func TestTokenThatIsDisowned(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.on("kv/x", says(403, "1 error occurred: permission denied; invalid token"))
	s := f.open(t, nil)
	s.afterlife = time.Hour
	const want = "login: the server does not know a token any more that it knew a moment ago: the server answers 403: invalid token"
	if err := ask1(t.Context(), s); err == nil || err.Error() != want {
		t.Fatal(err)
	}
	s.change(func() { s.trouble.until = time.Now().Add(time.Hour) })
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			if err := ask1(t.Context(), s); err == nil || err.Error() != want || client.As(err) != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := len(f.askedAt(roleLogin)); n != 2 {
		t.Errorf("%d logins", n)
	}
	var rests []time.Duration
	for range 8 {
		s.change(func() { s.trouble.until = time.Time{} })
		began := time.Now()
		_ = ask1(t.Context(), s)
		s.change(func() { rests = append(rests, s.trouble.until.Sub(began)) })
	}
	if rests[7] < refusedRest/2 || rests[0] > 2*time.Second {
		t.Errorf("they do not grow: %v", rests)
	}
	// One that served for a while is given up without a rest, and the question asked again.
	f.on("kv/x", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Vault-Token") == "t11" {
			says(403, "invalid token")(w, r)
			return
		}
		fmt.Fprint(w, `{"request_id":"r","data":{}}`)
	})
	f.on("kv/y", nil)
	s.change(func() { s.trouble.until = time.Time{} })
	if _, err := s.Do(t.Context(), client.Request{Method: http.MethodGet, Path: "kv/y"}); err != nil {
		t.Fatal(err)
	}
	s.change(func() { s.current.age() })
	must(t, s)
	if s.disowned != 0 || len(f.askedAt(roleLogin)) != 12 {
		t.Errorf("%d disowned, %d logins", s.disowned, len(f.askedAt(roleLogin)))
	}
	// Another node may know those that this one does not.
	s.Close()
	if n := len(f.askedAt(revoking)); n != 12 {
		t.Errorf("%d of 12 tokens are revoked", n)
	}
}

// However many are denied something at the same time, a token looks itself up once.
func TestOneLookForAllWhoAreDenied(t *testing.T) {
	t.Parallel()
	for what, x := range map[string]struct {
		lookup http.HandlerFunc
		logins int
	}{
		"known": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"request_id":"r","data":{}}`) }, 1}, "not known": {says(403, "invalid token"), 2},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			const callers = 50
			f := newFake(t)
			s := f.open(t, nil)
			must(t, s)
			s.change(func() { s.current.age() })
			asked, may := make(chan struct{}, 2*callers), make(chan struct{})
			f.on("kv/x", func(w http.ResponseWriter, r *http.Request) {
				asked <- struct{}{}
				<-may
				says(403, "permission denied")(w, r)
			})
			f.on(lookup, x.lookup)
			var all sync.WaitGroup
			for range callers {
				all.Go(func() {
					if err := ask1(t.Context(), s); !client.Denied(err) {
						t.Error(err)
					}
				})
			}
			for range callers {
				<-asked
			}
			close(may)
			all.Wait()
			if looks, logins := len(f.askedAt(lookup)), len(f.askedAt(roleLogin)); looks != 1 || logins != x.logins {
				t.Errorf("%d looks, %d logins", looks, logins)
			}
		})
	}
}

// A server locks a role out after five logins with a wrong secret id: it is tried again once, and then so seldom that it forgets.
func TestLoginsThatAServerCounts(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.on(roleLogin, says(400, "invalid role or secret ID"))
	s := f.open(t, map[string]any{"approle": map[string]any{"role_id": "r", "secret_id": "urn:realmgate-secret:ops:x"}})
	may := make(chan struct{})
	close(may)
	ctx := sdk.WithHost(t.Context(), &secrets{call: t.Context(), asked: make(chan struct{}, 99), may: may})
	var rests []time.Duration
	for range 4 {
		began := time.Now()
		if err := ask1(ctx, s); err == nil || err.Error() != "login: AppRole: the server answers 400: invalid role or secret ID" {
			t.Fatal(err)
		}
		s.change(func() { rests = append(rests, s.trouble.until.Sub(began)); s.trouble.until = time.Time{} })
	}
	if rests[0] > time.Minute || slices.Min(rests[1:]) <= 15*time.Minute {
		t.Errorf("%v", rests)
	}
	// Another secret id is tried all the same.
	s.change(func() { s.trouble.until, s.trouble.tried, s.nextLook = time.Now().Add(time.Hour), mark{}, time.Time{} })
	f.on(roleLogin, nil)
	if err := ask1(ctx, s); err != nil || s.trouble.counted != 0 {
		t.Error(err)
	}
	f.on(roleLogin, says(403, "permission denied"))
	if err := ask1(t.Context(), f.open(t, nil)); err == nil || err.Error() != "login: AppRole: the server answers 403: permission denied; or it has locked the role out after logins that failed (sys/locked-users)" {
		t.Error(err)
	}
}

// A token that could look itself up and cannot any more has no further login made of it.
func TestTokenThatMayNotLookItselfUpAnyMore(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	path := filepath.Join(t.TempDir(), "sink")
	if err := os.WriteFile(path, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := f.open(t, map[string]any{"token_file": path})
	must(t, s)
	f.on(lookup, says(403, "permission denied"))
	s.change(func() { s.current.dead = true })
	err := ask1(t.Context(), s)
	if err == nil || err.Error() != "login: the token could look itself up before, and cannot any more: it is not valid, or its policies have changed" {
		t.Error(err)
	}
	if err := os.WriteFile(path, []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another token is taken as it is", func() bool { return ask1(t.Context(), s) == nil })
}

// What is no token is not sent anywhere, as a wrapping token neither.
func TestWhatIsNoWrappingToken(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	for what, value := range map[string]string{"words": "not a token", "nothing": "", "a long one": strings.Repeat("x", client.MaxToken+1), "beyond ASCII": "hvs.é"} {
		m := &appRole{AppRole: AppRole{RoleID: "r", Wrapped: true, Mount: "approle"}}
		if _, err := m.login(t.Context(), f.open(t, nil).client, value); err == nil || !strings.Contains(err.Error(), "what is given as a wrapping token is none") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if n := len(f.askedAt("sys/wrapping/lookup")); n != 0 {
		t.Errorf("%d questions", n)
	}
}

// A file whose token the server did not answer for is tried again.
func TestTokenFileIsTakenWhenTheServerKnowsIt(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	path := filepath.Join(t.TempDir(), "sink")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	s := f.open(t, map[string]any{"token_file": path})
	must(t, s)
	f.on(lookup, says(503, "Vault is sealed"))
	write("number-two")
	eventually(t, "it is tried", func() bool { must(t, s); return slices.Contains(f.askedAt(lookup), "number-two") })
	f.on(lookup, nil)
	eventually(t, "it is taken", func() bool {
		must(t, s)
		got := f.askedAt("kv/x")
		return got[len(got)-1] == "number-two"
	})
	if len(f.askedAt(revoking)) != 0 {
		t.Error("somebody else's token is revoked")
	}
}
