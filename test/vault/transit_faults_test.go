package vault

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/realmgate/realmgate/internal/vaulttest"
	"github.com/realmgate/realmgate/plugins/vault/transit"
	"github.com/realmgate/realmgate/sdk"
)

// meddler stands between a broker and the server, counts questions, changes answers and holds questions up.
type meddler struct {
	*httptest.Server
	asked, reads atomic.Int64                                        // questions, and those about keys
	change       atomic.Pointer[func(*http.Response, []byte) []byte] // what becomes of the answer to a signature
	held         atomic.Pointer[hold]
}

// hold keeps questions with a text in their path until it is over, or nobody waits any more.
type hold struct {
	path string
	over chan struct{}
}

func newMeddler(t *testing.T, w *world) *meddler {
	t.Helper()
	target, err := url.Parse(w.URL)
	if err != nil {
		t.Fatal(err)
	}
	m := &meddler{}
	proxy := &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ModifyResponse: m.meddle,
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) {}, // nobody waits any more
	}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.asked.Add(1)
		if strings.Contains(r.URL.Path, "/keys/") {
			m.reads.Add(1)
		}
		if h := m.held.Load(); h != nil && strings.Contains(r.URL.Path, h.path) {
			body, err := io.ReadAll(r.Body) // before that, it is not noticed that nobody waits
			if err != nil {
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			select {
			case <-h.over:
			case <-r.Context().Done():
				return
			}
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(m.Close)
	t.Cleanup(m.release)
	return m
}

func (m *meddler) meddle(r *http.Response) error {
	f := m.change.Load()
	if f == nil || !strings.Contains(r.Request.URL.Path, "/sign/") {
		return nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	body = (*f)(r, body)
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.Header.Del("Content-Length")
	return nil
}

// hold keeps what has a text in its path from the server.
func (m *meddler) hold(path string) { m.held.Store(&hold{path, make(chan struct{})}) }

// release lets what is held go on.
func (m *meddler) release() {
	if h := m.held.Swap(nil); h != nil {
		close(h.over)
	}
}

// A signature of another version, or none, never gets into a token, and the server is seldom asked about its key for that.
func TestSignaturesAreNotBelieved(t *testing.T) {
	t.Parallel()
	w := transitWorld(t, vaulttest.Dev(t))
	w.newKey(t, "k", "ecdsa-p256")
	m := newMeddler(t, w)
	b := w.newBroker(t, w.signing("k", settings{"address": m.URL}))
	if _, err := b.Issue(w.ctx, grant()); err != nil {
		t.Fatal(err)
	}
	before := m.reads.Load()
	for what, x := range map[string]struct {
		old, new, want string
		status         int
	}{
		"another version":      {old: "vault:v1:", new: "vault:v2:", want: "asked to sign with version 1 of the key, and answers something else"},
		"no prefix":            {old: "vault:v1:", new: "", want: "answers something else"},
		"another signature":    {old: "vault:v1:", new: "vault:v1:AAAA", want: "is not one of version 1"},
		"another encoding":     {old: "vault:v1:", new: "vault:v1:+", want: "not in base64url"},
		"none":                 {old: "signature", new: "x", want: "answers something else"},
		"a longer number":      {old: "vault:v1:", new: "vault:v11:", want: "answers something else"},
		"no answer of Vault's": {old: "{", new: "hunter2", want: "it is not how Vault says so"},
		"a bad request":        {old: "{", new: `{"errors":["hunter2"],`, status: http.StatusBadRequest, want: "the server answers 400"},
	} {
		f := func(r *http.Response, body []byte) []byte {
			if x.status != 0 {
				r.StatusCode = x.status
			}
			return bytes.ReplaceAll(body, []byte(x.old), []byte(x.new))
		}
		m.change.Store(&f)
		for range 20 {
			token, err := b.Issue(w.ctx, grant())
			if err == nil || token.Value != "" || !strings.Contains(err.Error(), x.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: %v, want %q", what, err, x.want)
			}
		}
	}
	if n := m.reads.Load() - before; n > 4 {
		t.Errorf("160 signatures cause %d questions about the key", n)
	}
	m.change.Store(nil)
	if _, err := b.Issue(w.ctx, grant()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// remake takes a key away and has another one take its place.
func (w *world) remake(t testing.TB, name string, how func()) {
	t.Helper()
	w.Do(t, http.MethodPost, "transit/keys/"+name+"/config", map[string]any{"deletion_allowed": true})
	w.Do(t, http.MethodDelete, "transit/keys/"+name, nil)
	how()
}

// A key that is made anew or restored under its name signs at once, whenever the versions would be read again.
func TestTransitKeyMadeAnewOrRestored(t *testing.T) {
	t.Parallel()
	w := transitWorld(t, vaulttest.Dev(t))
	w.Do(t, http.MethodPost, "transit/keys/k", map[string]any{"type": "ecdsa-p256", "exportable": true, "allow_plaintext_backup": true})
	backup := w.Do(t, http.MethodGet, "transit/backup/k", nil)["backup"]
	m := newMeddler(t, w)
	s := w.signing("k", settings{"address": m.URL})
	one, two, crowd := w.newBroker(t, s), w.newBroker(t, s), w.newBroker(t, s)
	issue := func(b *transit.Broker) string {
		t.Helper()
		token, err := b.Issue(w.ctx, grant())
		if err != nil {
			t.Fatal(err)
		}
		return token.Value
	}
	verify := func(b *transit.Broker, token, want string) {
		t.Helper()
		if _, err := b.Verify(w.ctx, bearer(token)); reason(err) != want {
			t.Errorf("%v, want %q", err, want)
		}
	}
	first := issue(one)
	for _, b := range []*transit.Broker{two, crowd} {
		verify(b, first, "")
	}

	w.remake(t, "k", func() { w.newKey(t, "k", "ecdsa-p256") })
	second := issue(one)
	if kid(t, second) == kid(t, first) {
		t.Fatal("it is the same key")
	}
	verify(one, second, "")
	verify(two, second, "")
	verify(one, first, "key_unknown")
	before := m.reads.Load()
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if token, err := crowd.Issue(w.ctx, grant()); err != nil || kid(t, token.Value) != kid(t, second) {
				t.Errorf("one of many: %v", err)
			}
		})
	}
	all.Wait()
	if n := m.reads.Load() - before; n > 2 {
		t.Errorf("50 signatures cause %d questions about the key", n)
	}

	w.remake(t, "k", func() { w.Do(t, http.MethodPost, "transit/restore/k", map[string]any{"backup": backup}) })
	if third := issue(two); kid(t, third) != kid(t, first) {
		t.Error("it is not the restored key")
	}
	verify(two, first, "")
	verify(two, second, "key_unknown")

	w.remake(t, "k", func() { w.newKey(t, "k", "ed25519") })
	verify(two, issue(two), "")

	// The same of a key that was rotated: the server has no such version any more.
	w.newKey(t, "rotated", "ecdsa-p256")
	w.rotate(t, "rotated")
	w.Do(t, http.MethodPost, "transit/keys/rotated/config", map[string]any{"min_encryption_version": 2, "exportable": true, "allow_plaintext_backup": true})
	backup = w.Do(t, http.MethodGet, "transit/backup/rotated", nil)["backup"]
	b := w.newBroker(t, w.signing("rotated", nil))
	second = issue(b)
	w.remake(t, "rotated", func() { w.newKey(t, "rotated", "ecdsa-p256") })
	if third := issue(b); kid(t, third) == kid(t, second) {
		t.Error("it is the same key")
	}
	w.remake(t, "rotated", func() { w.Do(t, http.MethodPost, "transit/restore/rotated", map[string]any{"backup": backup}) })
	if fourth := issue(b); kid(t, fourth) != kid(t, second) {
		t.Error("it is not the restored key")
	}
}

// forged gives a token another header and other claims. Its signature stays what it was.
func forged(t testing.TB, token string, header, claims map[string]any) string {
	t.Helper()
	parts := strings.Split(token, ".")
	for i, change := range []map[string]any{header, claims} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		var all map[string]any
		if err := json.Unmarshal(raw, &all); err != nil {
			t.Fatal(err)
		}
		for k, v := range change {
			all[k] = v
		}
		if raw, err = json.Marshal(all); err != nil {
			t.Fatal(err)
		}
		parts[i] = base64.RawURLEncoding.EncodeToString(raw)
	}
	return strings.Join(parts, ".")
}

// Made up key ids cost the server a handful of questions, whoever sends how many of them.
func TestUnknownKeysAskSeldom(t *testing.T) {
	t.Parallel()
	w := transitWorld(t, vaulttest.Dev(t))
	w.newKey(t, "k", "ecdsa-p256")
	m := newMeddler(t, w)
	b := w.newBroker(t, w.signing("k", settings{"address": m.URL}))
	token, err := b.Issue(w.ctx, grant())
	if err != nil {
		t.Fatal(err)
	}
	before := m.asked.Load()
	var all sync.WaitGroup
	var open atomic.Int64
	for g := range 8 {
		all.Go(func() {
			for i := range 250 {
				age := time.Duration(i%2) * time.Hour
				made := forged(t, token.Value, map[string]any{"kid": string(rune('a'+g)) + string(rune('a'+i))}, map[string]any{"iat": time.Now().Add(-age).Unix()})
				_, err := b.Verify(w.ctx, bearer(made))
				switch got := reason(err); {
				case age == 0 && got == "unavailable":
					open.Add(1)
				case got != "key_unknown":
					t.Errorf("%v old: %v", age, err)
				}
			}
		})
	}
	all.Wait()
	if n := m.asked.Load() - before; n > 4 {
		t.Errorf("2000 tokens cause %d questions", n)
	}
	if open.Load() < 900 {
		t.Errorf("%d tokens that may be newer than the last reading are left open", open.Load())
	}
}

// Somebody who makes up key ids cannot have a token denied that a new key signed: while the server is not asked about it, it is
// left open.
func TestNewKeyAmongMadeUpOnes(t *testing.T) {
	t.Parallel()
	w := transitWorld(t, vaulttest.Dev(t))
	w.newKey(t, "k", "ecdsa-p256")
	other, b := w.newBroker(t, w.signing("k", nil)), w.newBroker(t, w.signing("k", nil))
	first, err := other.Issue(w.ctx, grant())
	if err != nil {
		t.Fatal(err)
	}
	for range 10 { // more than the server is asked for
		if _, err := b.Verify(w.ctx, bearer(forged(t, first.Value, map[string]any{"kid": "x"}, map[string]any{"iat": 1}))); reason(err) != "key_unknown" {
			t.Fatal(err)
		}
	}
	w.remake(t, "k", func() { w.newKey(t, "k", "ecdsa-p256") })
	second, err := other.Issue(w.ctx, grant())
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Verify(w.ctx, bearer(second.Value))
	if reason(err) != "unavailable" || !errors.Is(err, sdk.ErrBusy) || !strings.Contains(err.Error(), "the server cannot be asked about it now") {
		t.Errorf("a token of the new key: %v", err)
	}
	now := time.Now()
	for iat, want := range map[int64]string{
		0: "key_unknown", now.Add(-time.Hour).Unix(): "key_unknown", now.Add(-2 * time.Minute).Unix(): "key_unknown",
		now.Unix(): "unavailable", now.Add(30 * time.Second).Unix(): "unavailable", // the clocks of nodes differ
		now.Add(2 * time.Minute).Unix(): "key_unknown", now.Add(time.Hour).Unix(): "key_unknown", 1 << 60: "key_unknown", -1 << 60: "key_unknown",
	} {
		if _, err := b.Verify(w.ctx, bearer(forged(t, second.Value, map[string]any{"kid": "x"}, map[string]any{"iat": iat}))); reason(err) != want {
			t.Errorf("issued %v: %v, want %q", time.Unix(iat, 0), err, want)
		}
	}
	eventually(t, "the token of the new key is accepted", func() bool {
		_, err := b.Verify(w.ctx, bearer(second.Value))
		return err == nil
	})
}

// A server that takes a question and does not answer costs time, and no verdict that is known without it.
func TestTransitWithASlowServer(t *testing.T) {
	t.Parallel()
	w := transitWorld(t, vaulttest.Dev(t))
	w.newKey(t, "k", "ecdsa-p256")
	m := newMeddler(t, w)
	patient := w.signing("k", settings{"address": m.URL, "timeout": "PT30S", "refresh": "PT0.1S", "publish_ahead": "PT1S"})
	b, strict, stranger := w.newBroker(t, patient), w.newBroker(t, patient.with(settings{"timeout": "PT0.3S"})), w.newBroker(t, patient)
	token, err := b.Issue(w.ctx, grant())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := strict.Verify(w.ctx, bearer(token.Value)); err != nil {
		t.Fatal(err)
	}

	m.hold("/sign/")
	if x, err := strict.Issue(w.ctx, grant()); reason(err) != "unavailable" || x.Value != "" || !strings.Contains(err.Error(), "does not answer in time") {
		t.Errorf("the time-out of the settings: %v", err)
	}
	hurried, cancel := context.WithTimeout(w.ctx, 300*time.Millisecond)
	defer cancel()
	if x, err := b.Issue(hurried, grant()); reason(err) != "unavailable" || x.Value != "" || hurried.Err() == nil {
		t.Errorf("the caller's deadline: %v", err)
	}
	m.release()

	m.hold("/")
	before := m.asked.Load()
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := b.Verify(w.ctx, bearer(token.Value)); err != nil {
				t.Errorf("a token of a known key: %v", err)
			}
			if _, _, err := b.Keys(w.ctx); err != nil {
				t.Errorf("the known keys: %v", err)
			}
		})
	}
	all.Wait()
	if n := m.asked.Load() - before; n > 2 {
		t.Errorf("40 calls cause %d questions", n)
	}
	if _, err := b.Verify(w.ctx, bearer(forged(t, token.Value, map[string]any{"kid": "x"}, nil))); reason(err) != "unavailable" {
		t.Errorf("a key that may be new: %v", err)
	}
	hurried, cancel = context.WithTimeout(w.ctx, 300*time.Millisecond)
	defer cancel()
	if _, err := stranger.Verify(hurried, bearer(token.Value)); reason(err) != "unavailable" || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("no key is known yet, and the caller has no time: %v", err)
	}
	if _, err := stranger.Verify(w.ctx, bearer(token.Value)); reason(err) != "unavailable" || sdk.AsDenial(err) != nil {
		t.Errorf("no key is known yet: %v", err)
	}
	m.release()
	for _, b := range []*transit.Broker{b, strict, stranger} {
		eventually(t, "it recovers by itself", func() bool {
			x, err := b.Issue(w.ctx, grant())
			if err != nil {
				return false
			}
			_, err = b.Verify(w.ctx, bearer(x.Value))
			return err == nil
		})
	}
}
