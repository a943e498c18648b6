package broker

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/keyset"
)

// keeping is an HTTP client's cache: it keeps an answer for its max-age, by a clock that a test moves.
type keeping struct {
	now func() time.Time

	mu   sync.Mutex
	kept map[string]answer
}

type answer struct {
	header http.Header
	body   []byte
	until  time.Time
}

func (k *keeping) RoundTrip(r *http.Request) (*http.Response, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	a, ok := k.kept[r.URL.String()]
	if !ok || !k.now().Before(a.until) {
		res, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			return nil, err
		}
		age, _ := strconv.Atoi(strings.TrimPrefix(res.Header.Get("Cache-Control"), "public, max-age="))
		a = answer{res.Header, body, k.now().Add(time.Duration(age) * time.Second)}
		k.kept[r.URL.String()] = a
	}
	return &http.Response{StatusCode: http.StatusOK, Header: a.header, Body: io.NopCloser(bytes.NewReader(a.body)), Request: r}, nil
}

// provider serves discovery and keys of a realm whose broker is made later, as the host does.
type provider struct {
	*httptest.Server
	setup  sdk.Setup
	broker *KeyPair
	now    func() time.Time
	ctx    context.Context // in which the broker is asked, as the host does
}

// kids are those of the published keys.
func (p *provider) kids(t *testing.T) (out []string) {
	t.Helper()
	raw, _, err := p.broker.Keys(p.ctx)
	var set jose.JSONWebKeySet
	if err == nil {
		err = json.Unmarshal(raw, &set)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range set.Keys {
		out = append(out, k.KeyID)
	}
	return out
}

func newProvider(t *testing.T, now func() time.Time) *provider {
	t.Helper()
	p := &provider{now: now}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/.well-known/openid-configuration" {
			_ = json.NewEncoder(w).Encode(map[string]any{"issuer": p.URL, "jwks_uri": p.URL + "/jwks", "id_token_signing_alg_values_supported": []string{"ES256", "EdDSA"}})
			return
		}
		raw, until, err := p.broker.Keys(p.ctx)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(until.Sub(now()).Seconds())))
		_, _ = w.Write(raw)
	}))
	t.Cleanup(p.Close)
	p.setup = sdk.Setup{Realm: "r", Issuer: p.URL, Audience: []string{"lake"}}
	return p
}

// verifier is somebody who knows nothing of the realm but its issuer, and whose client keeps its keys for as long as they
// may be kept.
func (p *provider) verifier(t *testing.T, client *http.Client) *oidc.IDTokenVerifier {
	t.Helper()
	found, err := oidc.NewProvider(oidc.ClientContext(context.Background(), client), p.URL)
	if err != nil {
		t.Fatal(err)
	}
	return found.Verifier(&oidc.Config{ClientID: "lake", Now: p.now, SupportedSigningAlgs: []string{"ES256", "EdDSA"}})
}

// clockStore gives secrets that are to be read again after a minute, by a clock that a test moves.
type clockStore struct {
	store
	*clock
}

func (s *clockStore) ResolveSecret(ctx context.Context, ref sdk.SecretRef) (sdk.Secret, error) {
	out, err := s.store.ResolveSecret(ctx, ref)
	out.CacheUntil = s.now().Add(time.Minute)
	return out, err
}

func newKeyPEM(t *testing.T) string {
	t.Helper()
	k, err := keyset.NewKey(keyset.ES256, 0)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// lived is what became of the tokens of three hours, in which somebody verifies each as soon as it is issued and just before
// it expires.
type lived struct {
	refused []string
	signers []string // kids, in their order
	kids    []string // published at the end
}

// live issues and verifies tokens. Two brokers stand for two nodes, of which the second one starts anew each minute; the
// operator does steps at times since the beginning.
func live(ctx context.Context, t *testing.T, p *provider, c *clock, node func() *KeyPair, operator map[time.Duration]func()) lived {
	t.Helper()
	p.broker, p.ctx = node(), ctx
	client := &http.Client{Transport: &keeping{now: p.now, kept: map[string]answer{}}}
	outside := p.verifier(t, client)
	type token struct {
		sdk.Token
		at time.Duration
	}
	var about []token
	var out lived
	for since := time.Duration(0); since < 3*time.Hour; since += 30 * time.Second {
		if do := operator[since]; do != nil {
			do()
		}
		if res, err := client.Get(p.URL + "/jwks"); err != nil { // others use the same cache, so that it is never empty
			t.Fatal(err)
		} else {
			res.Body.Close()
		}
		if kids := p.kids(t); len(slices.Compact(slices.Sorted(slices.Values(kids)))) != len(kids) {
			t.Fatalf("a key is published twice: %v", kids)
		}
		nodes := []*KeyPair{p.broker, node()}
		verify := func(x token, when string) {
			t.Helper()
			if _, err := outside.Verify(ctx, x.Value); err != nil {
				out.refused = append(out.refused, fmt.Sprintf("%s: of %v, %s: %v", since, x.at, when, err))
			}
			for i, b := range nodes {
				if _, err := b.Verify(ctx, bearer(x.Value)); err != nil {
					out.refused = append(out.refused, fmt.Sprintf("%s: of %v, %s, at node %d: %v", since, x.at, when, i, err))
				}
			}
		}
		for _, b := range nodes {
			g := sdk.Grant{Realm: "r", Issuer: p.URL, Audience: []string{"lake"}, Principal: sdk.PrincipalRef{ID: "7"}, Lifetime: time.Hour}
			issued, err := b.Issue(ctx, g)
			if err != nil {
				t.Fatal(err)
			}
			x := token{issued, since}
			about = append(about, x)
			verify(x, "new")
			if kid := b.keys.current(ctx, c.now()).signer.id; len(out.signers) == 0 || !slices.Contains(out.signers, kid) {
				out.signers = append(out.signers, kid)
			}
		}
		c.advance(29 * time.Second)
		about = slices.DeleteFunc(about, func(x token) bool {
			last := !c.now().Add(31 * time.Second).Before(x.Expires)
			if last {
				verify(x, "old")
			}
			return last
		})
		c.advance(time.Second)
	}
	out.kids = p.kids(t)
	return out
}

// Somebody outside, who knows the issuer only and keeps its keys for as long as he may, takes every token through a
// rotation: published, waiting, signing, retired. So do other nodes. The clock is moved, nobody sleeps.
func TestOutsideVerifierThroughARotation(t *testing.T) {
	t.Parallel()
	const wait, overlap = 10 * time.Minute, 65 * time.Minute
	check := func(t *testing.T, got lived) {
		t.Helper()
		if len(got.refused) > 0 {
			t.Errorf("%d refusals, the first: %s", len(got.refused), got.refused[0])
		}
		if len(got.signers) != 2 || !slices.Equal(got.kids, got.signers[1:]) {
			t.Errorf("the keys %v signed, and %v are published", got.signers, got.kids)
		}
	}
	folder := func(t *testing.T, wait, overlap time.Duration) lived {
		c := newClock(time.Now().Truncate(time.Second))
		dir := keyDir(t, keyset.ES256, c.now())
		p := newProvider(t, c.now)
		node := func() *KeyPair {
			b, err := new(Ephemeral).NewKeyPair(t.Context(), p.setup, KeyPairSettings{KeyDir: dir, MaxGeneration: sdk.Duration(time.Hour)})
			if err != nil {
				t.Fatal(err)
			}
			b.now = c.now
			return b
		}
		return live(t.Context(), t, p, c, node, map[time.Duration]func(){21 * time.Minute: func() { rotate(t, dir, wait, overlap, c.now()) }})
	}
	t.Run("key folder", func(t *testing.T) { check(t, folder(t, wait, overlap)) })
	t.Run("key folder, in haste", func(t *testing.T) {
		if got := folder(t, 0, overlap); len(got.refused) == 0 {
			t.Error("nobody was refused: the test sees nothing")
		}
	})

	store := func(t *testing.T, log io.Writer, steps func(set func(name, key string), old, fresh string) map[time.Duration]func()) lived {
		c := newClock(time.Now().Truncate(time.Second))
		old, fresh := newKeyPEM(t), newKeyPEM(t)
		host := &clockStore{store{values: map[string]string{"current": old, "next": old, "previous": old}}, c}
		ctx := sdk.WithLogger(sdk.WithHost(t.Context(), host), slog.New(slog.NewTextHandler(log, nil)))
		p := newProvider(t, c.now)
		node := func() *KeyPair {
			impl, err := sdk.TokenBrokerType("key-pair", new(Ephemeral).NewKeyPair).Build(ctx, p.setup, []byte(`{
				"private_key": "urn:realmgate-secret:s:current",
				"verification_key": [{"private_key": "urn:realmgate-secret:s:next"}, {"private_key": "urn:realmgate-secret:s:previous"}]}`))
			if err != nil {
				t.Fatal(err)
			}
			b := impl.(*KeyPair)
			b.now = c.now
			return b
		}
		set := func(name, key string) { host.set(name, key, time.Time{}, nil) }
		return live(ctx, t, p, c, node, steps(set, old, fresh))
	}
	t.Run("secret store", func(t *testing.T) {
		var log bytes.Buffer
		got := store(t, &log, func(set func(name, key string), old, fresh string) map[time.Duration]func() {
			return map[time.Duration]func(){
				21 * time.Minute: func() { set("next", fresh) },
				31 * time.Minute: func() { set("current", fresh); set("previous", old) },
				97 * time.Minute: func() { set("previous", fresh) },
			}
		})
		check(t, got)
		if log.Len() > 0 {
			t.Errorf("the log says %s", &log)
		}
	})
	t.Run("secret store, in haste", func(t *testing.T) {
		var log bytes.Buffer
		got := store(t, &log, func(set func(name, key string), _, fresh string) map[time.Duration]func() {
			return map[time.Duration]func(){21 * time.Minute: func() { set("current", fresh) }}
		})
		if len(got.refused) == 0 || !strings.Contains(log.String(), "was not published before") {
			t.Errorf("%d refusals; the log says %s", len(got.refused), &log)
		}
		got = store(t, io.Discard, func(set func(name, key string), _, fresh string) map[time.Duration]func() {
			return map[time.Duration]func(){
				21 * time.Minute: func() { set("next", fresh) },
				31 * time.Minute: func() { set("current", fresh); set("previous", fresh) },
			}
		})
		if !slices.ContainsFunc(got.refused, func(s string) bool { return strings.Contains(s, "at node 1") }) {
			t.Errorf("a node that began after the former key was forgotten refuses nothing, and others %d", len(got.refused))
		}
	})
}
