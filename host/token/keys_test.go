package token

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	rsaJWK  = `{"kty":"RSA","kid":"1","alg":"RS256","use":"sig","n":"AQAB","e":"AQAB"}`
	ecJWK   = `{"kty":"EC","kid":"2","crv":"P-256","x":"AA","y":"AA"}`
	twoKeys = `{"keys":[` + rsaJWK + `,` + ecJWK + `]}`
)

// publisher publishes one set after the other, the last one for good.
type publisher struct {
	mu    sync.Mutex
	sets  []string
	until time.Time
	err   error
	wait  chan struct{}
	asked atomic.Int32
}

func (p *publisher) Keys(ctx context.Context) ([]byte, time.Time, error) {
	n := int(p.asked.Add(1))
	if p.wait != nil {
		select {
		case <-p.wait:
		case <-ctx.Done():
			return nil, time.Time{}, ctx.Err()
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return nil, time.Time{}, p.err
	}
	return []byte(p.sets[min(n, len(p.sets))-1]), p.until, nil
}

func (p *publisher) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

func getKeys(s *Service, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/realms/r/v1/jwks", nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeKeys(w, r)
	return w
}

func TestKeysAreCached(t *testing.T) {
	clock := now
	p := &publisher{sets: []string{twoKeys, `{"keys":[` + ecJWK + `]}`}, until: now.Add(2 * time.Minute)}
	f := newFixture()
	f.Keys, f.Now = p, func() time.Time { return clock }
	s := f.service(t)
	w := getKeys(s)
	tag := w.Header().Get("ETag")
	if w.Code != 200 || w.Header().Get("Cache-Control") != "public, max-age=120" || w.Header().Get("Content-Type") != "application/json" || tag == "" || !strings.Contains(w.Body.String(), `"kid":"1"`) {
		t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if w := getKeys(s, "If-None-Match", tag); w.Code != 304 || w.Body.Len() != 0 {
		t.Errorf("the same keys: %d %s", w.Code, w.Body)
	}
	clock = now.Add(askAgain - time.Second)
	if w := getKeys(s); w.Header().Get("Cache-Control") != "public, max-age=119" || p.asked.Load() != 1 {
		t.Errorf("%v, asked %d times", w.Header(), p.asked.Load())
	}
	// Whatever others were told about the first set, a key that was taken out of it is not published for longer.
	clock = now.Add(askAgain)
	p.until = time.Time{}
	if w := getKeys(s, "If-None-Match", tag); w.Code != 200 || strings.Contains(w.Body.String(), `"kid":"1"`) || w.Header().Get("Cache-Control") != "public, max-age=300" || p.asked.Load() != 2 {
		t.Errorf("%d %v %s, asked %d times", w.Code, w.Header(), w.Body, p.asked.Load())
	}

	// The broker is down: what it published last is served, for an hour, and the broker is not asked for each request.
	p.fail(errors.New("down"))
	clock = clock.Add(10 * time.Minute)
	for range 10 {
		if w := getKeys(s); w.Code != 200 || w.Header().Get("Cache-Control") != "public, max-age=5" {
			t.Errorf("stale: %d %v", w.Code, w.Header())
		}
	}
	if p.asked.Load() != 3 {
		t.Errorf("a broker that is down was asked %d times", p.asked.Load()-2)
	}
	clock = clock.Add(time.Hour)
	for range 10 {
		if w := getKeys(s); w.Code != 503 || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("too old: %d %v", w.Code, w.Header())
		}
	}
	if p.asked.Load() != 4 {
		t.Errorf("asked %d times", p.asked.Load())
	}
	p.fail(nil)
	clock = clock.Add(leastKeep)
	if w := getKeys(s); w.Code != 200 {
		t.Errorf("back again: %d", w.Code)
	}
}

func TestKeysAreBounded(t *testing.T) {
	for until, want := range map[time.Time]string{now.Add(-time.Hour): "public, max-age=5", now.Add(48 * time.Hour): "public, max-age=3600", {}: "public, max-age=300"} {
		f := newFixture()
		f.Keys = &publisher{sets: []string{twoKeys}, until: until}
		if w := getKeys(f.service(t)); w.Header().Get("Cache-Control") != want {
			t.Errorf("%v: %v", until, w.Header())
		}
	}
}

// A crowd asks the broker once, and one that gives up does not spoil it for the others.
func TestKeysSingleFlight(t *testing.T) {
	p := &publisher{sets: []string{twoKeys}, wait: make(chan struct{})}
	f := newFixture()
	f.Keys = p
	s := f.service(t)
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, err := s.keys.get(ctx)
		gone <- err
	}()
	for p.asked.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if w := getKeys(s); w.Code != 200 {
				t.Errorf("%d", w.Code)
			}
		})
	}
	time.Sleep(10 * time.Millisecond)
	close(p.wait)
	wg.Wait()
	if p.asked.Load() != 1 {
		t.Errorf("asked %d times", p.asked.Load())
	}
}

func TestKeysNeverPrivate(t *testing.T) {
	with := func(member string) string {
		return `{"keys":[` + ecJWK + `,` + strings.Replace(rsaJWK, `{`, `{`+member+`,`, 1) + `]}`
	}
	for name, set := range map[string]string{
		"d": with(`"d":"SECRET"`), "p": with(`"p":"SECRET"`), "q": with(`"q":"SECRET"`), "dp": with(`"dp":"SECRET"`), "k": with(`"k":"SECRET"`), "oth": with(`"oth":[]`), "d null": with(`"d":null`),
		"symmetric": `{"keys":[{"kty":"oct","kid":"x"}]}`, "no kid": `{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}`, "no kty": `{"keys":[{"kid":"x"}]}`,
		"none": `{"keys":[]}`, "no set": rsaJWK, "no JSON": `-----BEGIN PRIVATE KEY----- SECRET`, "two": twoKeys + twoKeys,
		"many": `{"keys":[` + strings.Repeat(rsaJWK+",", maxKeys) + rsaJWK + `]}`, "large": `{"keys":[],"x":"` + strings.Repeat("x", maxKeySet) + `"}`,
	} {
		f := newFixture()
		f.Keys = &publisher{sets: []string{set}}
		if w := getKeys(f.service(t)); w.Code != 503 || strings.Contains(w.Body.String(), "SECRET") {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		if _, err := publicKeys([]byte(set)); err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v", name, err)
		}
	}
	p, err := publicKeys([]byte(`{"keys":[` + strings.Replace(rsaJWK, `{`, `{"x5u":"https://attacker","D":"SECRET",`, 1) + `],"secret":"SECRET"}`))
	if err != nil || strings.Contains(string(p.body), "SECRET") || strings.Contains(string(p.body), "attacker") || len(p.algs) != 1 || len(p.kids) != 1 {
		t.Errorf("%s %v %v %v", p.body, p.algs, p.kids, err)
	}
}

type panicking struct{}

func (panicking) Keys(context.Context) ([]byte, time.Time, error) { panic("bad plugin") }

func TestKeysSurviveAPanic(t *testing.T) {
	f := newFixture()
	f.Keys = panicking{}
	if w := getKeys(f.service(t)); w.Code != 503 {
		t.Errorf("%d", w.Code)
	}
}
