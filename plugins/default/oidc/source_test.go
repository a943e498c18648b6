package oidc

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/time/rate"

	"github.com/realmgate/realmgate/sdk"
)

// clock is a clock that a test moves.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

func withClock(p *Provider) *clock {
	c := &clock{}
	p.keys.now = c.now
	return c
}

// settle waits for the refresh that is under way, if there is one.
func settle(t *testing.T, s *source) {
	t.Helper()
	s.mu.Lock()
	f := s.flight
	s.mu.Unlock()
	if f != nil {
		<-f.done
	}
}

func identify(t *testing.T, p *Provider, text, want string) {
	t.Helper()
	if _, err := p.Identify(t.Context(), bearer(text)); reason(err) != want {
		t.Errorf("%v, want %q", err, want)
	}
}

// A provider is well if its keys can be had: its metadata are its own, and there are keys.
func TestCheck(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*fakeIssuer)
		want   string
	}{
		"well":      {func(*fakeIssuer) {}, ""},
		"down":      {func(f *fakeIssuer) { f.down = true }, "502"},
		"another's": {func(f *fakeIssuer) { f.metadata = map[string]any{"issuer": "https://other.example"} }, "issuer"},
		"keys are no keys": {func(f *fakeIssuer) {
			f.fault = func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("x")) }
		}, "/jwks"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeIssuer(t, jwk("rsa", "", "", rsaKey().Public()))
			f.change(func() { tt.change(f) })
			err := f.provider(t, nil).Check(t.Context())
			if (err == nil) != (tt.want == "") || err != nil && (!strings.Contains(err.Error(), tt.want) || sdk.AsDenial(err) != nil) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
	gone := newFakeIssuer(t)
	p := gone.provider(t, nil)
	gone.Close()
	if err := p.Check(t.Context()); err == nil {
		t.Error("a provider that cannot be reached is well")
	}
}

func TestFloodOfKeyIDs(t *testing.T) {
	t.Parallel()
	f := newFakeIssuer(t, jwk("rsa", "", "", rsaKey().Public()))
	p := f.provider(t, nil)
	identify(t, p, f.sign(t, token{}), "")
	tokens := make([]string, 2000)
	for i := range tokens {
		// The signature does not count: the key id is looked for first.
		tokens[i] = f.sign(t, token{method: jwt.SigningMethodES256, key: ecKey(), header: map[string]any{"kid": fmt.Sprint("random-", i)}})
	}
	good := f.sign(t, token{})
	var wg sync.WaitGroup
	var unavailable atomic.Int64
	for i := range 16 {
		wg.Go(func() {
			for _, text := range tokens[i*125 : (i+1)*125] {
				switch _, err := p.Identify(t.Context(), bearer(text)); reason(err) {
				case "key_unknown": // the provider was asked
				case "unavailable":
					unavailable.Add(1)
				default:
					t.Errorf("%v, want key_unknown or an error that is no denial", err)
				}
			}
			identify(t, p, good, "")
		})
	}
	wg.Wait()
	if unavailable.Load() < 1900 {
		t.Errorf("%d of 2,000 are left open, although the provider was hardly asked", unavailable.Load())
	}
	if n := f.fetches.Load(); n > 3 {
		t.Errorf("%d fetches of the keys for 2,000 random key ids", n)
	}
	if n := f.discoveries.Load(); n != 1 {
		t.Errorf("%d fetches of the metadata", n)
	}
	// A new key is found as soon as the provider may be asked again.
	f.change(func() { f.keys = append(f.keys, jwk("new", "", "", rsaKey().Public())) })
	rotated := f.sign(t, token{header: map[string]any{"kid": "new"}})
	identify(t, p, rotated, "unavailable")
	withClock(p).advance(unknownEvery)
	identify(t, p, rotated, "")
}

func TestConcurrentFirstUseIsOneFetch(t *testing.T) {
	t.Parallel()
	f := newFakeIssuer(t, jwk("rsa", "", "", rsaKey().Public()))
	p := f.provider(t, nil)
	if f.discoveries.Load()+f.fetches.Load() != 0 {
		t.Error("the constructor fetched")
	}
	text := f.sign(t, token{})
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			if _, err := p.Identify(t.Context(), bearer(text)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := f.fetches.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	f := newFakeIssuer(t, jwk("rsa", "", "", rsaKey().Public()))
	p := f.provider(t, nil)
	c := withClock(p)
	identify(t, p, f.sign(t, token{}), "")
	f.change(func() { f.keys = append([]jose.JSONWebKey{jwk("new", "", "", rsaKey2().Public())}, f.keys...) })
	rotated := f.sign(t, token{method: jwt.SigningMethodRS256, key: rsaKey2(), header: map[string]any{"kid": "new"}})
	identify(t, p, rotated, "")
	identify(t, p, f.sign(t, token{}), "")
	// The provider withdraws a key: it is forgotten with the next refresh.
	f.change(func() { f.keys = f.keys[:1] })
	c.advance(16 * time.Minute)
	identify(t, p, rotated, "")
	settle(t, p.keys)
	identify(t, p, f.sign(t, token{}), "key_unknown")
}

// A key id that the provider does not have is asked for once, until it may have come.
func TestAbsentKeyIsRemembered(t *testing.T) {
	t.Parallel()
	f := newFakeIssuer(t, jwk("rsa", "", "", rsaKey().Public()))
	p := f.provider(t, nil)
	c := withClock(p)
	text := f.sign(t, token{header: map[string]any{"kid": "x"}})
	st := sdk.State{Request: &sdk.Request{Scheme: "bearer", Token: text}}
	if err := sdk.Step(t.Context(), sdk.KindIdentityProvider, p, &st); reason(err) != "key_unknown" || !st.Cache.NoStore {
		t.Errorf("%v, cache %+v; want key_unknown, which must not be remembered: the key may come", err, st.Cache)
	}
	n := f.fetches.Load()
	c.advance(absentFor - time.Second)
	identify(t, p, text, "key_unknown")
	if f.fetches.Load() != n {
		t.Error("it was asked for again")
	}
	f.change(func() { f.keys = append(f.keys, jwk("x", "", "", rsaKey().Public())) })
	c.advance(time.Second)
	identify(t, p, text, "")
}

// While the provider may not be asked for a key id, nothing was tried: it tells nothing of whether the part works.
func TestKeyThatMayNotBeAskedFor(t *testing.T) {
	t.Parallel()
	f := newFakeIssuer(t, jwk("rsa", "", "", rsaKey().Public()))
	p := f.provider(t, nil)
	p.keys.bucket = rate.NewLimiter(0, 1)
	for i, want := range []string{"key_unknown", "unavailable"} {
		_, err := p.Identify(t.Context(), bearer(f.sign(t, token{header: map[string]any{"kid": fmt.Sprint("x", i)}})))
		if reason(err) != want || errors.Is(err, sdk.ErrBusy) != (want == "unavailable") {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// What the provider did not have is asked for again once it has other keys.
func TestAbsentKeysAreForgotten(t *testing.T) {
	t.Parallel()
	f := newFakeIssuer(t, jwk("rsa", "", "", rsaKey().Public()))
	p := f.provider(t, nil)
	p.keys.bucket = rate.NewLimiter(rate.Every(unknownEvery), 10)
	absent := func(kid string) {
		t.Helper()
		identify(t, p, f.sign(t, token{header: map[string]any{"kid": kid}}), "key_unknown")
	}
	absent("x")
	absent("y")
	if now := p.keys.now(); !p.keys.unknown.has("x", now) || !p.keys.unknown.has("y", now) {
		t.Error("the same keys made it forget")
	}
	f.change(func() { f.keys = append(f.keys, jwk("z", "", "", rsaKey2().Public())) })
	identify(t, p, f.sign(t, token{method: jwt.SigningMethodRS256, key: rsaKey2(), header: map[string]any{"kid": "z"}}), "")
	if p.keys.unknown.has("x", p.keys.now()) {
		t.Error("other keys did not make it forget")
	}
}

func TestAbsentKeysAreBounded(t *testing.T) {
	t.Parallel()
	var a absentKeys
	now := time.Now()
	for i := range 2 * maxAbsent {
		a.add(fmt.Sprint(i), now)
	}
	if len(a.till) != maxAbsent || !a.has("0", now) || a.has("0", now.Add(absentFor)) {
		t.Errorf("%d are remembered", len(a.till))
	}
	a.add("late", now.Add(absentFor))
	if len(a.till) != 1 || !a.has("late", now.Add(absentFor)) {
		t.Errorf("%d are remembered after they lapsed", len(a.till))
	}
}

func TestProviderIsDown(t *testing.T) {
	t.Parallel()
	f := newFakeIssuer(t, jwk("rsa", "", "", rsaKey().Public()))
	f.change(func() { f.down = true })
	p := f.provider(t, nil)
	c := withClock(p)
	text := f.sign(t, token{})
	// At the start: unavailable, not denied, and without a fetch per request.
	for range 50 {
		identify(t, p, text, "unavailable")
	}
	if n := f.discoveries.Load(); n != 1 {
		t.Errorf("%d fetches while the provider is down", n)
	}
	c.advance(firstBackoff)
	identify(t, p, text, "unavailable")
	if n := f.discoveries.Load(); n != 2 {
		t.Errorf("%d fetches after the first back-off", n)
	}
	f.change(func() { f.down = false })
	c.advance(2 * firstBackoff)
	identify(t, p, text, "")
	// Later: the known keys serve, until they are too old.
	f.change(func() { f.down = true })
	c.advance(23 * time.Hour)
	identify(t, p, text, "")
	settle(t, p.keys)
	identify(t, p, text, "")
	// Whether a key id is unknown cannot be told now, also when the bucket of refreshes is empty.
	for i := range 2 * unknownBurst {
		c.advance(time.Millisecond)
		identify(t, p, f.sign(t, token{header: map[string]any{"kid": fmt.Sprint("x", i)}}), "unavailable")
	}
	c.advance(time.Hour)
	identify(t, p, text, "unavailable")
	f.change(func() { f.down = false })
	c.advance(time.Minute)
	identify(t, p, text, "")
}

func TestFaultsOfTheProvider(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("another host was asked for %s", r.URL)
	}))
	t.Cleanup(elsewhere.Close)
	many := make([]jose.JSONWebKey, maxKeys+1)
	for i := range many {
		many[i] = jwk(fmt.Sprint(i), "", "", ecKey().Public())
	}
	answer := func(f func(w http.ResponseWriter, r *http.Request)) func(*fakeIssuer) {
		return func(i *fakeIssuer) { i.fault = f }
	}
	metadata := func(key string, v any) func(*fakeIssuer) {
		return func(i *fakeIssuer) { i.metadata = map[string]any{key: v} }
	}
	keys := func(k ...jose.JSONWebKey) func(*fakeIssuer) { return func(i *fakeIssuer) { i.keys = k } }
	tests := map[string]struct {
		fault func(*fakeIssuer)
		err   string
	}{
		"too long": {answer(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprintf(w, `{"keys":[]%s}`, strings.Repeat(" ", maxJWKS))
		}), "more than 524288 bytes"},
		"too long when unpacked": {answer(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = z.Write([]byte(strings.Repeat(" ", maxJWKS+1)))
			_ = z.Close()
		}), "more than 524288 bytes"},
		"metadata too long":        {metadata("x", strings.Repeat("x", maxDiscovery)), "more than 262144 bytes"},
		"another issuer":           {metadata("issuer", "https://evil.example"), "of the issuer"},
		"issuer with a slash":      {func(i *fakeIssuer) { i.metadata = map[string]any{"issuer": i.URL + "/"} }, "of the issuer"},
		"keys over plain http":     {metadata("jwks_uri", "http://keys.example/"), "http://keys.example:80, neither the issuer's nor"},
		"keys on another host":     {metadata("jwks_uri", "https://www.example.com/certs?a=b"), `set jwks_uri = "https://www.example.com/certs?a=b"`},
		"keys on another port":     {metadata("jwks_uri", elsewhere.URL+"/jwks"), `set jwks_uri = "` + elsewhere.URL + `/jwks"`},
		"keys of the cloud itself": {metadata("jwks_uri", "http://169.254.169.254/latest/"), "neither the issuer's nor"},
		"keys over another scheme": {func(i *fakeIssuer) {
			i.metadata = map[string]any{"jwks_uri": strings.Replace(i.URL, "http", "https", 1) + "/jwks"}
		}, "neither the issuer's nor"},
		"keys behind a user":       {metadata("jwks_uri", "https://a:b@idp.example.com/"), "without a user"},
		"keys in a file":           {metadata("jwks_uri", "file:///etc/passwd"), "not an absolute URL"},
		"no jwks_uri":              {metadata("jwks_uri", ""), "not an absolute URL"},
		"a redirect elsewhere":     {answer(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) }), "another host"},
		"redirects without an end": {answer(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/jwks", http.StatusFound) }), "too many redirects"},
		"not JSON":                 {answer(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }), "not a JWK set"},
		"too many keys":            {keys(many...), "more than 100 keys"},
		"no keys":                  {keys(), "no public key"},
		"only a private key":       {keys(jwk("rsa", "", "", rsaKey())), "no public key"},
		"only a symmetric key":     {keys(jwk("rsa", "", "", []byte("0123456789abcdef0123456789abcdef"))), "no public key"},
		"only a weak key":          {keys(jwk("rsa", "", "", weakKey())), "no public key"},
		"only for encryption":      {keys(jwk("rsa", "", "enc", rsaKey().Public())), "no public key"},
		"status 500":               {answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }), "500"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeIssuer(t, jwk("rsa", "", "", rsaKey().Public()))
			f.change(func() { tt.fault(f) })
			_, err := f.provider(t, nil).Identify(t.Context(), bearer(f.sign(t, token{})))
			if err == nil || sdk.AsDenial(err) != nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%v, want an error that is no denial, with %q", err, tt.err)
			}
		})
	}
}

// A slow provider holds up only those who wait for it, for as long as they want to.
func TestSlowProvider(t *testing.T) {
	t.Parallel()
	f := newFakeIssuer(t, jwk("rsa", "", "", rsaKey().Public()))
	asked := make(chan struct{}, 1)
	f.change(func() {
		f.fault = func(_ http.ResponseWriter, r *http.Request) {
			asked <- struct{}{}
			<-r.Context().Done()
		}
	})
	p := f.provider(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	if _, err := p.Identify(ctx, bearer(f.sign(t, token{}))); reason(err) != "unavailable" {
		t.Errorf("%v, want unavailable", err)
	}
	// Release ends the fetch.
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	settle(t, p.keys)
	identify(t, p, f.sign(t, token{}), "unavailable")
}
