package broker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/keyset"
)

func keyDir(t testing.TB, algorithm string, now time.Time) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "keys")
	if _, err := keyset.Generate(dir, keyset.NewKeySpec{Algorithm: algorithm}, now); err != nil {
		t.Fatal(err)
	}
	return dir
}

func rotate(t testing.TB, dir string, wait, overlap time.Duration, now time.Time) {
	t.Helper()
	if _, err := keyset.Rotate(dir, keyset.Rotation{Wait: wait, Overlap: overlap}, now); err != nil {
		t.Error(err)
	}
}

// clock is one that a test moves.
type clock struct{ at atomic.Int64 }

func newClock(t time.Time) *clock {
	c := &clock{}
	c.at.Store(t.UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.at.Load()) }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d)) }

func dirBroker(t testing.TB, dir string, c *clock) *KeyPair {
	t.Helper()
	b, err := new(Ephemeral).NewKeyPair(t.Context(), realm1, KeyPairSettings{KeyDir: dir, MaxGeneration: sdk.Duration(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	b.now = c.now
	return b
}

func issue(t testing.TB, b *KeyPair) sdk.Token {
	t.Helper()
	g := grant(realm1)
	g.Lifetime = time.Hour
	token, err := b.Issue(t.Context(), g)
	if err != nil {
		t.Error(err)
	}
	return token
}

func published(t testing.TB, b *KeyPair) []string {
	t.Helper()
	raw, _, err := b.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(raw, &set); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, k := range set.Keys {
		ids = append(ids, k.KeyID)
	}
	return ids
}

func signer(t testing.TB, b *KeyPair) string {
	t.Helper()
	return b.keys.current(t.Context(), b.now()).signer.id
}

// Over many rotations, also when one comes while another is under way, two brokers on one folder take each other's tokens
// for as long as these live, and whoever keeps published keys for as long as they may be kept knows every key in time.
func TestRotationRefusesNoToken(t *testing.T) {
	t.Parallel()
	c := newClock(time.Now().Truncate(time.Second))
	dir := keyDir(t, keyset.EdDSA, c.now())
	brokers := [2]*KeyPair{dirBroker(t, dir, c), dirBroker(t, dir, c)}
	type issued struct {
		sdk.Token
		by int
	}
	var live []issued
	var kept []string // of published keys
	var keptUntil time.Time
	signers := map[string]bool{}
	for step := range 400 {
		if step%70 == 20 || step%140 == 22 {
			rotate(t, dir, 10*time.Minute, 65*time.Minute, c.now())
		}
		c.advance(time.Minute + 700*time.Millisecond)
		if !c.now().Before(keptUntil) {
			raw, until, err := brokers[0].Keys(t.Context())
			if err != nil || !until.After(c.now()) {
				t.Fatalf("%s, %v, %v", raw, until, err)
			}
			kept, keptUntil = published(t, brokers[0]), until
		}
		for i, b := range brokers {
			if id := signer(t, b); !slices.Contains(kept, id) {
				t.Errorf("step %d: %s signs, and only %v were published", step, id, kept)
			} else {
				signers[id] = true
			}
			token := issue(t, b)
			if life := token.Expires.Sub(c.now()); life < time.Hour-time.Second {
				t.Errorf("step %d: a token lives for %v", step, life)
			}
			live = append(live, issued{token, i})
		}
		live = slices.DeleteFunc(live, func(x issued) bool {
			last := !c.now().Add(62 * time.Second).Before(x.Expires)
			if last || x.Expires.Sub(c.now()) > 59*time.Minute {
				if _, err := brokers[1-x.by].Verify(t.Context(), bearer(x.Value)); err != nil {
					t.Errorf("step %d: %v before its expiry: %v", step, x.Expires.Sub(c.now()), err)
				}
			}
			return last
		})
	}
	if len(signers) < 7 {
		t.Errorf("%d keys signed", len(signers))
	}
}

// The same with everything at once: callers, a clock that moves, and an operator.
func TestRotationUnderLoad(t *testing.T) {
	t.Parallel()
	c := newClock(time.Now().Truncate(time.Second))
	dir := keyDir(t, keyset.EdDSA, c.now())
	brokers := [2]*KeyPair{dirBroker(t, dir, c), dirBroker(t, dir, c)}
	first := signer(t, brokers[0])
	done := make(chan struct{})
	var callers sync.WaitGroup
	for i := range 4 {
		callers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				token := issue(t, brokers[i%2])
				if _, err := brokers[1-i%2].Verify(t.Context(), bearer(token.Value)); err != nil {
					t.Error(err)
					return
				}
				if _, _, err := brokers[i%2].Keys(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for step := range 200 {
		if step%40 == 10 {
			rotate(t, dir, 30*time.Second, 65*time.Minute, c.now())
		}
		c.advance(2 * time.Second)
		time.Sleep(time.Millisecond)
	}
	close(done)
	callers.Wait()
	if signer(t, brokers[0]) == first || signer(t, brokers[0]) != signer(t, brokers[1]) {
		t.Error("the brokers do not sign with the same new key")
	}
}

// A broker that nobody asked for hours knows a key that came and signs in the meantime, whoever of many callers is first.
func TestFolderAfterALongRest(t *testing.T) {
	t.Parallel()
	c := newClock(time.Now().Truncate(time.Second))
	dir := keyDir(t, keyset.EdDSA, c.now())
	busy, idle := dirBroker(t, dir, c), dirBroker(t, dir, c)
	for range 20 {
		rotate(t, dir, 0, 65*time.Minute, c.now())
		c.advance(3 * time.Hour)
		token := issue(t, busy)
		var callers sync.WaitGroup
		for range 8 {
			callers.Go(func() {
				if _, err := idle.Verify(t.Context(), bearer(token.Value)); err != nil {
					t.Error(err)
				}
			})
		}
		callers.Wait()
	}
}

// A folder that is broken leaves what is known, and says so once; a key comes to its end all the same.
func TestBrokenFolder(t *testing.T) {
	t.Parallel()
	c := newClock(time.Now().Truncate(time.Second))
	dir := keyDir(t, keyset.ES256, c.now())
	rotate(t, dir, 10*time.Minute, 20*time.Minute, c.now())
	b := dirBroker(t, dir, c)
	old := signer(t, b)
	var log bytes.Buffer
	ctx := sdk.WithLogger(t.Context(), slog.New(slog.NewTextHandler(&log, nil)))
	manifest := filepath.Join(dir, "keys.json")
	good, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	write := func(raw []byte) {
		t.Helper()
		if err := os.WriteFile(manifest, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	token := issue(t, b)
	write([]byte("{"))
	for range 5 {
		c.advance(lookEvery)
		if _, err := b.Verify(ctx, bearer(token.Value)); err != nil {
			t.Error(err)
		}
	}
	if n := strings.Count(log.String(), "level=ERROR"); n != 1 || !strings.Contains(log.String(), dir) {
		t.Errorf("the log says %s", log.String())
	}
	c.advance(10 * time.Minute)
	if signer(t, b) == old {
		t.Error("the former key still signs")
	}
	c.advance(20 * time.Minute)
	if _, err := b.Verify(ctx, bearer(token.Value)); reason(err) != "token_expired" && reason(err) != "key_unknown" {
		t.Errorf("a retired key: %v", err)
	}
	if slices.Contains(published(t, b), old) {
		t.Error("a retired key is published")
	}
	write(good)
	// Who may use the folder is looked at as often as what is in it.
	entries, err := keyset.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		path      string
		bad, good os.FileMode
	}{{dir, 0o750, 0o700}, {manifest, 0o644, 0o600}, {filepath.Join(dir, entries[1].File), 0o640, 0o600}} {
		c.advance(lookEvery)
		b.keys.current(ctx, c.now())
		log.Reset()
		if err := os.Chmod(x.path, x.bad); err != nil {
			t.Fatal(err)
		}
		c.advance(lookEvery)
		if b.keys.current(ctx, c.now()); !strings.Contains(log.String(), fmt.Sprintf("%#o", x.bad)) {
			t.Errorf("%s is %#o, and the log says %s", x.path, x.bad, log.String())
		}
		if err := os.Chmod(x.path, x.good); err != nil {
			t.Fatal(err)
		}
		c.advance(lookEvery)
		if b.keys.current(ctx, c.now()); !strings.Contains(log.String(), "in order again") {
			t.Errorf("the log says %s", log.String())
		}
	}
}

// Nothing is signed with a retired key, not even if there is no other; no token and no decision outlives its key.
func TestNothingOutlivesItsKey(t *testing.T) {
	t.Parallel()
	c := newClock(time.Now().Truncate(time.Second))
	dir := keyDir(t, keyset.ES256, c.now())
	rotate(t, dir, 24*time.Hour, 0, c.now())
	b := dirBroker(t, dir, c)
	c.advance(24*time.Hour - 10*time.Minute)
	token := issue(t, b)
	if !token.Expires.Equal(c.now().Add(10 * time.Minute)) {
		t.Errorf("a token lives until %v, its key for ten minutes", token.Expires)
	}
	st := &sdk.State{Request: &sdk.Request{Scheme: "bearer", Token: token.Value}}
	if err := sdk.Step(t.Context(), sdk.KindTokenBroker, b, st); err != nil || st.Cache.MaxAge != 10*time.Minute {
		t.Errorf("%+v, %v", st.Cache, err)
	}
	_, until, err := b.Keys(t.Context())
	if err != nil || until.After(c.now().Add(5*time.Minute)) {
		t.Errorf("keys may be kept until %v, %v", until, err)
	}

	// The manifest loses the newer key.
	entries, err := keyset.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(map[string]any{"version": 1, "keys": entries[:1]})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "keys.json"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	c.advance(10*time.Minute - time.Second)
	if _, err := b.Verify(t.Context(), bearer(token.Value)); err != nil {
		t.Error(err)
	}
	c.advance(time.Second)
	if token, err := b.Issue(t.Context(), grant(realm1)); err == nil || sdk.AsDenial(err) != nil || token.Value != "" {
		t.Errorf("a retired key signed: %v", err)
	}
	st = &sdk.State{Request: &sdk.Request{Scheme: "bearer", Token: token.Value}}
	if err := sdk.Step(t.Context(), sdk.KindTokenBroker, b, st); reason(err) != "key_unknown" || !st.Cache.NoStore {
		t.Errorf("%v, %+v", err, st.Cache)
	}
}

func TestKeyDirWithFurtherKeys(t *testing.T) {
	t.Parallel()
	former, err := keyPairBroker(t, realm1, testECKey()).Issue(t.Context(), grant(realm1))
	if err != nil {
		t.Fatal(err)
	}
	s := KeyPairSettings{
		KeyDir: keyDir(t, keyset.EdDSA, time.Now()), MaxGeneration: sdk.Duration(time.Hour),
		VerificationKeys: []VerificationKey{{File: file(t, pkixPEM(t, &testECKey().PublicKey), 0o644)}},
	}
	b, err := new(Ephemeral).NewKeyPair(t.Context(), realm1, s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Verify(t.Context(), bearer(former.Value)); err != nil {
		t.Error(err)
	}
	if n := len(published(t, b)); n != 2 {
		t.Errorf("%d keys are published", n)
	}
}

func TestKeyDirSettings(t *testing.T) {
	t.Parallel()
	now := time.Now()
	good, rsa := keyDir(t, keyset.ES256, now), keyDir(t, keyset.RS256, now)
	open := keyDir(t, keyset.ES256, now)
	if err := os.Chmod(open, 0o755); err != nil {
		t.Fatal(err)
	}
	later := keyDir(t, keyset.ES256, now.Add(time.Hour))
	empty := t.TempDir()
	if err := os.Chmod(empty, 0o700); err != nil {
		t.Fatal(err)
	}
	private := file(t, pkcs8PEM(t, testECKey()), 0o600)
	for name, tt := range map[string]struct {
		typ       string
		settings  map[string]any
		path, err string
	}{
		"any kind":        {"key-pair", map[string]any{"key_dir": good}, "", ""},
		"RSA":             {"rsa-key-pair", map[string]any{"key_dir": rsa}, "", ""},
		"a file":          {"key-pair", map[string]any{"private_key_file": private}, "", ""},
		"ES256 as RSA":    {"rsa-key-pair", map[string]any{"key_dir": good}, "/key_dir", "RSA keys only"},
		"a file as RSA":   {"rsa-key-pair", map[string]any{"private_key_file": private}, "/private_key_file", "RSA keys only"},
		"a verifying EC":  {"rsa-key-pair", map[string]any{"key_dir": rsa, "verification_key": []any{map[string]any{"public_key_file": file(t, pkixPEM(t, &testECKey().PublicKey), 0o644)}}}, "/verification_key/0", "RSA keys only"},
		"with a file":     {"key-pair", map[string]any{"key_dir": good, "private_key_file": private}, "/key_dir", "do not go with it"},
		"with a secret":   {"key-pair", map[string]any{"key_dir": good, "private_key": "urn:realmgate-secret:s:x"}, "/key_dir", "do not go with it"},
		"with a public":   {"key-pair", map[string]any{"key_dir": good, "public_key_file": private}, "/key_dir", "do not go with it"},
		"no folder":       {"key-pair", map[string]any{"key_dir": good + "x"}, "/key_dir", "no such file"},
		"an empty folder": {"key-pair", map[string]any{"key_dir": empty}, "/key_dir", "realmgate key generate --dir"},
		"an open folder":  {"key-pair", map[string]any{"key_dir": open}, "/key_dir", "0755"},
		"none signs yet":  {"key-pair", map[string]any{"key_dir": later}, "/key_dir", "none of its keys signs"},
	} {
		raw, err := json.Marshal(tt.settings)
		if err != nil {
			t.Fatal(err)
		}
		e := new(Ephemeral)
		impl := sdk.TokenBrokerType("key-pair", e.NewKeyPair)
		if tt.typ == "rsa-key-pair" {
			impl = sdk.TokenBrokerType(tt.typ, e.NewRSA)
		}
		_, err = impl.Build(t.Context(), realm1, raw)
		checkFault(t, name, err, tt.path, tt.err)
	}
}
